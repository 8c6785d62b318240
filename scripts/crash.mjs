#!/usr/bin/env node
// `npm run crash` and `npm run crash:log`: set up what is missing, then run one of the programs of tests/crash. They are
// long and hard on the machine, so `npm test` leaves them out.
import { bootstrap } from './bootstrap.mjs';

const programs = { kill: { natsServer: true }, 'log-damage': {} };
const [name] = process.argv.splice(2, 1);
if (!(name in programs)) {
  process.stderr.write(`which one? ${Object.keys(programs).join(', ')}\n`);
  process.exit(2);
}
await bootstrap(programs[name]);
await import(`../dist/tests/crash/${name}.js`);
