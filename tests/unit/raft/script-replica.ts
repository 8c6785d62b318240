/**
 * One replica of a raft script: the real core, a disk that may be told when to finish a write, and an account of what
 * the core did. What was not durable is gone after a crash; what was applied is kept, as the state machine's own.
 */
import { assert, noReplica, type Random, type ReplicaId } from '../../../src/base/index.js';
import {
  type Configuration,
  type Entry,
  type HardState,
  type Message,
  Raft,
  type Ready,
  type SnapshotMetadata,
} from '../../../src/raft/index.js';
import { testOptions } from './harness.js';
import { configurationText, entriesText, leaderText } from './script-text.js';

export type Disk = {
  hardState: HardState;
  snapshot: SnapshotMetadata;
  entries: readonly Entry[];
  appliedIndex: number;
};

/** What a replica tells its cluster. */
export type Outlet = {
  readonly say: (line: string) => void;
  readonly send: (message: Message) => void;
  readonly onLeader: (term: number, leader: ReplicaId) => void;
  readonly onApplied: (entries: readonly Entry[]) => void;
};

/** Draws the same number every time: replica n waits (n - 1) / 8 of the spread longer than it must. */
const steadyRandom = (id: ReplicaId): Random => ({ nextU32: () => (id - 1) * 2 ** 29 });

export class ScriptReplica {
  raft: Raft;
  isUp = true;
  isDiskManual = false;
  /** How far this replica's own clock is from the script's. */
  clockSkewMs = 0;
  disk: Disk;
  private pending: Ready[] = [];
  private isInstalling = false;
  private seen = { role: '', configuration: '', commitIndex: 0 };
  /** The log as it was handed out to be written. */
  private handedOut: readonly Entry[];

  constructor(
    readonly id: ReplicaId,
    configuration: Configuration,
    private readonly outlet: Outlet,
    nowMs: number,
  ) {
    this.disk = {
      hardState: { currentTerm: 0, votedFor: noReplica, commitIndex: 0 },
      snapshot: { index: 0, term: 0, configuration },
      entries: [],
      appliedIndex: 0,
    };
    this.handedOut = [];
    this.raft = this.boot(nowMs);
  }

  private boot(nowMs: number): Raft {
    const { hardState, snapshot, entries, appliedIndex } = this.disk;
    this.pending = [];
    this.isInstalling = false;
    this.isUp = true;
    this.handedOut = entries;
    const commitIndex = Math.max(hardState.commitIndex, appliedIndex);
    const raft = new Raft(
      { ...testOptions, replicaId: this.id },
      steadyRandom(this.id),
      { hardState: { ...hardState, commitIndex }, snapshot, entries, appliedIndex },
      nowMs + this.clockSkewMs,
    );
    const { role, configuration } = this.describe(raft);
    this.seen = { role, configuration, commitIndex };
    return raft;
  }

  restart(nowMs: number): void {
    this.raft = this.boot(nowMs);
  }

  crash(): void {
    this.isUp = false;
    this.pending = [];
  }

  private describe(raft: Raft): { role: string; configuration: string } {
    const { role, currentTerm, leader, configuration } = raft.status;
    const follows = role === 'follower' ? ` leader=${leaderText(leader)}` : '';
    return { role: `${role} term=${currentTerm}${follows}`, configuration: configurationText(configuration) };
  }

  /** Says what changed since the last time. */
  private observe(): void {
    const { outlet, seen, raft } = this;
    const now = this.describe(raft);
    if (now.role !== seen.role) outlet.say(`${this.id} is ${now.role}`);
    if (now.configuration !== seen.configuration) outlet.say(`${this.id} uses ${now.configuration}`);
    if (raft.isLeader) outlet.onLeader(raft.currentTerm, this.id);
    this.seen = { ...now, commitIndex: seen.commitIndex };
  }

  /** Takes the core's output until there is none. */
  drain(): void {
    this.observe();
    while (!this.isInstalling && this.raft.hasReady()) {
      const ready = this.raft.ready();
      this.noteEntries(ready);
      ready.messages.forEach(this.outlet.send);
      this.isInstalling = ready.snapshot !== undefined;
      this.write(ready);
      for (const { context, index } of ready.readStates) this.outlet.say(`${this.id} answers ${context} at ${index}`);
      for (const context of ready.droppedReads) this.outlet.say(`${this.id} drops ${context}`);
      this.apply(ready.committedEntries);
      this.observe();
    }
    this.observeCommit();
  }

  private noteEntries({ entries, snapshot }: Ready): void {
    if (snapshot !== undefined) this.handedOut = [];
    const [first] = entries;
    if (first === undefined) return;
    const replaced = this.handedOut.filter(({ index }) => index >= first.index);
    if (replaced.length > 0) this.outlet.say(`${this.id} forgets ${entriesText(replaced)}`);
    this.handedOut = [...this.handedOut.filter(({ index }) => index < first.index), ...entries];
  }

  private apply(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    const isAll = last?.index === this.raft.commitIndex && this.raft.commitIndex > this.seen.commitIndex;
    if (!isAll) this.observeCommit();
    this.seen.commitIndex = this.raft.commitIndex;
    if (last === undefined) return;
    this.outlet.say(`${this.id} ${isAll ? 'commits' : 'applies'} ${entriesText(entries)}`);
    for (const { index, term } of entries) {
      const isDurable = this.disk.entries.some((known) => known.index === index && known.term === term);
      assert(isDurable, 'what is applied is durable here');
    }
    this.outlet.onApplied(entries);
    this.disk.appliedIndex = last.index;
    this.raft.applied(last.index);
  }

  private observeCommit(): void {
    const { commitIndex } = this.raft;
    if (commitIndex !== this.seen.commitIndex) this.outlet.say(`${this.id} commit=${commitIndex}`);
    this.seen.commitIndex = commitIndex;
  }

  private write(ready: Ready): void {
    const waitsForEarlier = this.pending.length > 0 && ready.messagesAfterPersist.length > 0;
    const isFree = !ready.mustSync && !waitsForEarlier;
    if (isFree || !this.isDiskManual) {
      this.complete(ready);
      return;
    }
    this.pending.push(ready);
    const parts: string[] = [];
    if (ready.mustSync && ready.hardState !== undefined) {
      const { currentTerm, votedFor } = ready.hardState;
      parts.push(`term=${currentTerm} vote=${leaderText(votedFor)}`);
    }
    if (ready.snapshot !== undefined) parts.push(`snapshot=(${ready.snapshot.index},${ready.snapshot.term})`);
    if (ready.entries.length > 0) parts.push(`[${entriesText(ready.entries)}]`);
    if (parts.length > 0) this.outlet.say(`${this.id} writes ${parts.join(' ')}`);
  }

  /** The oldest write, or all, are durable now. */
  persist(count: number): boolean {
    const had = this.pending.length > 0;
    for (let done = 0; done < count && this.pending.length > 0; done++) {
      this.complete(this.pending.shift() as Ready);
      this.drain();
    }
    return had;
  }

  private complete(ready: Ready): void {
    const { disk } = this;
    if (ready.snapshot !== undefined) {
      const { index, term } = ready.snapshot;
      disk.snapshot = ready.snapshot;
      disk.entries = [];
      disk.appliedIndex = index;
      this.isInstalling = false;
      this.seen.commitIndex = index;
      this.outlet.say(`${this.id} installs snapshot (${index},${term})`);
    }
    const [first] = ready.entries;
    if (first !== undefined) {
      disk.entries = [...disk.entries.filter(({ index }) => index < first.index), ...ready.entries];
    }
    // A commit index alone is on disk only when a later write is; until then it may be lost.
    const isNewer = ready.mustSync || this.pending.length === 0;
    if (ready.hardState !== undefined && isNewer) disk.hardState = ready.hardState;
    if (ready.snapshot !== undefined) this.raft.snapshotPersisted(ready.snapshot.index);
    const last = ready.entries.at(-1);
    if (last !== undefined) this.raft.persisted(last.index, last.term);
    ready.messagesAfterPersist.forEach(this.outlet.send);
  }

  compact(index: number): void {
    const snapshot = this.raft.takeSnapshotMetadata(index);
    this.raft.compact(index);
    this.disk.snapshot = snapshot;
    this.disk.entries = this.disk.entries.filter((entry) => entry.index > index);
  }

  /** The log as the core has it, durable or not. */
  get log(): readonly Entry[] {
    return this.handedOut.filter(({ index }) => index >= this.raft.firstIndex && index <= this.raft.lastIndex);
  }
}
