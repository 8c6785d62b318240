/** Goal: node ls tells who answers, what they hold, and where what they say of each other does not fit. */
import test from 'ava';
import { RingraftError } from '../../../src/base/index.js';
import type { NodeStatus, NodeView } from '../../../src/wire/index.js';
import { FakeClient, hastyClock, kvctl } from '../../support/fake-client.js';
import { aLeader, aNode, aPeer, clusterTelling, onNode, type Told } from '../../support/statuses.js';
import { aNodeView, aView, managing } from '../../support/views.js';

const first = (fields: Partial<NodeStatus> = {}): NodeStatus =>
  aNode('n1', [aLeader()], { peers: [aPeer('n2', 20), aPeer('n3', 900)], ...fields });
const second = (fields: Partial<NodeStatus> = {}): NodeStatus =>
  aNode('n2', [onNode(2, { isQuiet: true })], { peers: [aPeer('n1', 30), aPeer('n3', 905)], ...fields });

const listed = async (client: FakeClient) =>
  JSON.parse((await kvctl(['node', 'ls', '-o', 'json'], { client })).out.toString());

const warningsOf = async (...told: readonly Told[]): Promise<string[]> =>
  (await listed(clusterTelling(...told))).warnings;

test('node ls: up, silent and down are told apart, and who was heard how long ago', async (t) => {
  const { code, out } = await kvctl(['node', 'ls'], { client: clusterTelling(first(), second(), 'down') });
  t.is(code, 0);
  t.is(
    out.toString(),
    [
      'cluster test, 2 of 3 nodes up',
      'NODE  STATE  ZONE  WEIGHT  REPLICAS  LEADERS  QUIET   MEMORY      LOG  VERSION  UPTIME   HEARD',
      'n1    up     z1         1         1        1      0  96.0 MB  16.8 MB  1.2.3       1 h   30 ms',
      'n2    up     z2         1         1        0      1  96.0 MB  16.8 MB  1.2.3       1 h   20 ms',
      'n3    down   z3         1         -        -      -        -        -  -             -  900 ms',
      '',
    ].join('\n'),
  );
  t.like(await listed(clusterTelling('silent', second(), 'down')), {
    nodes: [
      { id: 'n1', state: 'silent', replicas: null, heardBy: [{ by: 'n2', heardAgoMs: 30 }] },
      { id: 'n2', state: 'up', quiet: 1, uptimeMs: 3_700_000 },
      { id: 'n3', state: 'down' },
    ],
  });
});

test('nodes that tell nothing of peers or uptime are listed all the same', async (t) => {
  const older = (id: string): NodeStatus => {
    const { uptimeMs: _uptime, ...rest } = aNode(id, [onNode(1)], { startedAtMs: Date.now() - 60_000 });
    return rest;
  };
  const { nodes, warnings } = await listed(clusterTelling(older('n1'), older('n2'), older('n3')));
  t.true(nodes[0].uptimeMs >= 60_000);
  t.deepEqual([nodes[0].heardBy, warnings], [[], []]);
});

test('damaged replicas have a column when there are any, and a full disk a warning', async (t) => {
  const damaged = onNode(2, { role: 'damaged', damage: 'torn' });
  const wal = { ...first().wal, isFull: true };
  const client = clusterTelling(first({ wal }), aNode('n2', [damaged]), 'down');
  const text = (await kvctl(['node', 'ls'], { client })).out.toString();
  t.regex(text, /QUIET {2}DAMAGED/);
  t.regex(text, /^warning: the disk of n1's log is full$/m);
});

test('two nodes that disagree about a third: a link that works one way', async (t) => {
  const third = aNode('n3', [onNode(3)], { peers: [aPeer('n1', 10), aPeer('n2', 10)] });
  const deaf = first({ peers: [aPeer('n2', 20), aPeer('n3', 12_000, true)] });
  t.deepEqual(await warningsOf(deaf, second(), third), [
    'n2 hears n3, n1 does not (not for 12.0 s): a link that works one way only?',
  ]);
  const never = first({ peers: [aPeer('n2', 20), aPeer('n3', null, true)] });
  t.regex((await warningsOf(never, second(), third))[0] ?? '', /n1 does not \(never\)/);
});

test('a node that just died is no disagreement; one that only we reach is told', async (t) => {
  const noticed = first({ peers: [aPeer('n2', 20), aPeer('n3', 1010, true)] });
  t.deepEqual(await warningsOf(noticed, second({ peers: [aPeer('n1', 5), aPeer('n3', 995)] }), 'down'), []);
  const both = second({ peers: [aPeer('n1', 5), aPeer('n3', 9000, true)] });
  const cut = aNode('n3', [onNode(3)], { peers: [] });
  const deaf = first({ peers: [aPeer('n2', 20), aPeer('n3', 9000, true)] });
  t.deepEqual(await warningsOf(deaf, both, cut), ['n3 answers here, but no other node hears it']);
  t.deepEqual(await warningsOf(deaf, both, 'down'), [], 'what is down is heard by nobody');
});

for (const isTTY of [true, false]) {
  test(`--watch goes on until Ctrl-C, ${isTTY ? 'in place on a terminal' : 'line below line elsewhere'}`, async (t) => {
    const interrupt = new AbortController();
    const client = clusterTelling(first(), second(), 'down');
    const statusOf = client.statusOf as (id: string) => NodeStatus;
    let looks = 0;
    client.statusOf = (id) => {
      if (id === 'n1' && ++looks === 2) interrupt.abort();
      return statusOf(id);
    };
    const { code, out } = await kvctl(['node', 'ls', '--watch'], { client, isTTY, signal: interrupt.signal });
    t.is(code, 0);
    t.is(looks, 2);
    const text = out.toString();
    t.is(text.match(/2 of 3 nodes up/g)?.length, 2);
    t.is(text.includes('\x1b[H'), isTTY);
    t.is(client.closed, 1);
  });
}

test('--watch -o json is a line of JSON each time', async (t) => {
  const interrupt = new AbortController();
  const client = clusterTelling(first(), second(), 'down');
  setTimeout(() => interrupt.abort(), 20);
  const { out } = await kvctl(['node', 'ls', '--watch', '-o', 'json'], { client, signal: interrupt.signal });
  const lines = out.toString().trimEnd().split('\n');
  t.is(lines.length, 1);
  t.is(JSON.parse(lines[0] ?? '').cluster, 'test');
});

test('no cluster at all is exit code 1, and help has examples', async (t) => {
  t.is((await kvctl(['node', 'ls'], { client: new FakeClient() })).code, 1);
  t.regex((await kvctl(['node', 'ls', '--help'])).out.toString(), /kvctl node ls --watch/);
});

const facts = (diskUsedBytes: number | null): Pick<NodeView, 'facts'> => ({
  facts: {
    version: '1.2.3',
    zone: 'z1',
    weight: 1,
    groups: 2,
    leaders: 1,
    diskFreeBytes: 20_000_000_000,
    diskUsedBytes,
    mapEpoch: 42,
    startedAtMs: 0,
  },
});

const managed = (): FakeClient => {
  const client = clusterTelling(first(), second(), 'down');
  const nodes = [
    aNodeView('n1', { ...facts(123_456_789), lastHeardAgoMs: 0 }),
    aNodeView('n2', { ...facts(null), condition: 'draining', replicas: 1, leaving: 2, weight: 2, zone: 'b' }),
    aNodeView('n3', { condition: 'down', liveness: 'dead', lastHeardAgoMs: 90_000, replicas: 3 }),
  ];
  client.onManage = managing([aView(nodes)]);
  return client;
};

test('with a manager: condition, liveness, disk and when it last heard each node, in a hundred columns', async (t) => {
  const { code, out } = await kvctl(['node', 'ls'], { client: managed() });
  t.is(code, 0);
  t.is(
    out.toString(),
    [
      'cluster test, 2 of 3 nodes up, managed by n1',
      'NODE  STATE  CONDITION   ZONE  WEIGHT  GROUPS  LEADERS      USED     FREE  VERSION  HEARD',
      'n1    alive  up          z1         1       1        1  123.5 MB  20.0 GB  1.2.3     0 ms',
      'n2    alive  draining 3  b          2       1        0         -  20.0 GB  1.2.3    40 ms',
      'n3    dead   down        z3         1       3        -         -        -  -          1 m',
      '',
    ].join('\n'),
  );
  const { nodes, manager } = await listed(managed());
  t.is(manager, 'n1');
  t.like(nodes[0], { state: 'up', condition: 'up', liveness: 'alive', placed: 1, diskUsedBytes: 123_456_789 });
  t.like(nodes[1], { condition: 'draining', leaving: 2, diskUsedBytes: null, memoryBytes: 96_000_000 });
  t.like(nodes[2], { state: 'down', condition: 'down', liveness: 'dead', lastHeardAgoMs: 90_000, replicas: null });
});

test('--wide has every column, with and without a manager', async (t) => {
  const names = /^NODE .*GROUPS .*QUIET .*MEMORY .*LOG .*USED .*FREE .*UPTIME .*HEARD$/m;
  t.regex((await kvctl(['node', 'ls', '--wide'], { client: managed() })).out.toString(), names);
  const alone = clusterTelling(first(), second(), 'down');
  t.regex((await kvctl(['node', 'ls', '--wide'], { client: alone })).out.toString(), names);
});

test('where the manager and we disagree about a node there is a warning', async (t) => {
  const warningsWith = async (fields: Partial<NodeView>, ...told: readonly Told[]): Promise<string[]> => {
    const client = clusterTelling(...told);
    client.onManage = managing([aView([aNodeView('n1', fields)])]);
    return (await listed(client)).warnings;
  };
  t.deepEqual(await warningsWith({}, 'silent', second(), 'down'), [
    'n1 is alive to the manager, but does not answer here',
  ]);
  t.deepEqual(await warningsWith({ liveness: 'dead' }, first(), second(), 'down'), [
    'n1 answers here, but is dead to the manager',
  ]);
  t.deepEqual(await warningsWith({ liveness: 'dead' }, 'down', second(), 'down'), []);
});

test('a manager that must not be asked is an error, not a cluster without one', async (t) => {
  const client = clusterTelling(first(), second(), 'down');
  client.onManage = managing([new RingraftError('DENIED', 'not permitted')]);
  t.is((await kvctl(['node', 'ls'], { client })).code, 7);
});

test('--watch follows nodes that come', async (t) => {
  const interrupt = new AbortController();
  const client = clusterTelling(first(), second(), 'down');
  const whole = client.clusterMap as NonNullable<typeof client.clusterMap>;
  const fewer = { ...whole, map: { ...whole.map, nodes: whole.map.nodes.slice(0, 2) } };
  let looks = 0;
  Object.defineProperty(client, 'clusterMap', {
    get() {
      if (++looks > 2) interrupt.abort();
      return looks < 3 ? fewer : whole;
    },
  });
  const options = { client, signal: interrupt.signal, clock: hastyClock() };
  const text = (await kvctl(['node', 'ls', '--watch'], options)).out.toString();
  t.regex(text, /2 of 2 nodes up.*2 of 3 nodes up/s);
});
