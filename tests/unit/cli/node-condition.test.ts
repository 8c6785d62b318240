/** Goal: orders about nodes are sent once and as typed, and waiting follows what the manager tells until it is done. */
import test from 'ava';
import { RingraftError } from '../../../src/base/index.js';
import type { ClusterView, ManagerRequest, NodeView } from '../../../src/wire/index.js';
import { FakeClient, hastyClock, kvctl, type RunOptions } from '../../support/fake-client.js';
import { aNodeView, aView, managing, threeNodes } from '../../support/views.js';

const nowhere = ['--cluster', 'test', '--server', 'nats://a:1', '--state-dir', '/nonexistent'];

const node = (argv: readonly string[], client: FakeClient, options: RunOptions = {}) =>
  kvctl(['node', ...argv, ...nowhere], { client, clock: hastyClock(), ...options });

const ordersOf = (client: FakeClient): readonly object[] =>
  client.calls.filter(({ what, bucket }) => what === 'manage' && bucket !== 'view').map(({ options }) => options);

function clientWith(...turns: Parameters<typeof managing>): FakeClient {
  const client = new FakeClient();
  client.onManage = managing(...turns);
  return client;
}

const viewWith = (fields: Partial<NodeView>, more: Partial<ClusterView> = {}): ClusterView =>
  aView([aNodeView('n1'), aNodeView('n2', fields), aNodeView('n3')], more);

const draining = (replicas: number, leaving: number): ClusterView =>
  viewWith({ condition: 'draining', replicas, leaving });

const drained = viewWith({ condition: 'drained', replicas: 0 });

test('drain, recommission and set send one order and say the epoch', async (t) => {
  for (const [argv, request, said] of [
    [['drain', 'n2'], { op: 'drain', node: 'n2' }, 'n2 is being drained (epoch 43); --wait stays until it is\n'],
    [['recommission', 'n2'], { op: 'recommission', node: 'n2' }, 'n2 is up (epoch 43)\n'],
    [
      ['set', 'n2', '--weight', '2', '--zone', 'b'],
      { op: 'setNode', node: 'n2', weight: 2, zone: 'b' },
      'n2: weight 2, zone b (epoch 43)\n',
    ],
    [['set', 'n2', '--weight', '0.5'], { op: 'setNode', node: 'n2', weight: 0.5 }, 'n2: weight 0.5 (epoch 43)\n'],
  ] as const) {
    const client = clientWith([aView(threeNodes())]);
    const { code, out, err } = await node(argv, client);
    t.is(code, 0, err);
    t.is(out.toString(), said);
    t.deepEqual(ordersOf(client), [request]);
    const json = JSON.parse((await node([...argv, '-o', 'json'], client)).out.toString());
    t.like(json, { node: 'n2', epoch: 43 });
  }
});

test('drain --wait shows what is left until the node is drained, and outlives a change of the manager', async (t) => {
  const client = clientWith([
    draining(2, 2),
    draining(0, 3),
    new RingraftError('NO_LEADER', 'an election'),
    new RingraftError('TIMEOUT', 'slow'),
    new RingraftError('UNREACHABLE', 'a network'),
    draining(0, 1),
    draining(0, 0),
    drained,
  ]);
  const { code, out, err } = await node(['drain', 'n2', '--wait'], client);
  t.is(code, 0, err);
  t.deepEqual(ordersOf(client), [{ op: 'drain', node: 'n2' }]);
  t.is(out.toString(), 'n2 is drained: it may be stopped now\n');
  t.deepEqual(err.trimEnd().split('\n'), [
    'draining n2    0 %  0 of 4 replicas',
    'draining n2   20 %  1 of 4 replicas',
    'draining n2   20 %  1 of 4 replicas  no manager at the moment',
    'draining n2   20 %  1 of 4 replicas  no answer at the moment (TIMEOUT)',
    'draining n2   20 %  1 of 4 replicas  no answer at the moment (UNREACHABLE)',
    'draining n2   70 %  3 of 4 replicas',
    'draining n2  100 %  4 of 4 replicas',
  ]);
});

test('drain --wait -o json keeps standard output for the answer', async (t) => {
  const { out } = await node(['drain', 'n2', '--wait', '-o', 'json'], clientWith([draining(1, 0), drained]));
  t.deepEqual(JSON.parse(out.toString()), { node: 'n2', epoch: 43, condition: 'drained' });
});

test('what keeps a drain from going on is told once', async (t) => {
  const stuck = viewWith({ condition: 'draining', liveness: 'dead' }, { problems: ['shard 3 has nowhere to go'] });
  const { err } = await node(['drain', 'n2', '--wait'], clientWith([stuck, stuck, stuck, drained]));
  t.is(err.match(/problem: shard 3 has nowhere to go/g)?.length, 1);
  t.regex(err, /the node is dead/);
});

test('--wait-timeout ends the waiting, not the order', async (t) => {
  const { code, err } = await node(['drain', 'n2', '--wait-timeout', '3s'], clientWith([draining(1, 1)]));
  t.is(code, 6);
  t.regex(err, /TIMEOUT: not done within 3s: node n2 holds replicas still; they go on being moved away/);
  const silent = clientWith([new RingraftError('NO_LEADER', 'gone')]);
  t.is((await node(['drain', 'n2', '--wait-timeout', '3s'], silent)).code, 6, 'nor does silence make it longer');
});

test('Ctrl-C while waiting: exit code 130, and the order stays in force', async (t) => {
  for (const [argv, turn, said] of [
    [['drain', 'n2', '--wait'], draining(1, 1), /stays in force: n2 goes on draining; `kvctl node recommission n2`/],
    [['decommission', 'n2', '--wait'], draining(1, 1), /stays in force: n2 goes on draining; .*decommission n2/],
  ] as const) {
    const interrupt = new AbortController();
    let looks = 0;
    const client = new FakeClient();
    const answer = managing([turn], ({ op }) => {
      if (op === 'decommission') throw new RingraftError('BUSY', 'it holds replicas');
      return { done: true, epoch: 43 };
    });
    client.onManage = (request) => {
      if (request.op === 'view' && ++looks === 3) interrupt.abort();
      return answer(request);
    };
    const { code, out, err } = await node(argv, client, { signal: interrupt.signal });
    t.is(code, 130);
    t.regex(err, said);
    t.is(out.length, 0);
    t.is(client.closed, 1);
  }
});

test('Ctrl-C does not wait for an answer that does not come', async (t) => {
  const interrupt = new AbortController();
  const client = new FakeClient();
  client.onManage = ({ op }) => {
    if (op !== 'view') return { done: true, epoch: 43 };
    setImmediate(() => interrupt.abort());
    return new Promise(() => {});
  };
  const { code, err } = await node(['drain', 'n2', '--wait'], client, { signal: interrupt.signal });
  t.is(code, 130);
  t.regex(err, /stays in force/);
});

test('a drain that somebody takes back is a conflict, of a node that is removed it is done', async (t) => {
  const back = await node(['drain', 'n2', '--wait'], clientWith([draining(1, 1), viewWith({})]));
  t.is(back.code, 4);
  t.regex(back.err, /n2 is up again/);
  const gone = await node(['drain', 'n2', '--wait'], clientWith([draining(1, 0), aView([aNodeView('n1')])]));
  t.is(gone.code, 0);
});

/** Refuses to remove n2 until it has been asked so many times. */
function removingAt(times: number): { readonly onOrder: (request: ManagerRequest) => { done: true; epoch: number } } {
  let asked = 0;
  return {
    onOrder() {
      if (++asked < times) throw new RingraftError('BUSY', 'it holds replicas');
      return { done: true, epoch: 50 };
    },
  };
}

test('decommission of a node that holds nothing is done at once', async (t) => {
  const client = clientWith([aView(threeNodes())]);
  const { code, out } = await node(['decommission', 'n2', '--force'], client);
  t.is(code, 0);
  t.is(out.toString(), 'n2 is out of the cluster (epoch 43)\n');
  t.deepEqual(ordersOf(client), [{ op: 'decommission', node: 'n2', force: true }]);
});

test('decommission without --wait of a node that holds something says how to go on, exit code 1', async (t) => {
  const client = clientWith([draining(3, 0)], removingAt(99).onOrder);
  const { code, err } = await node(['decommission', 'n2'], client);
  t.is(code, 1);
  t.regex(err, /^kvctl: BUSY: n2 still holds replicas and is being drained: `kvctl node decommission n2 --wait`/);
  t.is(ordersOf(client).length, 1);
});

test('decommission --wait drains, and removes only when nothing is left', async (t) => {
  const client = clientWith([draining(2, 0), draining(0, 1), drained, drained], removingAt(3).onOrder);
  const { code, out, err } = await node(['decommission', 'n2', '--wait', '-o', 'json'], client);
  t.is(code, 0, err);
  t.deepEqual(JSON.parse(out.toString()), { node: 'n2', epoch: 50, removed: true });
  t.is(ordersOf(client).length, 3, 'first, and for each view in which it held nothing');
  t.regex(err, /draining n2 {2}100 % {2}2 of 2 replicas\n$/);
});

test('decommission --wait is content when somebody else removed the node, and not when somebody took it back', async (t) => {
  const gone = await node(
    ['decommission', 'n2', '--wait'],
    clientWith([draining(1, 0), aView([aNodeView('n1')], { epoch: 60 })], removingAt(9).onOrder),
  );
  t.is(gone.code, 0);
  t.regex(gone.out.toString(), /out of the cluster \(epoch 60\)/);
  const back = await node(['decommission', 'n2', '--wait'], clientWith([viewWith({})], removingAt(9).onOrder));
  t.is(back.code, 4);
});

test('what is asked wrongly is exit code 2, and nothing is sent', async (t) => {
  for (const argv of [
    ['drain'],
    ['drain', 'N2'],
    ['drain', 'n2', 'n3'],
    ['drain', 'n2', '--wait-timeout', 'soon'],
    ['recommission'],
    ['decommission', 'not a node'],
    ['set', 'n2'],
    ['set', 'n2', '--weight', '0'],
    ['set', 'n2', '--weight', '1001'],
    ['set', 'n2', '--weight', 'heavy'],
    ['set', 'n2', '--zone', 'Zone B'],
  ]) {
    const client = clientWith([aView(threeNodes())]);
    const { code, err } = await node(argv, client);
    t.is(code, 2, argv.join(' '));
    t.regex(err, /^kvctl: .+/);
    t.deepEqual(client.calls, []);
  }
});

test('what the manager refuses ends in its exit code, also with --wait', async (t) => {
  for (const argv of [
    ['drain', 'n9', '--wait'],
    ['recommission', 'n9'],
    ['decommission', 'n9', '--wait'],
  ]) {
    const client = clientWith([aView(threeNodes())], () => {
      throw new RingraftError('BAD_REQUEST', 'there is no node n9');
    });
    const { code, err } = await node(argv, client);
    t.is(code, 2);
    t.is(err, 'kvctl: BAD_REQUEST: there is no node n9\n');
    t.is(ordersOf(client).length, 1);
  }
});

test('every command of the group has help with examples', async (t) => {
  for (const name of ['ls', 'drain', 'recommission', 'decommission', 'set', 'add', 'start', 'stop', 'restart']) {
    const { code, out } = await kvctl(['node', name, '--help']);
    t.is(code, 0);
    t.regex(out.toString(), new RegExp(`kvctl node ${name}\\b.*Examples:.*kvctl node `, 's'), name);
  }
});
