#!/usr/bin/env node
// `npm run chaos -- [options]`: set up what is missing, then break a real cluster while clients work on it.
import { bootstrap } from './bootstrap.mjs';

await bootstrap({ natsServer: true });
await import('../dist/src/chaos/main.js');
