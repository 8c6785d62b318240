// What all scripts here do: set up what is missing, then `kvctl fault NAME ...` on the cluster of this directory.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bootstrap } from '../bootstrap.mjs';

await bootstrap({ natsServer: true });
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const kvctl = join(root, 'dist', 'bin', 'kvctl.js');
// Ctrl-C goes to both; kvctl heals, and this one waits for it.
process.on('SIGINT', () => {});
const { status } = spawnSync(process.execPath, [kvctl, 'fault', ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 1;
