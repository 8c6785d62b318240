/** A single core, spoken to by hand: everything it says is collected, and its writes are durable at once. */
import { noReplica, type ReplicaId, replicaId, seededRandom } from '../../../src/base/index.js';
import {
  type Configuration,
  type Entry,
  EntryType,
  encodeConfiguration,
  type Message,
  Raft,
  type RaftInitialState,
  type RaftOptions,
} from '../../../src/raft/index.js';
import { testOptions } from './harness.js';

export const one = replicaId(1);
export const two = replicaId(2);
export const three = replicaId(3);
export const voters = [one, two, three];
export const configuration = { voters, outgoing: [], learners: [], learnersNext: [] };

export const entry = (index: number, term: number, text = ''): Entry => ({
  index,
  term,
  type: EntryType.Normal,
  data: Buffer.from(text),
});

export const changeEntry = (index: number, term: number, to: Configuration): Entry => ({
  index,
  term,
  type: EntryType.Configuration,
  data: encodeConfiguration(to),
});

export function core(
  id: ReplicaId,
  state: Partial<RaftInitialState> & { term?: number } = {},
  ids = voters,
  times: Partial<RaftOptions> = {},
): Raft {
  const { term = 0, ...rest } = state;
  return new Raft(
    { ...testOptions, ...times, replicaId: id },
    seededRandom(id),
    {
      hardState: { currentTerm: term, votedFor: noReplica, commitIndex: 0 },
      snapshot: { index: 0, term: 0, configuration: { ...configuration, voters: ids } },
      entries: [],
      appliedIndex: 0,
      ...rest,
    },
    0,
  );
}

/** Everything the core wants to send, now and after its writes, which are taken as durable. */
export function flush(raft: Raft, durable = true): Message[] {
  const sent: Message[] = [];
  while (raft.hasReady()) {
    const ready = raft.ready();
    sent.push(...ready.messages);
    if (!durable) continue;
    sent.push(...ready.messagesAfterPersist);
    if (ready.snapshot !== undefined) raft.snapshotPersisted(ready.snapshot.index);
    const last = ready.entries.at(-1);
    if (last !== undefined) raft.persisted(last.index, last.term);
    for (const { index } of ready.committedEntries) raft.applied(index);
  }
  return sent;
}

export const ask = (from: ReplicaId, to: ReplicaId, term: number, extra: object = {}): Message => ({
  type: 'VoteRequest',
  from,
  to,
  term,
  preVote: false,
  lastIndex: 0,
  lastTerm: 0,
  leadershipTransfer: false,
  ...extra,
});

export const granted = (messages: readonly Message[]): boolean =>
  messages.some((message) => message.type === 'VoteResponse' && message.granted);

/** Elects `id` with the votes of the others, at `nowMs`. */
export function lead(raft: Raft, nowMs: number): void {
  raft.tick(nowMs + 5000);
  for (const preVote of [true, false]) {
    for (const { type, from, to, term } of flush(raft)) {
      if (type !== 'VoteRequest') continue;
      raft.step({ type: 'VoteResponse', from: to, to: from, term, preVote, granted: true }, nowMs + 5000);
    }
  }
}

/** `from` has everything up to `index`, and says so in `term`. */
export const accept = (
  raft: Raft,
  from: ReplicaId,
  index: number,
  nowMs = 5000,
  term: number = raft.currentTerm,
): void => {
  const to = raft.status.replicaId;
  raft.step({ type: 'AppendResponse', from, to, term, index, rejected: false, hintIndex: 0, hintTerm: 0 }, nowMs);
};

export const beat = (from: ReplicaId, to: ReplicaId, term: number): Message => ({
  type: 'HeartbeatRequest',
  from,
  to,
  term,
  commitIndex: 0,
  round: 1,
});

export const beatAnswer = (raft: Raft, from: ReplicaId, round: number, nowMs: number, asksAge = false): void =>
  raft.step({ type: 'HeartbeatResponse', from, to: one, term: raft.currentTerm, round, asksAge }, nowMs);

export const roundOf = (messages: readonly Message[]): number =>
  Math.max(0, ...messages.map((message) => (message.type === 'HeartbeatRequest' ? message.round : 0)));

export const append = (
  from: ReplicaId,
  to: ReplicaId,
  term: number,
  [prevIndex, prevTerm]: readonly [number, number],
  entries: readonly Entry[],
  commitIndex = 0,
): Message => ({ type: 'AppendRequest', from, to, term, prevIndex, prevTerm, entries, commitIndex });
