/**
 * Goal: single nodes of a local cluster start with the flags they had, stop, join, and are restarted one after the other
 * without a shard being taken away. Method: processes that are numbers, a state file that is real.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { RingraftError } from '../../../src/base/index.js';
import { readMembership } from '../../../src/cli/local/membership.js';
import { writeState } from '../../../src/cli/local/state.js';
import type { ManagerRequest } from '../../../src/wire/index.js';
import { FakeClient, hastyClock, kvctl } from '../../support/fake-client.js';
import { FakeLocal } from '../../support/fake-local.js';
import { aMove, aNodeView, aView } from '../../support/views.js';

function aLocal(t: ExecutionContext): FakeLocal {
  const local = new FakeLocal();
  t.teardown(() => local.remove());
  return local;
}

const flagsOf = (id: string): string[] => [
  '--config',
  'DIR/cluster.config.json',
  '--node',
  id,
  '--data',
  `DIR/data/${id}`,
  '--log-format',
  'json',
];

const joinFlags = (id: string, zone: string, weight: string): string[] =>
  `--join --cluster test --nats nats://127.0.0.1:4999 --node ${id} --zone ${zone} --weight ${weight} --data DIR/data/${id} --log-format json`.split(
    ' ',
  );

test('node stop waits for the end, node start starts it again as it was', async (t) => {
  const local = aLocal(t);
  local.looksToStop = 3;
  const stopped = await local.run(['node', 'stop', 'n2']);
  t.is(stopped.code, 0, stopped.err);
  t.is(stopped.out.toString(), 'n2 has stopped\n');
  t.deepEqual(local.signals, ['SIGTERM n2']);
  t.false(local.runs('n2'));
  t.is((await local.run(['node', 'stop', 'n2'])).out.toString(), 'n2 did not run\n');
  const started = await local.run(['node', 'start', 'n2', '-o', 'json']);
  t.is(started.code, 0, started.err);
  const { pid } = local.recorded.nodes.find(({ id }) => id === 'n2') ?? {};
  t.deepEqual(JSON.parse(started.out.toString()), { node: 'n2', pid, wasRunning: false });
  t.deepEqual(local.started, [flagsOf('n2')]);
  t.regex((await local.run(['node', 'start', 'n2'])).out.toString(), /n2 runs already/);
  t.is(local.started.length, 1);
});

test('node stop --kill sends SIGKILL', async (t) => {
  const local = aLocal(t);
  const { code, out } = await local.run(['node', 'stop', 'n3', '--kill', '-o', 'json']);
  t.is(code, 0);
  t.deepEqual(JSON.parse(out.toString()), { node: 'n3', wasRunning: true });
  t.deepEqual(local.signals, ['SIGKILL n3']);
});

test('a node that does not end in time is a time-out that names --kill', async (t) => {
  const local = aLocal(t);
  local.looksToStop = Number.POSITIVE_INFINITY;
  const { code, err } = await local.run(['node', 'stop', 'n2', '--wait-timeout', '2s']);
  t.is(code, 6);
  t.regex(err, /n2 \(process \d+\) has not ended; `kvctl node stop n2 --kill`/);
});

test('a node that dies at its start is told with the end of its log', async (t) => {
  const local = aLocal(t);
  local.kill('n2');
  local.staysUp = () => false;
  const { code, err } = await local.run(['node', 'start', 'n2']);
  t.is(code, 1);
  t.regex(err, /UNREACHABLE: node n2 stopped\. The end of its log/);
});

test('an unknown node is named with those there are, and nothing is touched', async (t) => {
  const local = aLocal(t);
  for (const command of ['start', 'stop', 'restart']) {
    const { code, err } = await local.run(['node', command, 'n9']);
    t.is(code, 2);
    t.regex(err, /there is no node n9 here; there are n1, n2, n3/);
  }
  const rolling = await local.run(['cluster', 'rolling-restart', '--node', 'n1', '--node', 'n9']);
  t.is(rolling.code, 2);
  t.deepEqual(local.signals, []);
  t.deepEqual(local.started, []);
});

test('what is not a local cluster is refused, with what to do instead', async (t) => {
  const elsewhere = ['--cluster', 'test', '--server', 'nats://a:1', '--state-dir', '/nonexistent'];
  const local = aLocal(t);
  for (const [argv, said] of [
    [['cluster', 'rolling-restart'], /SIGTERM, start it again, .* wait until `kvctl cluster status` exits with 0/],
    [['node', 'restart', 'n2'], /SIGTERM and start it again/],
    [['node', 'stop', 'n2'], /SIGTERM/],
    [['node', 'start', 'n2'], /start kvd on its machine/],
    [['node', 'add', 'n4'], /start kvd on its machine with --join/],
  ] as const) {
    const client = new FakeClient();
    const { code, err } = await kvctl([...argv, ...elsewhere], { client });
    t.is(code, 2, argv.join(' '));
    t.regex(err, said);
    t.deepEqual(client.calls, []);
    const other = await local.run([...argv, '--server', 'nats://elsewhere:1']);
    t.is(other.code, 2, 'a local cluster that is not the one that is meant');
  }
  t.deepEqual(local.signals, []);
  local.kill('nats-server');
  const gone = await local.run(['node', 'stop', 'n2']);
  t.is(gone.code, 1);
  t.regex(gone.err, /`kvctl up` starts it again/);
});

test('node add starts a node that joins, and records it', async (t) => {
  const local = aLocal(t);
  const { code, out, err } = await local.run(['node', 'add', 'n4', '--zone', 'z4', '--weight', '2']);
  t.is(code, 0, err);
  t.regex(
    out.toString(),
    /^n4 is in the cluster \(zone z4, weight 1, epoch 42\); replicas move to it by themselves\n$/,
  );
  t.deepEqual(local.started, [joinFlags('n4', 'z4', '2')]);
  t.deepEqual(readMembership(local.directory), { added: [{ id: 'n4', zone: 'z4', weight: 2 }], removed: [] });
  t.deepEqual(
    local.recorded.nodes.map(({ id }) => id),
    ['n1', 'n2', 'n3', 'n4'],
  );
  const again = await local.run(['node', 'add', 'n4']);
  t.is(again.code, 4);
  t.regex(again.err, /n4 is in the cluster already; `kvctl node start n4`/);
  await local.run(['node', 'stop', 'n4']);
  t.is((await local.run(['node', 'start', 'n4'])).code, 0);
  t.deepEqual(local.started[1], local.started[0], 'with the flags it had');
});

test('node add --wait stays until nothing moves, also when the manager takes a while to begin', async (t) => {
  const local = aLocal(t);
  const still = (): ReturnType<typeof aView> => aView(['n1', 'n2', 'n3', 'n4'].map((id) => aNodeView(id)));
  const answer = local.client.onManage;
  const views = [
    ...[0, 0, 0].map(() => still()),
    { ...still(), moves: [aMove()], waitingMoves: 3 },
    { ...still(), waitingMoves: 1 },
  ];
  local.client.onManage = (request: ManagerRequest) => {
    if (request.op !== 'view' || !local.runs('n4')) return answer(request);
    return { view: views.shift() ?? still() };
  };
  const { code, out, err } = await local.run(['node', 'add', 'n4', '--wait', '-o', 'json']);
  t.is(code, 0, err);
  t.like(JSON.parse(out.toString()), { node: 'n4', zone: 'z4', replicas: 1, settled: true });
  t.deepEqual(err.trimEnd().split('\n'), [
    'node n4  is alive',
    'moving replicas to n4    0 %  0 of 4 replicas',
    'moving replicas to n4   70 %  3 of 4 replicas',
    'moving replicas to n4  100 %  4 of 4 replicas',
  ]);
  t.is(views.length, 0);
});

test('node add starts nothing while there is no manager, and forgets a node that dies', async (t) => {
  const local = aLocal(t);
  const answer = local.client.onManage;
  local.client.onManage = () => {
    throw new RingraftError('NO_LEADER', 'no manager');
  };
  t.is((await local.run(['node', 'add', 'n4'])).code, 5);
  t.deepEqual(local.started, []);
  local.client.onManage = answer;
  local.staysUp = (id) => id !== 'n4';
  const { code, err } = await local.run(['node', 'add', 'n4']);
  t.is(code, 1);
  t.regex(err, /node n4 stopped/);
  t.deepEqual(readMembership(local.directory).added, []);
  t.false(local.recorded.nodes.some(({ id }) => id === 'n4'));
});

test('node add is exit code 2 for a name, zone or weight that cannot be', async (t) => {
  const local = aLocal(t);
  for (const argv of [['N4'], ['n4', '--zone', 'Zone 4'], ['n4', '--weight', '-1'], ['n4', '--weight', '0'], []]) {
    t.is((await local.run(['node', 'add', ...argv])).code, 2, argv.join(' '));
  }
  t.deepEqual(local.started, []);
});

test('a decommissioned node is not started again, and forgotten when it is stopped', async (t) => {
  const local = aLocal(t);
  await local.run(['node', 'add', 'n4']);
  const gone = await local.run(['node', 'decommission', 'n4']);
  t.regex(gone.out.toString(), /out of the cluster \(epoch 43\); `kvctl node stop n4` ends its process/);
  await local.run(['node', 'stop', 'n4']);
  t.false(local.recorded.nodes.some(({ id }) => id === 'n4'));
  await local.run(['node', 'decommission', 'n3']);
  local.kill('n3');
  local.started.length = 0;
  t.is((await local.run(['up'])).code, 0);
  t.deepEqual(local.started, [], 'neither the one that was added nor the one of the configuration');
});

test('up beside a cluster some of whose nodes are dead starts those again, added ones if their data are there', async (t) => {
  const local = aLocal(t);
  await local.run(['node', 'add', 'n4', '--zone', 'z4']);
  await local.run(['node', 'add', 'n5']);
  rmSync(join(local.directory, 'data', 'n5'), { recursive: true });
  for (const id of ['n2', 'n4', 'n5']) local.kill(id);
  local.members = local.members.filter((id) => id !== 'n5');
  local.started.length = 0;
  const { code, out, err } = await local.run(['up']);
  t.is(code, 0, err);
  t.is(out.toString(), 'nats://127.0.0.1:4999\n');
  t.regex(err, /runs already, at nats:\/\/127\.0\.0\.1:4999\nstarting n2, n4 again/);
  t.deepEqual(local.started, [flagsOf('n2'), joinFlags('n4', 'z4', '1')]);
  t.deepEqual(
    local.recorded.nodes.map(({ id }) => id),
    ['n1', 'n2', 'n3', 'n4'],
  );
  const again = await local.run(['up']);
  t.is(again.code, 0);
  t.is(local.started.length, 2, 'all run: nothing to start');
});

test('up whose node dies again says so and leaves the others alone', async (t) => {
  const local = aLocal(t);
  local.kill('n2');
  local.staysUp = () => false;
  const { code, err } = await local.run(['up']);
  t.is(code, 1);
  t.regex(err, /node n2 stopped/);
  t.deepEqual(local.signals, []);
  t.true(local.runs('n1') && local.runs('nats-server'));
});

test('down stops added nodes as well, and keeps the record of them', async (t) => {
  const local = aLocal(t);
  await local.run(['node', 'add', 'n4']);
  const { code, err } = await local.run(['down']);
  t.is(code, 0);
  t.is(err, 'stopped 5 processes\n');
  t.deepEqual(local.signals, ['SIGTERM n1', 'SIGTERM n2', 'SIGTERM n3', 'SIGTERM n4', 'SIGTERM nats-server']);
  t.deepEqual(
    readMembership(local.directory).added.map(({ id }) => id),
    ['n4'],
  );
});

test('node restart stops, starts and waits until the new process follows', async (t) => {
  const local = aLocal(t);
  local.looksToStop = 2;
  const before = local.recorded.nodes.find(({ id }) => id === 'n2')?.pid;
  const { code, out, err } = await local.run(['node', 'restart', 'n2']);
  t.is(code, 0, err);
  t.regex(out.toString(), /^n2 is back, after \d+\.\d s\n$/);
  t.deepEqual(err.trimEnd().split('\n'), ['restarting n2  stops', 'restarting n2  starts']);
  t.deepEqual(local.signals, ['SIGTERM n2']);
  t.not(local.recorded.nodes.find(({ id }) => id === 'n2')?.pid, before);
});

test('an answer of the process that was there before does not count', async (t) => {
  for (const argv of [
    ['node', 'restart', 'n2'],
    ['node', 'start', 'n2'],
  ]) {
    const local = aLocal(t);
    if (argv[1] === 'start') local.kill('n2');
    const before = local.recorded.nodes.find(({ id }) => id === 'n2')?.pid as number;
    local.pidTold = (id, pid) => (id === 'n2' ? before : pid);
    const { code, err } = await local.run([...argv, '--wait-timeout', '2s']);
    t.is(code, 6);
    t.regex(err, /not answer/);
  }
});

test('node restart of a node that does not run starts it', async (t) => {
  const local = aLocal(t);
  local.kill('n2');
  t.is((await local.run(['node', 'restart', 'n2', '-o', 'json'])).code, 0);
  t.deepEqual(local.signals, []);
  t.deepEqual(local.started, [flagsOf('n2')]);
});

test('rolling-restart takes one node after the other, none before the last one is back', async (t) => {
  const local = aLocal(t);
  const running: string[] = [];
  const start = local.processes.start;
  const processes = {
    ...local.processes,
    start: (...args: Parameters<typeof start>) => {
      running.push(['n1', 'n2', 'n3'].filter((id) => local.runs(id)).join(' '));
      return start(...args);
    },
  };
  const { code, out, err } = await local.run(['cluster', 'rolling-restart'], { processes });
  t.is(code, 0, err);
  t.regex(out.toString(), /^restarted 3 nodes: n1, n2, n3, in \d+\.\d s\n$/);
  t.deepEqual(local.signals, ['SIGTERM n1', 'SIGTERM n2', 'SIGTERM n3']);
  t.deepEqual(running, ['n2 n3', 'n1 n3', 'n1 n2'], 'two run while one is away');
  t.regex(
    err,
    /^restarting {4}0 % {2}0 of 3 nodes {2}n1: stops\n.*restarting {2}100 % {2}3 of 3 nodes {2}n3: is back\n$/s,
  );
});

test('rolling-restart of some nodes, with time between, as JSON', async (t) => {
  const local = aLocal(t);
  const clock = hastyClock();
  const argv = ['cluster', 'rolling-restart', '--node', 'n3', '--node', 'n1', '--pause', '10s', '-o', 'json'];
  const { code, out } = await local.run(argv, { clock });
  t.is(code, 0);
  const json = JSON.parse(out.toString());
  t.deepEqual(json.planned, ['n3', 'n1']);
  t.deepEqual(
    json.restarted.map(({ node }: { node: string }) => node),
    ['n3', 'n1'],
  );
  t.true(json.tookMs >= 10_000);
});

test('rolling-restart waits while a replica lags, and stops nobody when it does not catch up', async (t) => {
  const local = aLocal(t);
  const behind = { commitIndex: 5000, appliedIndex: 5000 };
  let looks = 0;
  local.shardOf = (id) => {
    if (id !== 'n3') return behind;
    return ++looks < 5 ? { commitIndex: 10, appliedIndex: 10 } : behind;
  };
  const waited = await local.run(['cluster', 'rolling-restart', '--node', 'n2']);
  t.is(waited.code, 0, waited.err);
  t.regex(
    waited.err,
    /n2: without it shard 7 would have no majority \(n3: it lacks 4,990 entries of shard 7\)\n.*n2: stops/s,
  );
  local.signals.length = 0;
  local.shardOf = (id) => (id === 'n3' ? {} : behind);
  const stuck = await local.run(['cluster', 'rolling-restart', '--wait-timeout', '5s']);
  t.is(stuck.code, 6);
  t.regex(
    stuck.err,
    /stopped at n1: not done within 5s: n1 was not stopped: without it shard 7 would have no majority/,
  );
  t.notRegex(stuck.err, /may have happened/, 'it certainly was not stopped');
  t.deepEqual(local.signals, []);
});

test('rolling-restart stops where a node does not come back, and says which', async (t) => {
  const local = aLocal(t);
  local.staysUp = (id) => id !== 'n2';
  const { code, err } = await local.run(['cluster', 'rolling-restart']);
  t.is(code, 1);
  t.regex(err, /stopped at n2: node n2 stopped\. The end of its log:\n.*before it: n1; not restarted: n3/s);
  t.deepEqual(local.signals, ['SIGTERM n1', 'SIGTERM n2']);
  const other = aLocal(t);
  other.shardOf = (id) => (id === 'n2' && other.signals.length > 0 ? { role: 'learner' } : {});
  const late = await other.run(['cluster', 'rolling-restart', '--node', 'n2', '--wait-timeout', '3s']);
  t.is(late.code, 6);
  t.regex(late.err, /stopped at n2: not done within 3s: n2 is not back: its replica of shard 7 does not vote yet/);
});

test('Ctrl-C in a rolling restart starts what was stopped, and stops no further node', async (t) => {
  const local = aLocal(t);
  const interrupt = new AbortController();
  const signal = local.processes.signal;
  local.looksToStop = 5;
  const processes = {
    ...local.processes,
    signal: (...args: Parameters<typeof signal>) => {
      interrupt.abort();
      return signal(...args);
    },
  };
  const { code, err } = await local.run(['cluster', 'rolling-restart'], { processes, signal: interrupt.signal });
  t.is(code, 130);
  t.deepEqual(local.signals, ['SIGTERM n1']);
  t.true(local.runs('n1'), 'it was started again');
  t.regex(err, /interrupted; back after their restart: none; no further node is stopped/);
});

test('a rolling restart leaves alone what was stopped on purpose', async (t) => {
  const local = aLocal(t);
  await local.run(['node', 'add', 'n4']);
  await local.run(['node', 'stop', 'n4']);
  local.signals.length = 0;
  const { code, out } = await local.run(['cluster', 'rolling-restart', '-o', 'json']);
  t.is(code, 0);
  t.deepEqual(JSON.parse(out.toString()).planned, ['n1', 'n2', 'n3']);
  t.false(local.runs('n4'));
});

test('a wrong --pause or --wait-timeout stops nobody', async (t) => {
  const local = aLocal(t);
  for (const argv of [
    ['--pause', 'long'],
    ['--wait-timeout', '0'],
  ]) {
    t.is((await local.run(['cluster', 'rolling-restart', ...argv])).code, 2);
  }
  t.deepEqual(local.signals, []);
});

test('up --secure beside a cluster that runs without is refused, and so is a second configuration', async (t) => {
  const local = aLocal(t);
  const { client, processes, directory } = local;
  const secure = join(directory, 'keys');
  const refused = await kvctl(['up', '--secure', secure, '--state-dir', directory], { client, processes });
  t.is(refused.code, 4);
  t.regex(refused.err, /runs already, unsecured/);
  t.deepEqual(local.started, []);
  t.is((await local.run(['up', '--secure', secure])).code, 2);
});

test('a node that is added to a secured cluster is given its configuration, for the key in it', async (t) => {
  const local = aLocal(t);
  writeState(local.directory, { ...local.recorded, secureDirectory: join(local.directory, 'keys') });
  const { code, err } = await local.run(['node', 'add', 'n4', '--zone', 'z4']);
  t.is(code, 0, err);
  const [flags = []] = local.started;
  t.is(flags[flags.indexOf('--config') + 1], 'DIR/cluster.config.json');
});
