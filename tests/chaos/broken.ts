/** Loaded before kvd (`node --import`): breaks it in the way that KV_BROKEN names, or ends the process. */
import { basename } from 'node:path';
import { applyMutant } from '../simulation/mutants.js';
import { brokenBuilds, brokenNames, isBrokenBuild } from './broken-builds.js';

const name = process.env.KV_BROKEN;
if (!isBrokenBuild(name)) {
  process.stderr.write(`KV_BROKEN is ${name ?? 'missing'}; there are ${brokenNames.join(', ')}\n`);
  process.exit(2);
}
if (basename(process.argv[1] ?? '') === 'kvd.js') {
  process.stderr.write('the bundled kvd cannot be broken so: run dist/src/main.js\n');
  process.exit(2);
}
applyMutant(brokenBuilds[name]);
process.stderr.write(`broken on purpose: ${name}\n`);
