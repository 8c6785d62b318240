#!/usr/bin/env node
// `npm run sim`: sets up what is missing, then runs the simulation (tests/simulation).
import { bootstrap } from './bootstrap.mjs';

await bootstrap({ natsServer: false });
await import('../dist/tests/simulation/main.js');
