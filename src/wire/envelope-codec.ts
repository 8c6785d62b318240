/**
 * Envelopes between nodes: consensus messages of many groups in one payload. Entry data are views of the input.
 *
 * Invariant: an envelope ends with the checksum of everything before it. Consensus is proven for messages that are lost, never
 * for messages that say something else than was sent, and a client library has mixed two streams of bytes before.
 */
import { crc32 } from 'node:zlib';
import { emptyBytes, messageOf, type NodeId, type ReplicaId, RingraftError, type ShardId } from '../base/index.js';
import { encoded, messages } from '../proto/index.js';
import type { Configuration, Entry, EntryType, Message, SnapshotMetadata } from '../raft/index.js';

export type EnvelopeItem = { readonly shardId: ShardId; readonly message: Message };

export type Envelope = {
  readonly fromNode: NodeId;
  readonly fromIncarnation: number;
  /** 0: the sender does not know it yet. */
  readonly toIncarnation: number;
  readonly items: readonly EnvelopeItem[];
};

type WireMessage = InstanceType<typeof messages.RaftMessage>;

/** Numbers on the wire; for ever. */
const typeNumbers = {
  AppendRequest: 1,
  AppendResponse: 2,
  HeartbeatRequest: 3,
  HeartbeatResponse: 4,
  VoteRequest: 5,
  VoteResponse: 6,
  SnapshotRequest: 7,
  TimeoutNow: 8,
} as const satisfies Record<Message['type'], number>;

/** Field tags and numbers of one message, and of one entry in it; upper bounds. */
const messageOverheadBytes = 96;
const entryOverheadBytes = 24;

/** An upper bound of what an item adds to an envelope. */
export function envelopeItemBytes({ message }: EnvelopeItem): number {
  if (message.type !== 'AppendRequest') return messageOverheadBytes;
  let bytes = messageOverheadBytes;
  for (const entry of message.entries) bytes += entry.data.length + entryOverheadBytes;
  return bytes;
}

/** The fields one by one, not a common part spread: this is written for every message of every group. */
function toWire({ shardId: shard, message }: EnvelopeItem): object {
  const { from, to, term } = message;
  const type = typeNumbers[message.type];
  switch (message.type) {
    case 'AppendRequest': {
      const { prevIndex: index, prevTerm: logTerm, commitIndex, entries } = message;
      return { type, shard, from, to, term, index, logTerm, commitIndex, entries };
    }
    case 'AppendResponse': {
      const { index, rejected: verdict, hintIndex, hintTerm } = message;
      return { type, shard, from, to, term, index, verdict, hintIndex, hintTerm };
    }
    case 'HeartbeatRequest': {
      const {
        commitIndex,
        round,
        answeredRound: index,
        confirmedRound: logTerm,
        leaderCommitIndex: hintIndex,
      } = message;
      const verdict = message.quiesce === true;
      return { type, shard, from, to, term, commitIndex, round, verdict, index, logTerm, hintIndex };
    }
    case 'HeartbeatResponse':
      return { type, shard, from, to, term, round: message.round };
    case 'VoteRequest': {
      const { lastIndex: index, lastTerm: logTerm, preVote, leadershipTransfer } = message;
      return { type, shard, from, to, term, index, logTerm, preVote, leadershipTransfer };
    }
    case 'VoteResponse':
      return { type, shard, from, to, term, preVote: message.preVote, verdict: message.granted };
    case 'SnapshotRequest':
      return { type, shard, from, to, term, snapshot: message.snapshot };
    case 'TimeoutNow':
      return { type, shard, from, to, term };
  }
}

const configurationOf = (wire: WireMessage['snapshot']): Configuration => {
  const ids = (list: readonly number[] | null | undefined): ReplicaId[] => [...(list ?? [])] as ReplicaId[];
  const configuration = wire?.configuration;
  return {
    voters: ids(configuration?.voters),
    outgoing: ids(configuration?.outgoing),
    learners: ids(configuration?.learners),
    learnersNext: ids(configuration?.learnersNext),
  };
};

const snapshotOf = (wire: WireMessage['snapshot']): SnapshotMetadata => ({
  index: wire?.index ?? 0,
  term: wire?.term ?? 0,
  configuration: configurationOf(wire),
});

function entriesOf(wire: WireMessage): readonly Entry[] {
  const { index, entries } = wire;
  return (entries ?? []).map((entry, at) => ({
    term: entry.term ?? 0,
    index: index + 1 + at,
    type: (entry.type ?? 0) as EntryType,
    data: (entry.data ?? emptyBytes) as Buffer,
  }));
}

/** undefined for a type of a newer version. */
function fromWire(wire: WireMessage): Message | undefined {
  const from = wire.from as ReplicaId;
  const to = wire.to as ReplicaId;
  const { term, index, logTerm, commitIndex, round, verdict, preVote, hintIndex, hintTerm } = wire;
  switch (wire.type as number) {
    case typeNumbers.AppendRequest: {
      const entries = entriesOf(wire);
      return { type: 'AppendRequest', from, to, term, prevIndex: index, prevTerm: logTerm, entries, commitIndex };
    }
    case typeNumbers.AppendResponse:
      return { type: 'AppendResponse', from, to, term, index, rejected: verdict, hintIndex, hintTerm };
    case typeNumbers.HeartbeatRequest: {
      const message: Message = {
        type: 'HeartbeatRequest',
        from,
        to,
        term,
        commitIndex,
        round,
        answeredRound: index,
        confirmedRound: logTerm,
        leaderCommitIndex: hintIndex,
      };
      return verdict ? { ...message, quiesce: true } : message;
    }
    case typeNumbers.HeartbeatResponse:
      return { type: 'HeartbeatResponse', from, to, term, round };
    case typeNumbers.VoteRequest: {
      const { leadershipTransfer } = wire;
      return { type: 'VoteRequest', from, to, term, preVote, lastIndex: index, lastTerm: logTerm, leadershipTransfer };
    }
    case typeNumbers.VoteResponse:
      return { type: 'VoteResponse', from, to, term, preVote, granted: verdict };
    case typeNumbers.SnapshotRequest:
      return { type: 'SnapshotRequest', from, to, term, snapshot: snapshotOf(wire.snapshot) };
    case typeNumbers.TimeoutNow:
      return { type: 'TimeoutNow', from, to, term };
    default:
      return undefined;
  }
}

export function encodeEnvelope(
  fromNode: NodeId,
  fromIncarnation: number,
  toIncarnation: number,
  items: readonly EnvelopeItem[],
): Buffer {
  const envelope = { fromNode, fromIncarnation, toIncarnation, messages: items.map(toWire) };
  const bytes = encoded((writer) =>
    messages.Envelope.encode(envelope as never, writer)
      .uint32(checksumTag)
      .fixed32(0),
  );
  const end = bytes.length - checksumBytes;
  bytes.writeUInt32LE(crc32(bytes.subarray(0, end)), end);
  return bytes;
}

/** The field's tag and the value, as protobuf writes a `fixed32`. */
const checksumTag = (15 << 3) | 5;
const checksumBytes = 4;

function isWhole(payload: Buffer): boolean {
  const end = payload.length - checksumBytes;
  if (end < 1 || payload[end - 1] !== checksumTag) return false;
  return payload.readUInt32LE(end) === crc32(payload.subarray(0, end));
}

/** Throws BAD_REQUEST for bytes that are no envelope, or a damaged one; skips messages of types it does not know. */
export function decodeEnvelope(payload: Buffer): Envelope {
  if (!isWhole(payload)) throw new RingraftError('BAD_REQUEST', 'not an envelope: the checksum does not match');
  try {
    const envelope = messages.Envelope.decode(payload);
    const items: EnvelopeItem[] = [];
    for (const wire of envelope.messages as WireMessage[]) {
      const message = fromWire(wire);
      if (message !== undefined) items.push({ shardId: wire.shard as ShardId, message });
    }
    const { fromNode, fromIncarnation, toIncarnation } = envelope;
    return { fromNode: fromNode as NodeId, fromIncarnation, toIncarnation, items };
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', `not an envelope: ${messageOf(cause)}`, { cause });
  }
}
