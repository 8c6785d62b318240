#!/usr/bin/env node
// Who may import whom, and a few rules of tidiness. Checks src/ and tests/ and prints every breach; exit code 1 when
// there is one.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Folder under src -> folders it may import, besides itself. */
export const allowed = {
  base: [],
  raft: ['base'],
  ring: ['base'],
  engine: ['base'],
  proto: ['base'],
  wire: ['base', 'proto', 'raft'],
  wal: ['base', 'raft'],
  transport: ['base', 'wire'],
  kv: ['base', 'engine', 'raft', 'ring', 'wire'],
  host: ['base', 'kv', 'raft', 'ring', 'transport', 'wal', 'wire'],
  client: ['base', 'ring', 'transport', 'wire'],
  service: ['base', 'client', 'host', 'transport', 'wire'],
  meta: ['base', 'client', 'host', 'kv', 'ring', 'transport', 'wire'],
  config: ['base'],
  daemon: ['base'],
  checker: ['base'],
  faults: ['base', 'config', 'transport', 'wal'],
  cli: ['base', 'client', 'config', 'faults', 'ring', 'wire'],
  chaos: ['base', 'checker', 'cli', 'client', 'config', 'faults', 'ring', 'wire'],
  compare: ['base', 'cli', 'client', 'proto', 'transport'],
};

/** Files that put the program together may import more. */
const roots = {
  'src/main.ts': Object.keys(allowed).filter((folder) => folder !== 'cli'),
  'src/cli/connect.ts': [...allowed.cli, 'transport'],
  'src/faults/main.ts': allowed.faults,
  'src/chaos/main.ts': allowed.chaos,
};

/** What builds an adapter, and the files outside the adapter's own folder that may name it. Tests may, too. */
const builders = { connectNats: 'transport', openEngine: 'engine', nodeDisk: 'wal' };
const builderUsers =
  /^src\/(main|faults\/main|cli\/(main|connect)|cli\/quickstart\/.*|compare\/(main|load-process))\.ts$/;

/** Packages that one file alone, or one file of each kind, may import. */
const oneDoor = {
  nats: 'src/transport/nats-bus.ts',
  'level-rocksdb': 'src/engine/rocks-engine.ts',
  'classic-level': 'src/engine/classic-engine.ts',
  yargs: 'src/cli/yargs.ts',
  pino: 'src/daemon/logging.ts',
  'pino-pretty': 'src/daemon/logging.ts',
  'prom-client': 'src/host/metrics.ts',
  zod: ['src/config/', 'src/cli/bench/earlier-run.ts'],
  protobufjs: 'src/proto/',
  'nkeys.js': 'src/cli/secure/user-keys.ts',
  '@peculiar/x509': 'src/cli/secure/certificates.ts',
  'reflect-metadata': 'src/cli/secure/certificates.ts',
  'xxhash-wasm': 'src/ring/hash.ts',
  'lru-cache': 'src/kv/reader.ts',
  echarts: 'src/compare/charts.ts',
};

const mostLines = 500;
const importPattern = /(?:^|\n)\s*(?:import|export)\s[^;]*?\bfrom\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;

/** Names brought in by an import or re-export of more than a type. */
const namesPattern = /(?:^|\n)\s*(?:import|export)\s+(?!type\b)[^;]*?\{([^}]*)\}\s*from/g;

const folderOf = (path) => (path.split('/').length > 2 ? path.split('/')[1] : '');

function untidy(path, text, say) {
  const name = path.split('/').at(-1);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.d|\.test)?\.ts$/.test(name)) say('file names are kebab-case');
  if (text.split('\n').length > mostLines) say(`has more than ${mostLines} lines`);
  // "as any client would" is prose, not a cast.
  if (/\bas any\b(?! (?!as\b)[a-zA-Z])|@ts-ignore|@ts-nocheck|\bTODO\b|\bFIXME\b/.test(text)) {
    say('holds `as any`, a silenced type, a TODO or a FIXME');
  }
  if (/\btest\w*(\.\w+)*\.only\(|\bonly: true\b/.test(text)) say('runs one test alone (.only)');
}

function checkPackage(path, target, say) {
  const name = target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');
  const doors = [oneDoor[name] ?? []].flat();
  if (doors.length === 0 || doors.some((door) => path.startsWith(door))) return;
  say(`imports ${name}: not allowed, only ${doors.join(' and ')} may`);
}

/** The path from the root that a relative import means. */
function resolveImport(path, target) {
  const parts = path.split('/').slice(0, -1);
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts;
}

function checkImports(path, text, say, edges) {
  const folder = folderOf(path);
  const may = roots[path] ?? allowed[folder];
  if (may === undefined) say(`src/${folder} has no rule about what it may import`);
  for (const [, from, dynamic] of text.matchAll(importPattern)) {
    const target = from ?? dynamic;
    if (!target.startsWith('.')) {
      checkPackage(path, target, say);
      continue;
    }
    const [top, targetFolder = '', ...rest] = resolveImport(path, target);
    if (top !== 'src') say(`imports ${target}: not allowed, it is outside src`);
    if (top !== 'src' || targetFolder === folder) continue;
    if (!may?.includes(targetFolder)) {
      const most = may?.join(', ') || 'nothing';
      say(`imports src/${targetFolder}: not allowed, src/${folder || 'main.ts'} may import only ${most}`);
    }
    if (rest.join('/') !== 'index.js') say(`reaches into src/${targetFolder} past its index.ts (${target})`);
    if (roots[path] === undefined) edges.set(folder, (edges.get(folder) ?? new Set()).add(targetFolder));
  }
  for (const [, names] of text.matchAll(namesPattern)) {
    for (const name of names.split(',').map((each) => each.trim().split(/\s/)[0])) {
      const home = builders[name];
      if (home === undefined || home === folder || builderUsers.test(path)) continue;
      say(`imports ${name}: not allowed, only the roots of a program build adapters`);
    }
  }
}

/** The breaches in `files` ({path, text}; paths from the root, with `/`). */
export function check(files) {
  const breaches = [];
  const edges = new Map();
  for (const { path, text } of files) {
    const say = (what) => breaches.push(`${path}: ${what}`);
    untidy(path, text, say);
    if (path.startsWith('src/')) checkImports(path, text, say, edges);
  }
  for (const cycle of cycles(edges)) breaches.push(`src: a cycle of folders: ${cycle.join(' -> ')}`);
  return breaches;
}

/** Folders of src without the index.ts that others import. */
export function foldersWithoutIndex(files) {
  const paths = new Set(files.map(({ path }) => path));
  const folders = new Set(files.filter(({ path }) => path.startsWith('src/')).map(({ path }) => folderOf(path)));
  return [...folders].filter((folder) => folder !== '' && !paths.has(`src/${folder}/index.ts`));
}

function cycles(edges) {
  const found = [];
  const done = new Set();
  const visit = (folder, trail) => {
    if (trail.includes(folder)) found.push([...trail.slice(trail.indexOf(folder)), folder]);
    else if (!done.has(folder)) {
      for (const next of edges.get(folder) ?? []) visit(next, [...trail, folder]);
      done.add(folder);
    }
  };
  for (const folder of edges.keys()) visit(folder, []);
  return found;
}

function* sources(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && entry.name !== 'generated') yield* sources(path);
    else if (entry.name.endsWith('.ts')) yield path;
  }
}

/** All of src/ and tests/, as `check` wants it. */
export const readTree = () =>
  [...sources(join(root, 'src')), ...sources(join(root, 'tests'))].map((path) => ({
    path: relative(root, path).split(sep).join('/'),
    text: readFileSync(path, 'utf8'),
  }));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = readTree();
  const missing = foldersWithoutIndex(files).map((folder) => `src/${folder}: has no index.ts`);
  const breaches = [...check(files), ...missing];
  for (const breach of breaches) console.error(breach);
  console.log(`layering: ${files.length} files, ${breaches.length} breaches`);
  process.exitCode = breaches.length === 0 ? 0 : 1;
}
