/**
 * Goal: whatever is appended, and wherever the machine stops, the log reads back what was acknowledged and nothing that
 * was never appended. Method: random steps on the simulated disk against a model of the groups.
 */
import test from 'ava';
import fc from 'fast-check';
import { randomBetween, replicaId, type ShardId, seededRandom } from '../../../src/base/index.js';
import type { HardState, SnapshotMetadata } from '../../../src/raft/index.js';
import type { Wal } from '../../../src/wal/index.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import { committed, entriesOf, noHardState, openLog, settled, shard, snapshotAt } from '../../support/wal-calls.js';

type Model = { readonly base: SnapshotMetadata; readonly hardState: HardState; readonly entries: readonly string[] };
type Models = ReadonlyMap<ShardId, Model>;

const shards = [shard(1), shard(2), shard(3)];
const segmentBytes = 900;

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      group: fc.nat(2),
      back: fc.constantFrom(0, 0, 0, 1, 3),
      texts: fc.array(fc.string({ maxLength: 120 }), { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('vote' as const), group: fc.nat(2), replica: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), group: fc.nat(2), keep: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('snapshot' as const), group: fc.nat(2), ahead: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tombstone' as const), group: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('commit' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), torn: fc.nat(400), turns: fc.nat(12) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const lastOf = ({ base, entries }: Model): number => base.index + entries.length;

/** Does the step to the log and to the model. */
function append(wal: Wal, models: Map<ShardId, Model>, one: Step): void {
  if (one.kind === 'commit' || one.kind === 'crash') return;
  const id = shards[one.group] as ShardId;
  let model = models.get(id);
  if (model === undefined) {
    wal.appendGroup(id, replicaId(1), snapshotAt(0, 0));
    model = { base: snapshotAt(0, 0), hardState: noHardState, entries: [] };
    models.set(id, model);
  }
  const { base, entries } = model;
  switch (one.kind) {
    case 'append': {
      const first = Math.max(base.index + 1, lastOf(model) + 1 - one.back);
      wal.appendEntries(id, entriesOf(first, one.texts));
      models.set(id, { ...model, entries: [...entries.slice(0, first - base.index - 1), ...one.texts] });
      break;
    }
    case 'vote': {
      const { hardState } = model;
      const next = { ...hardState, currentTerm: hardState.currentTerm + 1, votedFor: replicaId(one.replica) };
      wal.appendHardState(id, next);
      models.set(id, { ...model, hardState: next });
      break;
    }
    case 'release': {
      const index = Math.max(base.index, lastOf(model) - one.keep);
      wal.release(id, snapshotAt(index));
      models.set(id, { ...model, base: snapshotAt(index), entries: entries.slice(index - base.index) });
      break;
    }
    case 'snapshot': {
      const index = lastOf(model) + one.ahead + 1;
      wal.appendSnapshot(id, snapshotAt(index, 2));
      models.set(id, { ...model, base: snapshotAt(index, 2), entries: [] });
      break;
    }
    case 'tombstone':
      wal.appendTombstone(id);
      models.delete(id);
  }
}

/** What the log reads back, in the model's terms; a damaged group fails. */
function readBack({ recovered }: Wal): Models {
  return new Map(
    [...recovered].map(([id, { snapshot, hardState, entries, damage }]) => {
      if (damage !== undefined) throw new Error(`shard ${id}: ${damage}`);
      return [id, { base: snapshot, hardState, entries: entries.map(({ data }) => data.toString()) }];
    }),
  );
}

const plain = (models: Models): string => JSON.stringify([...models].sort(([a], [b]) => a - b));

async function run(steps: readonly Step[], seed: number): Promise<void> {
  const disk = new MemoryDisk();
  const random = seededRandom(seed);
  disk.turns = () => (randomBetween(random, 0, 3) === 0 ? randomBetween(random, 2, 8) : 1);
  let wal = await openLog(disk, { segmentBytes });
  const models = new Map<ShardId, Model>();
  let acknowledged: Models = new Map();
  for (const one of steps) {
    append(wal, models, one);
    if (one.kind === 'commit') {
      await committed(wal);
      acknowledged = new Map(models);
    } else if (one.kind === 'crash') {
      let wasAcknowledged = false;
      wal.commit(() => {
        wasAcknowledged = true;
      });
      await settled(one.turns);
      disk.crash(one.torn);
      wal = await openLog(disk, { segmentBytes });
      const found = readBack(wal);
      const allowed = wasAcknowledged ? [plain(models)] : [plain(acknowledged), plain(models)];
      if (!allowed.includes(plain(found))) throw new Error(`read ${plain(found)}, not one of ${allowed.join(' or ')}`);
      models.clear();
      for (const [id, model] of found) models.set(id, model);
      acknowledged = found;
    }
  }
}

test('the log agrees with a model over any steps and crashes, torn writes among them', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 120 }), fc.nat(), run), { numRuns: 120 });
  t.pass();
});
