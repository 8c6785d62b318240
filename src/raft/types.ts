/**
 * What goes into the consensus core and what comes out of it. Plain data; see `raft.ts` for the caller's duties.
 */
import type { ReplicaId } from '../base/index.js';

/** Values stand in the log on disk: never change them. */
export const EntryType = { Normal: 0, NoOp: 1, Configuration: 2 } as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

export type Entry = {
  readonly term: number;
  /** First entry of a log is 1. */
  readonly index: number;
  readonly type: EntryType;
  readonly data: Buffer;
};

/** What must be on disk before any message that follows from it leaves (Raft Figure 2, "persistent state"). */
export type HardState = {
  readonly currentTerm: number;
  /** `noReplica` when this term's vote is still to give. */
  readonly votedFor: ReplicaId;
  /** Written along with what must be written, never a reason to write by itself. */
  readonly commitIndex: number;
};

/**
 * Membership (thesis §4). `outgoing` is empty unless the configuration is joint: then `voters` is C_new, `outgoing`
 * C_old, and every decision needs a majority of both. `learnersNext` are outgoing voters that stay as learners.
 */
export type Configuration = {
  readonly voters: readonly ReplicaId[];
  readonly outgoing: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
  readonly learnersNext: readonly ReplicaId[];
  /** The node each member lives on: carried along for the host, never looked at here. */
  readonly nodes?: Readonly<Record<number, string>>;
  /** How new the plan is that it follows (absent: 0): carried along for the host, never looked at here. */
  readonly epoch?: number;
};

/** What a change of the membership asks for. `nodes` says where members live that are new. */
export type MembershipTarget = {
  readonly voters: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
  readonly nodes?: Readonly<Record<number, string>>;
  /** Absent: as before. */
  readonly epoch?: number;
};

/** A snapshot by reference: the bytes travel beside the core. `configuration` is the one in force at `index`. */
export type SnapshotMetadata = {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
};

type Common = { readonly from: ReplicaId; readonly to: ReplicaId; readonly term: number };

export type AppendRequest = Common & {
  readonly type: 'AppendRequest';
  readonly prevIndex: number;
  readonly prevTerm: number;
  readonly entries: readonly Entry[];
  readonly commitIndex: number;
};

export type AppendResponse = Common & {
  readonly type: 'AppendResponse';
  /** Accepted: the last index known to match the leader. Rejected: the `prevIndex` that did not match. */
  readonly index: number;
  readonly rejected: boolean;
  /** When rejected: the highest index at which the logs may still agree, and the term of that entry (Raft §5.3). */
  readonly hintIndex: number;
  readonly hintTerm: number;
};

export type HeartbeatRequest = Common & {
  readonly type: 'HeartbeatRequest';
  readonly commitIndex: number;
  /** The heartbeat round; a fresh number each, so that an answer proves leadership after the round began. */
  readonly round: number;
  /** What tells a follower how old its data can be; see `Freshness`. Absent: 0, from a node of an earlier version. */
  readonly answeredRound?: number;
  readonly confirmedRound?: number;
  readonly leaderCommitIndex?: number;
  /** The leader has nothing to say until something happens: whoever holds its whole log may go quiet as well. */
  readonly quiesce?: boolean;
};

export type HeartbeatResponse = Common & {
  readonly type: 'HeartbeatResponse';
  readonly round: number;
  /** It is asked how old its data are, and needs every heartbeat for that. */
  readonly asksAge: boolean;
};

export type VoteRequest = Common & {
  readonly type: 'VoteRequest';
  readonly preVote: boolean;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** Set by a leader's own transfer: voters that still hear the leader may answer (thesis §3.10). */
  readonly leadershipTransfer: boolean;
};

export type VoteResponse = Common & {
  readonly type: 'VoteResponse';
  readonly preVote: boolean;
  readonly granted: boolean;
};

/** Sent once the snapshot's bytes are staged at the receiver; until then the host moves them. */
export type SnapshotRequest = Common & { readonly type: 'SnapshotRequest'; readonly snapshot: SnapshotMetadata };

export type TimeoutNow = Common & { readonly type: 'TimeoutNow' };

export type Message =
  | AppendRequest
  | AppendResponse
  | HeartbeatRequest
  | HeartbeatResponse
  | VoteRequest
  | VoteResponse
  | SnapshotRequest
  | TimeoutNow;

export type MessageType = Message['type'];

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/** Answers `readIndex(context)`: once `index` is applied, the read is linearizable (thesis §6.4). */
export type ReadState = { readonly context: unknown; readonly index: number };

/**
 * One batch of work for the host. Duties, in this order for one group (batches may overlap: the next may be taken
 * while this one is being written, and then its writes come after):
 *
 * 1. Send `messages` at any time.
 * 2. When `snapshot` is set: install its staged bytes, and put it into the log before `entries`.
 * 3. Write `entries` (whatever the log holds at or after the first one's index is replaced), with them `commitIndex`, and
 *    `hardState`.
 * 4. Once that is durable: send `messagesAfterPersist`, then call `persisted(...)`. A batch without `entries`,
 *    `snapshot` and with `mustSync` false needs no sync of its own, but its `messagesAfterPersist` still wait for
 *    every earlier batch.
 * 5. Apply `committedEntries` in order, then call `applied(index)`. They are durable here already.
 */
export type Ready = {
  /** Set when term or vote are others than before. */
  readonly hardState: HardState | undefined;
  /** At most the index of the last of the entries, when there are any. */
  readonly commitIndex: number;
  /** Whether `hardState`, `entries` or `snapshot` must be durable before `messagesAfterPersist` leave. */
  readonly mustSync: boolean;
  readonly entries: readonly Entry[];
  readonly snapshot: SnapshotMetadata | undefined;
  readonly messages: readonly Message[];
  readonly messagesAfterPersist: readonly Message[];
  readonly committedEntries: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** Read contexts that will never be answered (leadership lost): answer them NOT_LEADER. */
  readonly droppedReads: readonly unknown[];
};

export type RaftStatus = {
  readonly replicaId: ReplicaId;
  readonly role: Role;
  readonly leader: ReplicaId;
  readonly currentTerm: number;
  readonly votedFor: ReplicaId;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly persistedIndex: number;
  readonly configuration: Configuration;
  readonly transferringTo: ReplicaId;
  /** On a leader: what it knows of the others. */
  readonly progress: readonly {
    readonly replicaId: ReplicaId;
    readonly matchIndex: number;
    readonly nextIndex: number;
    readonly state: 'probe' | 'replicate' | 'snapshot';
    readonly recentlyActive: boolean;
  }[];
};

/** Times are milliseconds of the node's monotonic clock, passed in by the host with every input. */
export type RaftOptions = {
  readonly replicaId: ReplicaId;
  /** An election starts after a silence of [electionTimeoutMs, 2 * electionTimeoutMs), redrawn each time. */
  readonly electionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /**
   * How long after hearing from a leader a replica withholds its vote and pre-vote, whatever it is told. Also how
   * long it waits for an early election after the leader was reported unreachable.
   */
  readonly voteHoldMs: number;
  /** Leader lease, from when a round or an entry began that a quorum answered; less than voteHoldMs by the drift bound. */
  readonly leaseMs: number;
  /** Largest sum of entry data in one AppendRequest; at least one entry is always sent. */
  readonly maxAppendBytes: number;
  /** AppendRequests in flight to one follower before it must answer. */
  readonly maxInflightAppends: number;
  /** Sum of the data of entries proposed and not yet committed; beyond it `propose` is refused. */
  readonly maxUncommittedBytes: number;
  /**
   * A group in which nothing was asked for so long, and whose members all hold the whole log, goes quiet: no heartbeats
   * and no timers, until something happens or the host `wake`s it. Never when absent.
   */
  readonly quiesceAfterMs?: number;
};

/** What a replica knows when it starts, read from the log by the host. */
export type RaftInitialState = {
  readonly hardState: HardState;
  /** The log begins after this; index 0 and the first configuration for a new group. */
  readonly snapshot: SnapshotMetadata;
  /** The entries after `snapshot.index`, without gaps, all durable. */
  readonly entries: readonly Entry[];
  /** Already in the state machine; at least `snapshot.index`, at most `hardState.commitIndex`. */
  readonly appliedIndex: number;
  /** So long after its first tick it leaves elections to others: whoever should lead goes first. Not at all when absent. */
  readonly yieldMs?: number;
};
