#!/usr/bin/env node
// Who may import whom (docs/decisions.md). Checks src/ and prints every breach; exit code 1 when there is one.
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
  meta: ['base', 'client', 'host', 'ring', 'wire'],
  config: ['base'],
  daemon: ['base'],
  cli: ['base', 'client', 'config', 'wire'],
};

/** Files that put the program together may import more. */
const roots = {
  'src/main.ts': Object.keys(allowed).filter((folder) => folder !== 'cli'),
  'src/cli/connect.ts': [...allowed.cli, 'ring', 'transport'],
  'src/cli/quickstart/steps.ts': [...allowed.cli, 'ring'],
};

/** Packages that one file alone may import. */
const oneDoor = {
  nats: 'src/transport/nats-bus.ts',
  'level-rocksdb': 'src/engine/rocks-engine.ts',
  'classic-level': 'src/engine/classic-engine.ts',
  yargs: 'src/cli/yargs.ts',
  pino: 'src/daemon/logging.ts',
  'pino-pretty': 'src/daemon/logging.ts',
  'prom-client': 'src/host/metrics.ts',
  zod: 'src/config/',
  protobufjs: 'src/proto/',
  'xxhash-wasm': 'src/ring/hash.ts',
  'lru-cache': 'src/kv/reader.ts',
};

const mostLines = 500;
const importPattern = /(?:^|\n)\s*(?:import|export)\s[^;]*?\bfrom\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g;

const folderOf = (path) => (path.split('/').length > 2 ? path.split('/')[1] : '');

/** The breaches in `files` ({path, text}; paths from the root, with `/`). */
export function check(files) {
  const breaches = [];
  const edges = new Map();
  for (const { path, text } of files) {
    const say = (what) => breaches.push(`${path}: ${what}`);
    const folder = folderOf(path);
    const may = roots[path] ?? allowed[folder];
    if (may === undefined) say(`src/${folder} has no rule about what it may import`);
    const name = path.split('/').at(-1);
    if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.d)?\.ts$/.test(name)) say('file names are kebab-case');
    if (text.split('\n').length > mostLines) say(`has more than ${mostLines} lines`);
    if (/\bas any\b|@ts-ignore|@ts-nocheck|\bTODO\b|\bFIXME\b/.test(text))
      say('holds `as any`, a silenced type, a TODO or a FIXME');
    for (const [, from, dynamic] of text.matchAll(importPattern)) {
      const target = from ?? dynamic;
      if (!target.startsWith('.')) {
        const name = target.startsWith('@') ? target.split('/').slice(0, 2).join('/') : target.split('/')[0];
        const door = oneDoor[name];
        if (door !== undefined && !path.startsWith(door)) say(`imports ${name}, which only ${door} may`);
        continue;
      }
      const parts = [...path.split('/').slice(0, -1)];
      for (const part of target.split('/')) part === '..' ? parts.pop() : part !== '.' && parts.push(part);
      const targetFolder = parts[1] ?? '';
      if (parts[0] !== 'src' || targetFolder === folder) continue;
      if (!may?.includes(targetFolder)) {
        say(`imports src/${targetFolder}; src/${folder || 'main.ts'} may import only ${may?.join(', ') || 'nothing'}`);
      }
      if (parts.slice(2).join('/') !== 'index.js')
        say(`reaches into src/${targetFolder} past its index.ts (${target})`);
      if (roots[path] === undefined) edges.set(folder, (edges.get(folder) ?? new Set()).add(targetFolder));
    }
  }
  for (const cycle of cycles(edges)) breaches.push(`src: a cycle of folders: ${cycle.join(' -> ')}`);
  return breaches;
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

/** All of src/, as `check` wants it. */
export const readTree = () =>
  [...sources(join(root, 'src'))].map((path) => ({
    path: relative(root, path).split(sep).join('/'),
    text: readFileSync(path, 'utf8'),
  }));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = readTree();
  const breaches = check(files);
  for (const breach of breaches) console.error(breach);
  console.log(`layering: ${files.length} files, ${breaches.length} breaches`);
  process.exitCode = breaches.length === 0 ? 0 : 1;
}
