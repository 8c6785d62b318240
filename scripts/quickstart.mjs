#!/usr/bin/env node
// `npm start`: sets up what is missing, then runs the main job (src/cli/quickstart).
import { bootstrap } from './bootstrap.mjs';

await bootstrap({ natsServer: true });
await import('../dist/src/cli/quickstart/main.js');
