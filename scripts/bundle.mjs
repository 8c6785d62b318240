#!/usr/bin/env node
// Bundles kvctl and kvd from what was compiled: dist/bin/kvctl.js, dist/bin/kvd.js, and what they share. Each is a few files where
// it was 270 and 300, most of them of libraries; finding and linking so many took half of the time that kvctl needs for a command,
// and a third of a second of every start of a node.
import { chmodSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = join(root, 'dist', 'bin');

/** Stay packages of their own: they find files beside theirs (a native build, the code of a thread). */
export const external = ['level-rocksdb', 'classic-level', 'pino', 'pino-pretty'];

rmSync(target, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: { kvctl: 'dist/src/cli/main.js', kvd: 'dist/src/main.js' },
  outdir: target,
  chunkNames: 'parts/[name]-[hash]',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external,
  logLevel: 'error',
  // Libraries that are not modules of this kind yet ask for Node's own in their way.
  banner: {
    js: "import { createRequire as requireIn } from 'node:module'; const require = requireIn(import.meta.url);",
  },
});
for (const name of ['kvctl', 'kvd']) chmodSync(join(target, `${name}.js`), 0o755);
