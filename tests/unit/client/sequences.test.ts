/**
 * Goal: every write takes effect at most once, and nodes may forget answers below `ackedBelow`.
 * Method: fast-check drives answers out of order, losses and refusals; the fake nodes keep sessions as real ones do.
 */
import test from 'ava';
import fc from 'fast-check';
import { isRingraftError, shardId } from '../../../src/base/index.js';
import { maxSpan, SequenceWindow } from '../../../src/client/sequence-window.js';
import { startFixture } from '../../support/client-fixture.js';
import { refusal, type Verdict } from '../../support/fake-cluster.js';

const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);

test('ackedBelow is the lowest unsettled sequence of the shard, whatever the order of answers', (t) => {
  t.log(`seed ${seed}`);
  const step = fc.record({ shard: fc.integer({ min: 1, max: 3 }), settle: fc.boolean(), pick: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const window = new SequenceWindow();
      const open = new Map([1, 2, 3].map((shard) => [shard, [] as number[]]));
      const before = new Map<number, number>();
      let taken = 0;
      for (const { shard, settle, pick } of steps) {
        const mine = open.get(shard) as number[];
        if (settle && mine.length > 0) {
          const [sequence] = mine.splice(pick % mine.length, 1);
          window.settle(shardId(shard), sequence as number);
        } else {
          const sequence = window.take(shardId(shard));
          if (sequence !== ++taken) return false;
          mine.push(sequence);
        }
        for (const [other, unsettled] of open) {
          const acked = window.ackedBelow(shardId(other));
          if (acked !== Math.min(taken + 1, ...unsettled)) return false;
          if (acked < (before.get(other) ?? 0)) return false;
          before.set(other, acked);
        }
      }
      return true;
    }),
    { seed, numRuns: 300 },
  );
  t.pass();
});

test('a shard’s window is full when its oldest write is too far back, another shard’s is not', (t) => {
  const window = new SequenceWindow();
  const first = window.take(shardId(1));
  for (let at = 1; at < maxSpan; at++) window.settle(shardId(1), window.take(shardId(1)));
  t.false(window.hasRoom(shardId(1)));
  t.true(window.hasRoom(shardId(2)));
  window.settle(shardId(1), first);
  t.true(window.hasRoom(shardId(1)));
  t.is(window.ackedBelow(shardId(1)), maxSpan + 1);
});

test('retried writes take effect once, and no batch carries a sequence below its ackedBelow', async (t) => {
  t.log(`seed ${seed}`);
  const verdicts = fc.array(
    fc.constantFrom('serve', 'serve', 'lost', 'unanswered', 'busy', 'notLeader', 'wrongHint', 'unknownFate'),
    { minLength: 1, maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(verdicts, fc.integer({ min: 1, max: 1_000_000 }), async (script, clientSeed) => {
      const { clock, cluster, client } = await startFixture({ seed: clientSeed, timeoutMs: 20_000, maxInFlight: 7 });
      let at = 0;
      cluster.script = ({ requestId }): Verdict => {
        // Finite trouble: the script runs out, and then everything is served.
        switch (script[at++]) {
          case 'lost':
            return 'lost';
          case 'unanswered':
            return 'unanswered';
          case 'busy':
            return refusal(requestId, 'BUSY');
          case 'notLeader':
            return refusal(requestId, 'NOT_LEADER');
          case 'wrongHint':
            return refusal(requestId, 'NOT_LEADER', { leaderHint: 'n3' });
          case 'unknownFate':
            return refusal(requestId, 'NOT_LEADER', { maybeHappened: true });
          default:
            return undefined;
        }
      };
      const puts = Array.from({ length: 30 }, (_, key) => client.put('default', `k${key}`, 'v', { ifAbsent: true }));
      await clock.until(Promise.all(puts), 120_000);
      if (new Set(cluster.applied).size !== 30 || cluster.applied.length !== 30) return false;
      for (const { batch } of cluster.batches) {
        if (batch.operations.some(({ sequence }) => sequence < batch.ackedBelow)) return false;
      }
      await client.close();
      return true;
    }),
    { seed, numRuns: 40 },
  );
  t.pass();
});

test('a write given up for lack of time is never applied once a later one of its shard is', async (t) => {
  const { clock, bus, cluster, client } = await startFixture({ shards: 1, nodes: 1, timeoutMs: 300 });
  let stray: (() => void) | undefined;
  bus.filter = ({ subject, payload, options }) => {
    if (stray !== undefined || !subject.includes('.node.')) return true;
    stray = () => bus.publish('client', subject, payload, options);
    return false;
  };
  const error = await clock.until(client.put('default', 'k', 'late').catch((reason: unknown) => reason));
  t.true(isRingraftError(error, 'TIMEOUT'));
  await clock.until(client.put('default', 'k', 'later'));
  stray?.();
  await clock.advance(50);
  t.is((await clock.until(client.get('default', 'k')))?.value.toString(), 'later');
  t.is(cluster.applied.length, 1);
});

test('a shard without a leader does not hold back what others may forget', async (t) => {
  const { clock, cluster, client } = await startFixture({ shards: 2, nodes: 2, timeoutMs: 1000 });
  const keys = Array.from({ length: 200 }, (_, at) => `k${at}`);
  const [stuck = ''] = keys.filter((key) => cluster.shardAt(Buffer.from(key)) === 0);
  const others = keys.filter((key) => cluster.shardAt(Buffer.from(key)) === 1);
  cluster.leaders[0] = null;
  const put = client.put('default', stuck, 'v').catch((error: unknown) => error);
  for (const key of others.slice(0, 20)) await clock.until(client.put('default', key, 'v'));
  const last = cluster.batches.filter(({ batch }) => batch.operations.length === 1 && batch.ackedBelow > 1);
  t.true(last.length >= 19, 'batches to the healthy shard acknowledge what is settled there');
  t.true(isRingraftError(await clock.until(put), 'NO_LEADER'));
});
