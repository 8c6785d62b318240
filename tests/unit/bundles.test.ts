/** Goal: kvctl and kvd are a few files each, which need no package but those that cannot be bundled, from wherever they are run. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/base/index.js';

const directory = join(packageRoot(), 'dist', 'bin');
/** They find files beside theirs: a native build, the code of a thread. */
const packages = ['classic-level', 'level-rocksdb', 'pino', 'pino-pretty'];
const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string };

type Imports = { readonly eager: readonly string[]; readonly late: readonly string[] };

function importsOf(path: string): Imports {
  const text = readFileSync(path, 'utf8');
  const of = (pattern: RegExp): readonly string[] => [...text.matchAll(pattern)].map(([, target]) => target as string);
  return { eager: of(/^(?:import|export)\b[^;"]*"([^"]+)";$/gm), late: of(/\bimport\("([^"]+)"\)/g) };
}

/** The files that a program loads, and the packages, with or without what it loads when it is wanted. */
function loadedBy(name: string, isLateWanted: boolean): { files: ReadonlySet<string>; packages: ReadonlySet<string> } {
  const files = new Set([join(directory, name)]);
  const packages = new Set<string>();
  for (const path of files) {
    const { eager, late } = importsOf(path);
    for (const target of [...eager, ...(isLateWanted ? late : [])]) {
      if (target.startsWith('.')) files.add(join(dirname(path), target));
      else if (!target.startsWith('node:') && !builtinModules.includes(target)) packages.add(target);
    }
  }
  return { files, packages };
}

test('kvctl needs no package at all', (t) => {
  t.deepEqual([...loadedBy('kvctl.js', true).packages], []);
});

test('kvd needs only packages that cannot be bundled', (t) => {
  const found = loadedBy('kvd.js', true).packages;
  t.true(found.size > 0);
  t.deepEqual(
    [...found].filter((name) => !packages.includes(name)),
    [],
  );
});

test('what every command of kvctl loads is a few files, as is kvd', (t) => {
  for (const name of ['kvctl.js', 'kvd.js']) {
    const { size } = loadedBy(name, false).files;
    t.true(size > 1 && size <= 30, `${name} loads ${size} files`);
  }
});

test('no file is left of an earlier bundle', (t) => {
  const wanted = new Set([...loadedBy('kvctl.js', true).files, ...loadedBy('kvd.js', true).files]);
  const there = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  t.deepEqual(
    there.map((entry) => relative(directory, join(entry.parentPath, entry.name))).sort(),
    [...wanted].map((path) => relative(directory, path)).sort(),
  );
});

test('both run through a link in another directory', (t) => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'ringraft-bundles-'));
  t.teardown(() => rmSync(elsewhere, { recursive: true, force: true }));
  for (const name of ['kvctl', 'kvd']) {
    const link = join(elsewhere, name);
    symlinkSync(join(directory, `${name}.js`), link);
    t.is(execFileSync(link, ['--version'], { cwd: elsewhere, encoding: 'utf8' }).trim(), version);
  }
});
