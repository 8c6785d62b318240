/**
 * A group of consensus cores on a virtual network, clock and disk, all from one seed.
 *
 * The disk loses on a crash what was not yet durable; the network may drop, double, delay and reorder. After every step
 * the five properties of Raft Figure 3 that can be seen from outside are checked.
 */
import { assert, noReplica, type Random, type ReplicaId, replicaId, seededRandom } from '../../../src/base/index.js';
import {
  type Configuration,
  type Entry,
  type HardState,
  type Message,
  Raft,
  type RaftOptions,
  type SnapshotMetadata,
} from '../../../src/raft/index.js';

export const testOptions: Omit<RaftOptions, 'replicaId'> = {
  electionTimeoutMs: 1000,
  heartbeatIntervalMs: 50,
  voteHoldMs: 200,
  leaseMs: 150,
  maxAppendBytes: 200,
  maxInflightAppends: 4,
  maxUncommittedBytes: 100_000,
};

type Disk = { hardState: HardState; snapshot: SnapshotMetadata; entries: Entry[] };

type Pending = {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly messages: readonly Message[];
};

export class Replica {
  raft: Raft;
  disk: Disk;
  pending: Pending[] = [];
  applied: Entry[] = [];
  isUp = true;
  readonly reads: { context: unknown; index: number }[] = [];
  readonly dropped: unknown[] = [];

  constructor(
    readonly id: ReplicaId,
    configuration: Configuration,
    private readonly random: Random,
    private readonly options: Omit<RaftOptions, 'replicaId'>,
    nowMs: number,
  ) {
    this.disk = {
      hardState: { currentTerm: 0, votedFor: noReplica, commitIndex: 0 },
      snapshot: { index: 0, term: 0, configuration },
      entries: [],
    };
    this.raft = this.boot(nowMs);
  }

  private boot(nowMs: number): Raft {
    const { hardState, snapshot, entries } = this.disk;
    const last = entries.at(-1)?.index ?? snapshot.index;
    const known = Math.min(hardState.commitIndex, last);
    return new Raft(
      { ...this.options, replicaId: this.id },
      this.random,
      {
        hardState: { ...hardState, commitIndex: known },
        snapshot,
        entries: [...entries],
        appliedIndex: snapshot.index,
      },
      nowMs,
    );
  }

  /** The process dies; what was not durable is gone. */
  crash(): void {
    this.isUp = false;
    this.pending = [];
  }

  restart(nowMs: number): void {
    this.isUp = true;
    this.applied = [];
    this.raft = this.boot(nowMs);
  }

  /** Takes the core's output; what needs the disk waits for `persistOne`. */
  drain(send: (message: Message) => void): void {
    while (this.raft.hasReady()) {
      const ready = this.raft.ready();
      ready.messages.forEach(send);
      this.pending.push({ hardState: ready.hardState, entries: ready.entries, messages: ready.messagesAfterPersist });
      for (const entry of ready.committedEntries) {
        assert(entry.index === (this.applied.at(-1)?.index ?? this.disk.snapshot.index) + 1, 'applied in order');
        assert(
          this.disk.entries.some(({ index, term }) => index === entry.index && term === entry.term),
          'applied is durable',
        );
        this.applied.push(entry);
        this.raft.applied(entry.index);
      }
      this.reads.push(...ready.readStates);
      this.dropped.push(...ready.droppedReads);
    }
  }

  persistOne(send: (message: Message) => void): void {
    const batch = this.pending.shift();
    if (batch === undefined) return;
    const { disk } = this;
    const [first] = batch.entries;
    if (first !== undefined)
      disk.entries = [...disk.entries.filter(({ index }) => index < first.index), ...batch.entries];
    if (batch.hardState !== undefined) disk.hardState = batch.hardState;
    batch.messages.forEach(send);
    const last = batch.entries.at(-1);
    if (last !== undefined) this.raft.persisted(last.index, last.term);
  }
}

export type NetworkFaults = { drop: number; double: number; reorder: number };

export class Cluster {
  readonly random: Random;
  readonly replicas = new Map<ReplicaId, Replica>();
  nowMs = 0;
  network: Message[] = [];
  readonly cut = new Set<string>();
  faults: NetworkFaults = { drop: 0, double: 0, reorder: 0 };
  private readonly leaderOfTerm = new Map<number, ReplicaId>();
  private readonly committed = new Map<number, Entry>();
  private readonly commitOf = new Map<Replica, { raft: Raft; commit: number; term: number; vote: ReplicaId }>();

  constructor(
    readonly size: number,
    seed: number,
    options: Omit<RaftOptions, 'replicaId'> = testOptions,
    learners: readonly ReplicaId[] = [],
  ) {
    this.random = seededRandom(seed);
    const ids = Array.from({ length: size }, (_, at) => replicaId(at + 1));
    const voters = ids.filter((id) => !learners.includes(id));
    const configuration = { voters, outgoing: [], learners, learnersNext: [] };
    for (const id of ids) this.replicas.set(id, new Replica(id, configuration, this.random, options, 0));
  }

  get(id: number): Replica {
    const found = this.replicas.get(replicaId(id));
    assert(found !== undefined, 'the replica exists');
    return found;
  }

  get all(): readonly Replica[] {
    return [...this.replicas.values()];
  }

  chance(share: number): boolean {
    return this.random.nextU32() / 0x1_0000_0000 < share;
  }

  readonly send = (message: Message): void => {
    this.network.push(message);
  };

  private isCut(from: ReplicaId, to: ReplicaId): boolean {
    return this.cut.has(`${from}>${to}`);
  }

  /** Cuts these replicas off from the others, both ways. */
  isolate(...ids: readonly number[]): void {
    for (const { id } of this.all) {
      for (const other of ids) {
        if (ids.includes(id)) continue;
        this.cut.add(`${id}>${other}`).add(`${other}>${id}`);
      }
    }
  }

  heal(): void {
    this.cut.clear();
  }

  deliverOne(): void {
    const at = this.chance(this.faults.reorder) ? this.random.nextU32() % this.network.length : 0;
    const [message] = this.network.splice(at, 1);
    if (message === undefined) return;
    if (this.chance(this.faults.double)) this.network.push(message);
    if (this.chance(this.faults.drop) || this.isCut(message.from, message.to)) return;
    const to = this.replicas.get(message.to);
    if (to?.isUp) to.raft.step(message, this.nowMs);
  }

  /** Time passes, in steps of 10 ms; everything is delivered and made durable in between. */
  run(ms: number): void {
    const until = this.nowMs + ms;
    while (this.nowMs < until) {
      this.nowMs += 10;
      for (const replica of this.all) if (replica.isUp) replica.raft.tick(this.nowMs);
      this.settle();
    }
  }

  settle(): void {
    for (let steps = 0; steps < 2000; steps++) {
      let isQuiet = true;
      for (const replica of this.all) {
        if (!replica.isUp) continue;
        if (replica.raft.hasReady() || replica.pending.length > 0) isQuiet = false;
        replica.drain(this.send);
        replica.persistOne(this.send);
      }
      if (this.network.length > 0) {
        isQuiet = false;
        this.deliverOne();
      }
      this.check();
      if (isQuiet) return;
    }
  }

  leader(): Replica | undefined {
    const leaders = this.all.filter(({ isUp, raft }) => isUp && raft.isLeader);
    return leaders.sort((a, b) => b.raft.currentTerm - a.raft.currentTerm)[0];
  }

  elect(): Replica {
    for (let tries = 0; tries < 100; tries++) {
      this.run(100);
      const leader = this.leader();
      if (leader !== undefined && leader.raft.commitIndex === leader.raft.lastIndex) return leader;
    }
    throw new Error('no leader was elected');
  }

  /** Raft Figure 3, and that nothing durable goes back. */
  check(): void {
    for (const replica of this.all) {
      if (!replica.isUp) continue;
      const { raft } = replica;
      const { currentTerm, votedFor, commitIndex } = raft.status;
      if (raft.isLeader) {
        const known = this.leaderOfTerm.get(currentTerm);
        assert(known === undefined || known === replica.id, `election safety: two leaders in term ${currentTerm}`);
        if (known === undefined) this.checkCompleteness(replica);
        this.leaderOfTerm.set(currentTerm, replica.id);
      }
      const before = this.commitOf.get(replica);
      if (before?.raft === raft) {
        assert(commitIndex >= before.commit, 'commit never falls');
        assert(currentTerm >= before.term, 'pitfall 4: the term never falls');
        const isSame = currentTerm !== before.term || before.vote === noReplica || before.vote === votedFor;
        assert(isSame, 'a vote is given once a term');
      }
      this.commitOf.set(replica, { raft, commit: commitIndex, term: currentTerm, vote: votedFor });
      for (const entry of replica.applied.slice(-8)) {
        const known = this.committed.get(entry.index);
        assert(
          known === undefined || (known.term === entry.term && known.data.equals(entry.data)),
          'state-machine safety',
        );
        this.committed.set(entry.index, entry);
      }
    }
  }

  private checkCompleteness(leader: Replica): void {
    for (const [index, { term }] of this.committed) {
      if (index < leader.raft.firstIndex) continue;
      assert(leader.raft.term(index) === term, `leader completeness: ${leader.id} lacks the committed entry ${index}`);
    }
  }

  /** Log matching, over every pair of logs. */
  checkLogMatching(): void {
    const live = this.all.filter(({ isUp }) => isUp);
    for (const a of live) {
      for (const b of live) {
        let agreed = true;
        for (let index = Math.min(a.raft.lastIndex, b.raft.lastIndex); index >= 1; index--) {
          const same = a.raft.term(index) === b.raft.term(index);
          if (same) agreed = true;
          else
            assert(
              !agreed || index === Math.min(a.raft.lastIndex, b.raft.lastIndex) || !this.sameAbove(a, b, index),
              'log matching',
            );
          agreed = same;
        }
      }
    }
  }

  private sameAbove(a: Replica, b: Replica, index: number): boolean {
    return a.raft.term(index + 1) !== undefined && a.raft.term(index + 1) === b.raft.term(index + 1);
  }
}
