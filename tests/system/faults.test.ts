/**
 * Goal: what the documentation says of `kvctl fault` and scripts/partition holds for real processes: a fault is seen, heals after
 * its time or at Ctrl-C, and nothing stays behind. Method: a cluster of three nodes with a nats-server each, by the
 * commands a user types.
 */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { isRunning, type LocalNode, readState } from '../../src/cli/local/state.js';
import { kvctlPath, type RunResult, runProgram } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

t.setTimeout(hangGuardMs);

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const directory = mkdtempSync(join(tmpdir(), 'ringraft faults '));
const stateDirectory = join(directory, '.ringraft');
copyFileSync(join(root, 'cluster.config.json'), join(directory, 'cluster.config.json'));

const kvctl = (...args: readonly string[]): Promise<RunResult> => runProgram(kvctlPath, args, { cwd: directory });
type Reach = { readonly from: string; readonly to: string; readonly reached: boolean };

async function silent(): Promise<readonly string[]> {
  const { stdout } = await kvctl('fault', 'probe', '-o', 'json');
  const reaches = JSON.parse(stdout.toString()) as readonly Reach[];
  return reaches.filter(({ reached }) => !reached).map(({ from, to }) => `${from}>${to}`);
}

async function untilWhole(): Promise<void> {
  while ((await silent()).length > 0);
}

t.before(async () => {
  const { code, stderr } = await kvctl('up', '--topology', 'clustered', '--nodes', '3', '--shards', '4');
  t.equal(code, 0, stderr);
});
t.teardown(async () => {
  await kvctl('down');
  rmSync(directory, { recursive: true, force: true });
});

t.test('a nats-server for each node, and all hear all', async (t) => {
  const state = readState(stateDirectory);
  t.same(
    state?.brokers.map(({ name }) => name),
    ['nats-n1', 'nats-n2', 'nats-n3'],
  );
  await untilWhole();
  t.equal((await kvctl('put', 'a', '1')).code, 0);
});

t.test('split: the minority is silent, its broker answers no linearizable read, and Ctrl-C heals', async (t) => {
  const script = spawn(join(root, 'scripts', 'partition', 'split'), ['n1 | n2,n3'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let out = '';
  const said = new Promise<void>((resolve) => {
    script.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
      if (out.includes('undo:')) resolve();
    });
  });
  const closed = new Promise<number | null>((resolve) => script.on('close', resolve));
  await Promise.race([said, closed]);
  t.match(out, /split-1: split n1 \| n2,n3\nseen: {2}no message passes any more: nats-n1 -> nats-n2/);
  t.same(await silent(), ['nats-n1>nats-n2', 'nats-n1>nats-n3', 'nats-n2>nats-n1', 'nats-n3>nats-n1']);
  const [minority, majority] = readState(stateDirectory)?.brokers.map(({ url }) => url) ?? [];
  const cut = await kvctl('get', 'a', '-s', minority ?? '', '-t', '2s');
  t.ok([1, 5, 6].includes(cut.code ?? 0), `exit code ${cut.code}: ${cut.stderr}`);
  t.equal((await kvctl('put', 'a', '2', '-s', majority ?? '', '-t', '10s')).code, 0);
  // As a terminal does: to the script and to what it runs.
  process.kill(-(script.pid as number), 'SIGINT');
  t.equal(await closed, 0);
  t.match(out, /healed split-1/);
  await untilWhole();
  t.equal((await kvctl('get', 'a', '-s', minority ?? '', '-t', '10s')).stdout.toString().trim(), '2');
});

t.test('a dead node runs again after its time, a paused one goes on', async (t) => {
  const pid = () => readState(stateDirectory)?.nodes.find(({ id }) => id === 'n2')?.pid;
  const before = pid();
  const killed = await kvctl('fault', 'kill', 'n2', '--for', '500ms');
  t.equal(killed.code, 0, killed.stderr);
  t.not(pid(), before);
  const paused = await kvctl('fault', 'pause', 'leader-of:1', '--for', '500ms');
  t.match(paused.stdout.toString(), /the process of n\d is stopped/);
  t.equal((await kvctl('put', 'b', '1', '-t', '10s')).code, 0);
});

t.test('a node that starts while it is cut off waits, and serves once it is not', async (t) => {
  t.equal((await kvctl('fault', 'kill', 'n3', '--detach')).code, 0);
  t.equal((await kvctl('fault', 'isolate', 'n3', '--detach')).code, 0);
  const logPath = join(stateDirectory, 'logs', 'n3.log');
  const before = readFileSync(logPath, 'utf8').length;
  t.equal((await kvctl('fault', 'heal', 'kill-1')).code, 0);
  const node = () => readState(stateDirectory)?.nodes.find(({ id }) => id === 'n3');
  const said = () => readFileSync(logPath, 'utf8').slice(before);
  while (!/waiting for the cluster|"serving"/.test(said()) && isRunning(node() as LocalNode)) await sleep(50);
  t.ok(isRunning(node() as LocalNode), 'it once ended after five seconds without an answer');
  t.equal((await kvctl('fault', 'heal')).code, 0);
  let healthy = false;
  while (!healthy) healthy = JSON.parse((await kvctl('status', '-o', 'json')).stdout.toString()).healthy;
  t.ok(healthy);
});

t.test('what was left in force is listed, and heal ends it', async (t) => {
  t.equal((await kvctl('fault', 'clock-jump', 'n3', '1h', '--back', '--detach')).code, 0);
  t.equal((await kvctl('fault', 'one-way', 'n1 -> n3', '--detach')).code, 0);
  const listed = JSON.parse((await kvctl('fault', 'ls', '-o', 'json')).stdout.toString()) as readonly { id: string }[];
  t.same(
    listed.map(({ id }) => id),
    ['clock-jump-1', 'one-way-1'],
  );
  t.match((await kvctl('fault', 'heal')).stdout.toString(), /healed clock-jump-1, one-way-1/);
  await untilWhole();
  t.match((await kvctl('fault', 'ls')).stderr, /no fault is in force/);
});

t.test('a reset connection comes back; a restarted nats-server as well', async (t) => {
  t.match((await kvctl('fault', 'reset', 'n1', 'n2')).stdout.toString(), /were reset/);
  const restarted = await kvctl('fault', 'broker-restart', 'n1', '--for', '300ms');
  t.match(restarted.stdout.toString(), /nats-n1 has ended/);
  await untilWhole();
  t.equal((await kvctl('put', 'c', '1', '-t', '15s')).code, 0);
});

t.test('down leaves no process and no fault behind, whatever was in force', async (t) => {
  t.equal((await kvctl('fault', 'pause', 'n1', '--detach')).code, 0);
  t.equal((await kvctl('fault', 'isolate', 'n2', '--detach')).code, 0);
  const state = readState(stateDirectory);
  const processes = [...(state?.nodes ?? []), ...(state?.brokers ?? [])];
  const faultServer = JSON.parse(readFileSync(join(stateDirectory, 'cluster.json'), 'utf8')).topology.faultServer;
  const { code, stderr } = await kvctl('down');
  t.equal(code, 0, stderr);
  t.same([...processes, faultServer].filter(isRunning), []);
  t.equal(readState(stateDirectory), undefined);
});

t.test('up --foreground stays until Ctrl-C, and then nothing is left', async (t) => {
  const up = spawn(process.execPath, [kvctlPath, 'up', '--foreground', '--nodes', '1', '--fresh'], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const closed = new Promise<number | null>((resolve) => up.on('close', resolve));
  let said = '';
  const isUp = new Promise<void>((resolve) => {
    up.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      if (said.includes('Ctrl-C stops it all')) resolve();
    });
  });
  await Promise.race([isUp, closed]);
  const state = readState(stateDirectory);
  // It once ended here by itself: nothing kept the process alive.
  await sleep(300);
  t.equal(up.exitCode, null);
  up.kill('SIGINT');
  t.equal(await closed, 0, said);
  t.same([...(state?.nodes ?? []), ...(state?.brokers ?? [])].filter(isRunning), []);
});
