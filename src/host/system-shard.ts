/**
 * The system shard as the manager of the cluster sees it: a few small records, read and written by the node that leads.
 *
 * Invariants:
 * 1. What `write` is given becomes one log entry: all of it takes effect, or nothing.
 * 2. `write` proposes in the term it is given and in no other. Whoever read in a term and is the only one to write in it
 *    therefore never overwrites what it has not seen: what a former leader left behind is applied before the first read
 *    of a new term, or is lost.
 */
import { type Clock, RingraftError, systemBucketId, systemShardId } from '../base/index.js';
import type { Store } from '../kv/index.js';
import { EntryType } from '../raft/index.js';
import { CommandKind, encodeCommandBatch, ownCommand, type ScanPair } from '../wire/index.js';
import type { Group } from './group.js';
import type { OperationServer } from './operation-server.js';
import type { ProposalFate } from './pending.js';
import type { Replicas } from './replicas.js';

/** `value` undefined: removes the record. */
export type SystemRecord = { readonly key: string; readonly value: string | undefined };

export type SystemShardParts = {
  readonly clock: Clock;
  readonly store: Store;
  readonly replicas: Replicas;
  readonly operations: OperationServer;
  readonly mark: (group: Group) => void;
};

const nothing = Buffer.alloc(0);
const pageBytes = 1024 * 1024;

export class SystemShard {
  constructor(private readonly parts: SystemShardParts) {}

  private get group(): Group | undefined {
    return this.parts.replicas.get(systemShardId);
  }

  /** The term in which this node leads the system shard; 0: it does not. */
  get leaderTerm(): number {
    const raft = this.group?.raft;
    return raft?.isLeader === true ? raft.currentTerm : 0;
  }

  /** Whether this node's replica has ever taken a record: proof that the cluster was founded. */
  get hasRecords(): boolean {
    const raft = this.group?.raft;
    if (raft === undefined) return false;
    // That its log begins later says nothing: what was let go of may be the beginnings of terms, one election after another.
    if (raft.isRestoring || this.parts.store.hasMutations(systemShardId)) return true;
    return raft.entries(raft.firstIndex, raft.lastIndex).some(({ type }) => type === EntryType.Normal);
  }

  /**
   * Resolves once the records are applied, hence durable on a majority. Rejects with NOT_LEADER: `happened` says whether
   * they may take effect yet.
   */
  write(records: readonly SystemRecord[], term: number): Promise<void> {
    const { group } = this;
    if (group === undefined || term === 0 || this.leaderTerm !== term) return Promise.reject(notLeader('no'));
    const data = encodeCommandBatch({
      timeStampMs: this.parts.clock.wallMs(),
      sessions: [],
      commands: records.map(({ key, value }) => {
        const kind = value === undefined ? CommandKind.Delete : CommandKind.Put;
        return ownCommand(
          kind,
          systemBucketId,
          Buffer.from(key),
          value === undefined ? {} : { value: Buffer.from(value) },
        );
      }),
    });
    return new Promise((resolve, reject) => {
      const proposed = group.raft.propose(data);
      if (typeof proposed === 'string') {
        reject(new RingraftError('BUSY', `the system shard takes no records now: ${proposed}`));
        return;
      }
      const settle = (fate: ProposalFate): void => {
        if (fate === 'applied') resolve();
        else reject(notLeader(fate === 'lost' ? 'no' : 'unknown'));
      };
      group.proposals.push({ index: proposed.index, term: proposed.term, operations: [], settle });
      this.parts.mark(group);
    });
  }

  /** Resolves when this node leads in `term` at a moment after the call. Rejects with NOT_LEADER. */
  async confirm(term: number): Promise<void> {
    const { group } = this;
    if (group === undefined || this.leaderTerm !== term) throw notLeader('no');
    const index = await new Promise<number | undefined>((resolve) => {
      this.parts.operations.confirmRead(group, resolve);
    });
    if (index === undefined || this.leaderTerm !== term) throw notLeader('no');
  }

  /** Every record, as of a moment after the call in `term`. Rejects with NOT_LEADER. */
  async read(term: number): Promise<ReadonlyMap<string, string>> {
    await this.confirm(term);
    const records = new Map<string, string>();
    await this.scan(records);
    if (this.leaderTerm !== term) throw notLeader('no');
    return records;
  }

  private async scan(records: Map<string, string>): Promise<void> {
    for (let gte = nothing; ; ) {
      const page = await new Promise<{ pairs: readonly ScanPair[]; more: boolean; resumeAfter: Buffer }>(
        (resolve, reject) => {
          const query = { gte, lt: undefined, reverse: false, keysOnly: false, limit: 10_000, maxBytes: pageBytes };
          const nowMs = this.parts.clock.wallMs();
          this.parts.store.scan(systemBucketId, { ...query, accept: () => true, share: 1, nowMs }, (error, found) => {
            if (error === undefined) resolve(found);
            else reject(error);
          });
        },
      );
      for (const { key, value } of page.pairs) records.set(key.toString(), value.toString());
      if (!page.more) return;
      gte = Buffer.concat([page.resumeAfter, Buffer.from([0])]);
    }
  }
}

const notLeader = (happened: 'no' | 'unknown'): RingraftError =>
  new RingraftError('NOT_LEADER', 'this node does not lead the system shard (any more)', { happened });
