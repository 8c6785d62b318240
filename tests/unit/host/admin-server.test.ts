/** Goal: nothing that is asked of a node's administration stops it. Method: requests over a bus, to a server over nothing. */
import test from 'ava';
import fc from 'fast-check';
import { type NodeId, RingraftError } from '../../../src/base/index.js';
import { AdminServer, type AdminServerParts } from '../../../src/host/admin-server.js';
import { LocalMap } from '../../../src/host/local-map.js';
import { type AdminAnswer, adminSubject } from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { aClusterMap } from '../../support/maps.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const n1 = 'n1' as NodeId;

function start() {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  const accepted: unknown[] = [];
  const replicas = {
    get: () => undefined,
    accept: (invitation: { readonly members: readonly number[] }) => accepted.push(invitation.members.length),
    rebuild: () => {
      throw new RingraftError('WRONG_SHARD', 'none here');
    },
  };
  const parts = {
    ...{ bus, clock, replicas, options: { cluster: 'test', nodeId: n1 } },
    maps: new LocalMap(aClusterMap([n1], [])),
    system: { hasRecords: false },
    mark: () => {},
    status: () => ({ shards: [] }),
  };
  new AdminServer(parts as unknown as AdminServerParts).start();
  const ask = async (payload: string): Promise<AdminAnswer> => {
    const answer = await clock.until(bus.request(adminSubject('test', n1), Buffer.from(payload)), 1000);
    return JSON.parse(answer.payload.toString()) as AdminAnswer;
  };
  const codeOf = async (payload: unknown): Promise<string> => {
    const answer = await ask(typeof payload === 'string' ? payload : JSON.stringify(payload));
    return 'error' in answer ? answer.error.code : JSON.stringify(answer);
  };
  return { codeOf, accepted };
}

test('what is no request, or has a field of another type, is BAD_REQUEST', async (t) => {
  const { codeOf, accepted } = start();
  for (const text of ['', '{', 'null', '7', '[]', '{}', '{"op":"toString"}'])
    t.is(await codeOf(text), 'BAD_REQUEST', text);
  const host = { op: 'hostReplica', shardId: 1, term: 1, configurationIndex: 1, members: [1] };
  for (const wrong of [
    { op: 'status', shardId: 'x' },
    { op: 'transferLeader', shardId: 1 },
    { op: 'transferLeader', shardId: null, to: 'n2' },
    { op: 'rebuildReplica' },
    { op: 'replaceReplica', shardId: 1, nodeId: 'n2', newReplicaId: 0 },
    ...['shardId', 'term', 'configurationIndex', 'members'].map((name) => ({ ...host, [name]: undefined })),
    { ...host, members: 'all' },
    { ...host, members: [0] },
  ]) {
    t.is(await codeOf(wrong), 'BAD_REQUEST', JSON.stringify(wrong));
  }
  t.deepEqual(accepted, []);
  t.is(await codeOf({ ...host, since: 'a later version' }), '{"done":true}');
});

test('whatever JSON is asked there is an answer', async (t) => {
  const { codeOf } = start();
  const ops = [
    'status',
    'metrics',
    'transferLeader',
    'replaceReplica',
    'hostReplica',
    'rebuildReplica',
    'map',
    'founding',
  ];
  const names = fc.constantFrom('shardId', 'to', 'nodeId', 'newReplicaId', 'term', 'configurationIndex', 'members');
  const request = fc.tuple(
    fc.constantFrom(...ops.filter((op) => op !== 'metrics')),
    fc.dictionary(names, fc.jsonValue()),
  );
  await fc.assert(
    fc.asyncProperty(request, async ([op, fields]) => {
      t.is(typeof (await codeOf({ ...fields, op })), 'string');
    }),
    { numRuns: 300 },
  );
  t.pass();
});
