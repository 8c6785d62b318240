/**
 * Goal: refusals and losses are met with the right retry, and what callers are told of an operation's fate is true.
 * Method: fake nodes that follow a script, on a virtual clock.
 */
import test from 'ava';
import { type ErrorCode, isRingraftError, type NodeId, type RingraftError } from '../../../src/base/index.js';
import { OperationKind } from '../../../src/wire/index.js';
import { type Fixture, rejection, startFixture } from '../../support/client-fixture.js';
import { refusal } from '../../support/fake-cluster.js';

const nodesAsked = ({ cluster }: Fixture): string[] => cluster.batches.map(({ node }) => node);
const sequencesSent = ({ cluster }: Fixture): number[] =>
  cluster.batches.flatMap(({ batch }) => batch.operations.map(({ sequence }) => sequence));

/** A cluster of one shard; the client believes that `n1` leads it. */
async function oneShard(options: Parameters<typeof startFixture>[0] = {}): Promise<Fixture> {
  return startFixture({ shards: 1, ...options });
}

test('NOT_LEADER with a hint is followed at once', async (t) => {
  const fixture = await oneShard();
  const { clock, cluster, client } = fixture;
  cluster.leadAll('n2' as NodeId);
  const beganMs = clock.nowMs();
  await clock.until(client.put('default', 'k', 'v'));
  t.deepEqual(nodesAsked(fixture), ['n1', 'n2']);
  t.is(clock.nowMs() - beganMs, 4, 'two round trips of 2 ms, no pause');
  await clock.until(client.get('default', 'k'));
  t.is(nodesAsked(fixture).at(-1), 'n2', 'and remembered');
});

test('hints that lead in a circle are followed with pauses', async (t) => {
  const fixture = await oneShard({ timeoutMs: 1000 });
  const { clock, cluster, client } = fixture;
  cluster.script = ({ requestId }, node) =>
    refusal(requestId, 'NOT_LEADER', { leaderHint: node === 'n1' ? 'n2' : 'n1' });
  const error = (await rejection(clock, client.put('default', 'k', 'v'))) as RingraftError;
  t.is(error.code, 'NO_LEADER');
  t.is(error.happened, 'no');
  t.true(cluster.batches.length < 100, `${cluster.batches.length} attempts in a second`);
  t.true(cluster.batches.length > 10);
});

test('without a leader every replica is asked, with pauses, until there is one', async (t) => {
  const fixture = await oneShard();
  const { clock, cluster, client } = fixture;
  cluster.leadAll(null);
  const put = client.put('default', 'k', 'v');
  await clock.advance(1000);
  t.deepEqual([...new Set(nodesAsked(fixture))].sort(), ['n1', 'n2', 'n3']);
  t.true(cluster.batches.length <= 60, `${cluster.batches.length} attempts in a second`);
  cluster.leadAll('n3' as NodeId);
  await clock.until(put);
  t.is(cluster.applied.length, 1);
  t.deepEqual([...new Set(sequencesSent(fixture))], [1]);
});

test('a write refused by all until its time is out is NO_LEADER and did not happen', async (t) => {
  const { clock, cluster, client } = await oneShard({ timeoutMs: 700 });
  cluster.leadAll(null);
  const error = (await rejection(clock, client.put('default', 'k', 'v'))) as RingraftError;
  t.is(error.code, 'NO_LEADER');
  t.is(error.happened, 'no');
  t.true(clock.nowMs() < 800);
});

test('BUSY is met with pauses and the same node', async (t) => {
  const fixture = await oneShard();
  const { clock, cluster, client } = fixture;
  let refusals = 5;
  cluster.script = ({ requestId }) => (refusals-- > 0 ? refusal(requestId, 'BUSY') : undefined);
  await clock.until(client.put('default', 'k', 'v'));
  t.deepEqual(
    nodesAsked(fixture),
    Array.from({ length: 6 }, () => 'n1'),
  );
  t.true(clock.nowMs() >= 100, 'the pauses grow');
  t.is(cluster.applied.length, 1);
});

test('BUSY until the time is out is BUSY and did not happen', async (t) => {
  const { clock, cluster, client } = await oneShard({ timeoutMs: 500 });
  cluster.script = ({ requestId }) => refusal(requestId, 'BUSY');
  const error = (await rejection(clock, client.put('default', 'k', 'v'))) as RingraftError;
  t.is(error.code, 'BUSY');
  t.is(error.happened, 'no');
});

test('a lost message is sent again with the same sequence and another request id', async (t) => {
  const fixture = await oneShard();
  const { clock, cluster, client } = fixture;
  let losses = 1;
  cluster.script = () => (losses-- > 0 ? 'lost' : undefined);
  await clock.until(client.put('default', 'k', 'v'));
  t.deepEqual(sequencesSent(fixture).slice(0, 2), [1, 1]);
  const ids = cluster.batches.flatMap(({ batch }) => batch.operations.map(({ requestId }) => requestId));
  t.is(new Set(ids).size, ids.length);
  t.true(clock.nowMs() >= 400 && clock.nowMs() < 500);
});

test('a write whose answers are lost is applied once', async (t) => {
  const { clock, cluster, client } = await oneShard();
  let losses = 3;
  cluster.script = (_operation, node) => (node === 'n1' && losses-- > 0 ? 'unanswered' : undefined);
  const { revision } = await clock.until(client.put('default', 'k', 'v'));
  t.is(revision, 1);
  t.is(cluster.applied.length, 1);
});

test('an unknown fate is asked again with the same sequence: no double application', async (t) => {
  const { clock, cluster, client } = await oneShard();
  let executed = false;
  cluster.script = ({ requestId, kind }) => {
    if (executed || kind !== OperationKind.Put) return undefined;
    executed = true;
    return refusal(requestId, 'NOT_LEADER', { maybeHappened: true });
  };
  await clock.until(client.put('default', 'k', 'v', { ifAbsent: true }));
  t.is(cluster.applied.length, 1);
});

test('a write that nobody answers is TIMEOUT with an unknown fate, a read did not happen', async (t) => {
  const { clock, cluster, client } = await oneShard({ timeoutMs: 1500 });
  cluster.script = () => 'lost';
  const put = client.put('default', 'k', 'v');
  const get = client.get('default', 'k');
  const writeError = (await rejection(clock, put)) as RingraftError;
  t.is(writeError.code, 'TIMEOUT');
  t.is(writeError.happened, 'unknown');
  t.regex(writeError.message, /1500 ms/);
  const readError = (await rejection(clock, get)) as RingraftError;
  t.is(readError.code, 'TIMEOUT');
  t.is(readError.happened, 'no');
});

test('one lost attempt among refusals leaves the fate unknown', async (t) => {
  const { clock, cluster, client } = await oneShard({ timeoutMs: 2000 });
  let attempts = 0;
  cluster.script = ({ requestId }) => (attempts++ === 0 ? 'lost' : refusal(requestId, 'NOT_LEADER'));
  const error = (await rejection(clock, client.put('default', 'k', 'v'))) as RingraftError;
  t.is(error.code, 'TIMEOUT');
  t.is(error.happened, 'unknown');
});

test('a node that may have proposed the write leaves the fate unknown', async (t) => {
  const { clock, cluster, client } = await oneShard({ timeoutMs: 600 });
  let attempts = 0;
  cluster.script = ({ requestId }) => refusal(requestId, 'NOT_LEADER', { maybeHappened: attempts++ === 0 });
  const error = (await rejection(clock, client.put('default', 'k', 'v'))) as RingraftError;
  t.is(error.code, 'TIMEOUT');
  t.is(error.happened, 'unknown');
});

test('a late answer to an attempt given up settles the operation', async (t) => {
  const { clock, cluster, bus, client } = await oneShard();
  let held: (() => void) | undefined;
  bus.filter = ({ subject, payload }) => {
    if (held !== undefined || !subject.startsWith('_INBOX') || cluster.batches.length === 0) return true;
    held = () => bus.publish('client', subject, payload);
    return false;
  };
  cluster.script = () => (cluster.batches.length > 1 ? 'lost' : undefined);
  const put = client.put('default', 'k', 'v');
  await clock.advance(600);
  t.true(cluster.batches.length > 1, 'another attempt was made');
  held?.();
  t.is((await clock.until(put, 5)).revision, 1);
});

test('pending operations of a node that is gone go elsewhere at once', async (t) => {
  const fixture = await oneShard();
  const { clock, cluster, client } = fixture;
  cluster.stop('n1' as NodeId);
  cluster.leadAll('n2' as NodeId);
  const beganMs = clock.nowMs();
  const puts = Array.from({ length: 50 }, (_, at) => client.put('default', `k${at}`, 'v'));
  await clock.until(Promise.all(puts));
  t.true(clock.nowMs() - beganMs < 10, `${clock.nowMs() - beganMs} ms`);
  t.false(nodesAsked(fixture).includes('n1'));
  t.is(cluster.applied.length, 50);
});

test('when no node is left a write is NO_LEADER and did not happen', async (t) => {
  const { clock, cluster, client } = await oneShard({ timeoutMs: 1000 });
  for (const node of cluster.nodes) cluster.stop(node);
  const error = (await rejection(clock, client.put('default', 'k', 'v'))) as RingraftError;
  t.is(error.code, 'NO_LEADER');
  t.is(error.happened, 'no');
  t.regex(error.message, /nobody listens/);
});

test('a node that dies with operations in its hands leaves their fate unknown, and the others’ known', async (t) => {
  const { clock, cluster, client } = await oneShard({ timeoutMs: 1000 });
  cluster.script = () => 'lost';
  const first = client.put('default', 'first', 'v');
  await clock.advance(10);
  for (const node of cluster.nodes) cluster.stop(node);
  const second = client.put('default', 'second', 'v');
  t.is(((await rejection(clock, first)) as RingraftError).happened, 'unknown');
  const error = (await rejection(clock, second)) as RingraftError;
  t.true(error.happened === 'unknown' || error.code === 'NO_LEADER', 'the 503 cannot be told from one for the first');
  // From here on every batch came back.
  const third = (await rejection(clock, client.put('default', 'third', 'v'))) as RingraftError;
  t.is(third.code, 'NO_LEADER');
  t.is(third.happened, 'no');
});

test('a node that comes back is used again', async (t) => {
  const fixture = await oneShard();
  const { clock, cluster, client } = fixture;
  cluster.stop('n1' as NodeId);
  const put = client.put('default', 'k', 'v');
  await clock.advance(200);
  cluster.start('n1' as NodeId);
  await clock.until(put);
  t.is(nodesAsked(fixture).at(-1), 'n1');
});

test('WRONG_SHARD renews the map', async (t) => {
  const { clock, cluster, client } = await oneShard();
  await clock.advance(1000);
  const before = cluster.mapRequests;
  let refusals = 2;
  cluster.script = ({ requestId }) => (refusals-- > 0 ? refusal(requestId, 'WRONG_SHARD') : undefined);
  await clock.until(client.put('default', 'k', 'v'));
  t.true(cluster.mapRequests > before);
});

test('an answer from a node with a newer map renews the client’s, at most once a second', async (t) => {
  const { clock, cluster, client } = await oneShard();
  await clock.advance(2000);
  const before = cluster.mapRequests;
  await clock.until(client.put('default', 'k', 'v'));
  t.is(cluster.mapRequests, before, 'the epochs are the same');
  for (let epoch = 2; epoch <= 5; epoch++) {
    cluster.map = { ...cluster.map, epoch };
    await clock.until(client.put('default', 'k', 'v'));
    await clock.advance(100);
  }
  t.is(cluster.mapRequests, before + 1);
  await clock.advance(1000);
  await clock.until(client.put('default', 'k', 'v'));
  await clock.advance(10);
  t.is(cluster.mapRequests, before + 2);
  await clock.until(client.put('default', 'k', 'v'));
  t.is(cluster.mapRequests, before + 2, 'and then it is as new as theirs');
});

test('answers that no retry can better are given as they are', async (t) => {
  const { clock, cluster, client } = await oneShard();
  const final: ErrorCode[] = ['TOO_LARGE', 'BAD_REQUEST', 'DENIED', 'SESSION_EXPIRED', 'DISK_FULL', 'CORRUPT'];
  for (const code of final) {
    cluster.script = ({ requestId }) => refusal(requestId, code, { message: 'because' });
    const error = (await rejection(clock, client.put('default', 'k', 'v'))) as RingraftError;
    t.is(error.code, code);
    t.is(error.happened, 'no');
    t.is(error.message, 'because');
  }
  t.is(cluster.batches.length, final.length);
});

test('a final answer after an attempt was lost leaves the fate unknown', async (t) => {
  const { clock, cluster, client } = await oneShard();
  let attempts = 0;
  cluster.script = ({ requestId }) => (attempts++ === 0 ? 'lost' : refusal(requestId, 'SESSION_EXPIRED'));
  const error = (await rejection(clock, client.put('default', 'k', 'v'))) as RingraftError;
  t.is(error.code, 'SESSION_EXPIRED');
  t.is(error.happened, 'unknown');
});

test('while disconnected nothing is sent; afterwards everything is', async (t) => {
  const { clock, bus, cluster, client } = await oneShard();
  bus.setConnected(false);
  const put = client.put('default', 'k', 'v');
  await clock.advance(1000);
  t.is(cluster.batches.length, 0);
  bus.setConnected(true);
  const beganMs = clock.nowMs();
  await clock.until(put);
  t.is(clock.nowMs() - beganMs, 2);
});

test('a write that never left a disconnected client is UNREACHABLE and did not happen', async (t) => {
  const { clock, bus, client } = await oneShard({ timeoutMs: 300 });
  bus.setConnected(false);
  const error = (await rejection(clock, client.put('default', 'k', 'v'))) as RingraftError;
  t.is(error.code, 'UNREACHABLE');
  t.is(error.happened, 'no');
});

test('answers lost with a connection are asked for again as soon as it is back', async (t) => {
  const { clock, bus, cluster, client } = await oneShard();
  let losses = 1;
  cluster.script = () => (losses-- > 0 ? 'unanswered' : undefined);
  const put = client.put('default', 'k', 'v');
  await clock.advance(20);
  bus.setConnected(false);
  await clock.advance(20);
  bus.setConnected(true);
  const beganMs = clock.nowMs();
  await clock.until(put);
  t.is(clock.nowMs() - beganMs, 2);
  t.is(cluster.applied.length, 1);
});

test('operations waiting for room run into their deadlines too', async (t) => {
  const { clock, cluster, client } = await oneShard({ maxInFlight: 2, timeoutMs: 500 });
  cluster.script = () => 'lost';
  const puts = Array.from({ length: 6 }, (_, at) => client.put('default', `k${at}`, 'v'));
  const errors = await Promise.all(puts.map((put) => rejection(clock, put)));
  t.true(errors.every((error) => isRingraftError(error, 'TIMEOUT')));
  const unsent = errors.filter((error) => (error as RingraftError).happened === 'no');
  t.true(unsent.length >= 2);
});

test('close rejects what is in flight and says whether it may have happened', async (t) => {
  const { clock, bus, cluster, client } = await startFixture({ shards: 1, maxInFlight: 2, ownsBus: true });
  cluster.script = () => 'lost';
  const sent = [client.put('default', 'a', 'v'), client.get('default', 'b')];
  const waiting = [client.put('default', 'c', 'v'), client.putMany('default', [['d', 'v']])];
  const settled = Promise.allSettled([...sent, ...waiting]);
  await clock.advance(5);
  await clock.until(client.close());
  await client.close();
  t.true(bus.closed);
  const outcomes = await settled;
  const fates = outcomes.map((outcome) =>
    outcome.status === 'rejected' ? `${outcome.reason.code} ${outcome.reason.happened}` : 'resolved',
  );
  t.deepEqual(fates, ['CLOSED unknown', 'CLOSED no', 'CLOSED no', 'resolved']);
  const batch = outcomes[3];
  const [first] = batch?.status === 'fulfilled' ? (batch.value as { ok: boolean; error: Error }[]) : [];
  t.true(isRingraftError(first?.error, 'CLOSED'));
  t.true(isRingraftError(await rejection(clock, client.get('default', 'k')), 'CLOSED'));
  t.true(isRingraftError(await rejection(clock, client.map()), 'CLOSED'));
  await clock.advance(10_000);
  t.is(clock.armed, 0);
});
