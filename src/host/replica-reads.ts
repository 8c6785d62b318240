/**
 * Reads that any replica answers from what it has applied, whoever leads: levels `one` and `quorum`.
 *
 * Invariants:
 * 1. An answer shows a state at or past the `appliedIndex` it names, and none past its `shownIndex`, of committed entries
 *    only.
 * 2. For level `quorum`, `touchedIndex` covers every entry of this replica's log that is not applied at that moment,
 *    committed or not: a client that puts a majority of such answers together knows whether it has seen the newest write
 *    that anybody was told of (design, section 8; the proof is in `client/quorum-proof.ts`).
 * 3. A replica whose state is being replaced answers nothing.
 */
import { type Clock, mapKey } from '../base/index.js';
import type { Store } from '../kv/index.js';
import { type Entry, EntryType } from '../raft/index.js';
import { ConsistencyLevel, decodeCommandBatch, type Operation, type OperationResult } from '../wire/index.js';
import type { Group } from './group.js';
import { errorResult, type PendingOperation, readResult } from './pending.js';

export type ReplicaReadsParts = {
  readonly clock: Clock;
  readonly store: Store;
  readonly answer: (pending: PendingOperation, result: OperationResult) => void;
  /** Makes sure that answers leave which were made outside a turn. */
  readonly schedule: () => void;
};

/** A key with its bucket, as one string. */
const nameOf = (bucketId: number, key: Buffer): string => `${bucketId} ${mapKey(key)}`;

export class ReplicaReads {
  /** Which keys an entry touches. */
  private readonly touched = new WeakMap<Entry, ReadonlySet<string>>();

  constructor(private readonly parts: ReplicaReadsParts) {}

  /** Whether the operation was answered, or will be; false: its leader has to vouch for it. */
  serve(group: Group, pending: PendingOperation): boolean {
    const { clock, store, answer } = this.parts;
    const { operation } = pending;
    const { requestId, level } = operation;
    if (!group.isReadable) {
      answer(pending, errorResult(requestId, 'BUSY', 'the replica is being brought up to date'));
      return true;
    }
    const { appliedIndex } = group.raft;
    const ageMs = group.raft.dataAgeMs(clock.nowMs());
    if (level === ConsistencyLevel.One) {
      if (appliedIndex < operation.atLeastIndex) {
        answer(pending, errorResult(requestId, 'BUSY', 'the replica is behind what this session has seen'));
        return true;
      }
      if (operation.maxStalenessMs > 0 && (ageMs === undefined || ageMs > operation.maxStalenessMs)) {
        // Whoever leads can find out.
        if (group.raft.isLeader) return false;
        const age = ageMs === undefined ? 'of unknown age' : `up to ${Math.ceil(ageMs)} ms old`;
        answer(pending, errorResult(requestId, 'TOO_STALE', `the data of the replica are ${age}`));
        return true;
      }
    }
    const facts = this.factsOf(group, operation, ageMs);
    const wallMs = clock.wallMs();
    const hit = store.getNow(operation.bucketId, operation.key, wallMs);
    if (hit !== undefined) {
      answer(pending, { ...readResult(operation, hit.value, level, appliedIndex), ...facts });
      return true;
    }
    store.getMany([operation], wallMs, (error, [value]) => {
      if (error === undefined) {
        const shownIndex = group.raft.appliedIndex;
        answer(pending, { ...readResult(operation, value, level, appliedIndex), ...facts, shownIndex });
      } else answer(pending, errorResult(requestId, 'CORRUPT', error.message));
      this.parts.schedule();
    });
    return true;
  }

  private factsOf(
    group: Group,
    { level, bucketId, key }: Operation,
    ageMs: number | undefined,
  ): Partial<OperationResult> {
    // 0 would mean that nobody knows.
    const age = ageMs === undefined ? 0 : Math.max(1, Math.ceil(ageMs));
    if (level === ConsistencyLevel.One) return { ageMs: age, maybeStale: true };
    const { configuration } = group.raft;
    return {
      ageMs: age,
      maybeStale: true,
      replica: {
        replicaId: group.replicaId,
        touchedIndex: this.newestTouching(group, nameOf(bucketId, key)),
        voters: configuration.voters,
        outgoing: configuration.outgoing,
      },
    };
  }

  /** The newest entry, not applied yet, that touches the key; 0: none does. */
  newestTouching(group: Group, name: string): number {
    const entries = group.raft.unapplied;
    for (let at = entries.length - 1; at >= 0; at--) {
      const entry = entries[at] as Entry;
      if (this.keysOf(entry).has(name)) return entry.index;
    }
    return 0;
  }

  private keysOf(entry: Entry): ReadonlySet<string> {
    if (entry.type !== EntryType.Normal) return noKeys;
    let keys = this.touched.get(entry);
    if (keys === undefined) {
      keys = new Set(decodeCommandBatch(entry.data).commands.map(({ bucketId, key }) => nameOf(bucketId, key)));
      this.touched.set(entry, keys);
    }
    return keys;
  }
}

const noKeys: ReadonlySet<string> = new Set();
