#!/usr/bin/env node
// `npm run sim:placement`: sets up what is missing, then runs the placement simulation (tests/simulation/placement).
import { bootstrap } from './bootstrap.mjs';

await bootstrap({ natsServer: false });
await import('../dist/tests/simulation/placement/main.js');
