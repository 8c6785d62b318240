#!/usr/bin/env node
// Sets up what a fresh machine lacks: dependencies, the build, and nats-server where asked. Plain Node, since it runs
// before anything is installed. Quick when there is nothing to do.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const leastNode = [20, 19];
const lockWaitMs = 10 * 60_000;

const say = (text) => process.stderr.write(`${text}\n`);

function fail(text) {
  say(text);
  process.exit(1);
}

/** Runs a command; shows what it printed only when it fails. */
function runQuietly(what, command, args, options = {}) {
  say(`${what} ...`);
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20, ...options });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  fail(`${what} failed (${result.error?.message ?? `exit code ${result.status}`})`);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [wantMajor, wantMinor] = leastNode;
  if (major < wantMajor || (major === wantMajor && minor < wantMinor)) {
    fail(`Ringraft needs Node ${wantMajor}.${wantMinor} or newer; this is ${process.versions.node}.`);
  }
}

/** One set-up at a time; a lock left by a dead process is taken over. */
function withLock(work) {
  const lock = join(root, '.bootstrap-lock');
  const owner = join(lock, 'pid');
  const isAlive = (pid) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };
  const deadline = Date.now() + lockWaitMs;
  for (;;) {
    try {
      mkdirSync(lock);
      writeFileSync(owner, String(process.pid));
      break;
    } catch {
      const pid = existsSync(owner) ? Number(readFileSync(owner, 'utf8')) : 0;
      if (pid > 0 && !isAlive(pid)) rmSync(lock, { recursive: true, force: true });
      else if (Date.now() > deadline) fail(`Another set-up holds ${lock}; remove it if none is running.`);
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  const release = () => {
    try {
      rmSync(lock, { recursive: true, force: true });
    } catch {
      // Nothing more can be done about it; the next set-up takes it over.
    }
  };
  process.once('exit', release);
  work();
  process.removeListener('exit', release);
  release();
}

const hashOf = (paths) => {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(path).update(readFileSync(path));
  return hash.digest('hex');
};

const readStamp = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

function installDependencies() {
  const lock = join(root, 'package-lock.json');
  const stamp = join(root, 'node_modules', '.ringraft-stamp');
  const wanted = hashOf([lock, join(root, 'package.json')]);
  if (readStamp(stamp) === wanted) return;
  const npm = process.env.npm_execpath;
  const [command, args] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  runQuietly('Installing dependencies', command, [...args, 'ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(stamp, wanted);
}

function* sources(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== 'generated') yield* sources(path);
    } else if (/\.(ts|proto)$/.test(entry.name)) yield path;
  }
}

function build() {
  const stamp = join(root, 'dist', '.stamp');
  const paths = [...sources(join(root, 'src')), ...sources(join(root, 'tests'))].sort();
  const fixed = ['tsconfig.json', 'package-lock.json', 'scripts/build-proto.mjs', 'scripts/bundle.mjs'].map((name) =>
    join(root, name),
  );
  const hash = createHash('sha256');
  for (const path of [...paths, ...fixed]) {
    const { mtimeMs, size } = statSync(path);
    hash.update(`${path} ${mtimeMs} ${size}\n`);
  }
  const wanted = hash.digest('hex');
  if (readStamp(stamp) === wanted) return;
  // From nothing: what a deleted source left behind would still be run.
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  runQuietly('Compiling messages', process.execPath, [join(root, 'scripts', 'build-proto.mjs')]);
  runQuietly('Compiling', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root]);
  runQuietly('Bundling', process.execPath, [join(root, 'scripts', 'bundle.mjs')]);
  writeFileSync(stamp, wanted);
}

/** Path of nats-server, or undefined. */
export function findNatsServer() {
  if (process.env.NATS_SERVER) return process.env.NATS_SERVER;
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];
  return places.map((place) => join(place, 'nats-server')).find((path) => existsSync(path));
}

const has = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;

function installNatsServer() {
  if (findNatsServer() !== undefined) return;
  const isRoot = process.getuid?.() === 0;
  const canSudo = !isRoot && has('sudo') && spawnSync('sudo', ['-n', 'true']).status === 0;
  if (has('apt-get') && (isRoot || canSudo)) {
    const [command, first] = isRoot ? ['env', []] : ['sudo', ['-n', 'env']];
    // RUNLEVEL=1 keeps the package from starting a server of its own.
    const env = ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1'];
    runQuietly('Refreshing the package lists', command, [...first, ...env, 'apt-get', 'update', '-q']);
    const install = ['apt-get', 'install', '-y', '-q', '--no-install-recommends', 'nats-server'];
    runQuietly('Installing nats-server', command, [...first, ...env, ...install]);
  } else if (process.platform === 'darwin' && has('brew')) {
    runQuietly('Installing nats-server', 'brew', ['install', 'nats-server']);
  }
  if (findNatsServer() === undefined) {
    fail('nats-server is missing: install it (https://nats.io/download) or set NATS_SERVER to its path.');
  }
}

/** Everything this checkout needs to run; with `natsServer`, the server too. */
export async function bootstrap({ natsServer = false } = {}) {
  checkNode();
  withLock(() => {
    installDependencies();
    build();
    if (natsServer) installNatsServer();
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await bootstrap({ natsServer: process.argv.includes('--nats-server') });
}
