#!/usr/bin/env node
// `npm run bench:compare -- [options]`: set up what is missing, then measure Ringraft beside etcd and JetStream.
import { bootstrap } from './bootstrap.mjs';

await bootstrap({ natsServer: true });
await import('../dist/src/compare/main.js');
