/** The messages of the hot path as protobufjs' generated code writes and reads them: what ours are compared with. */
import { crc32 } from 'node:zlib';
import { emptyBytes, mapKey, type NodeId, type ReplicaId, type ShardId } from '../../src/base/index.js';
import { messages } from '../../src/proto/index.js';
import type { EntryType, Message } from '../../src/raft/index.js';
import type * as wire from '../../src/wire/index.js';

type Generated = {
  encode(message: unknown): { finish(): Uint8Array };
  decode(payload: Uint8Array): Record<string, unknown>;
};
const generated = (codec: unknown): Generated => codec as Generated;
const written = (codec: unknown, message: unknown): Buffer => generated(codec).encode(message).finish() as Buffer;

const commandFields = [
  'kind',
  'bucketId',
  'key',
  'value',
  'condition',
  'expectedRevision',
  'expectedValue',
  'expiresAtMs',
  'session',
  'sequence',
  'maxValueBytes',
];
const operationFields = [
  'requestId',
  'kind',
  'bucketId',
  'key',
  'value',
  'condition',
  'expectedRevision',
  'expectedValue',
  'ttlMs',
  'level',
  'sequence',
  'clientId',
  'atLeastIndex',
  'maxStalenessMs',
];
const resultFields = [
  'requestId',
  'code',
  'value',
  'revision',
  'found',
  'maybeHappened',
  'servedLevel',
  'maybeStale',
  'leaderHint',
  'message',
  'number',
  'expiresAtMs',
  'appliedIndex',
  'ageMs',
  'shownIndex',
];
const factsFields = ['replicaId', 'touchedIndex', 'voters', 'outgoing'];

type Fields = Record<string, unknown>;
/** Absent fields stand on the prototype. */
const named = (message: unknown, names: readonly string[]): Fields =>
  Object.fromEntries(names.map((name) => [name, (message as Fields)[name]]));
const each = (list: unknown, names: readonly string[]): Fields[] =>
  (list as unknown[]).map((message) => named(message, names));

const idBytes = (clientId: string): Buffer => Buffer.from(clientId, 'latin1');
const idOf = (bytes: unknown): string => mapKey(bytes as Buffer);

export const commandBatchReference = {
  encode: ({ sessions, ...batch }: wire.CommandBatch): Buffer => {
    const ids = sessions.map(({ clientId, ackedBelow }) => ({ clientId: idBytes(clientId), ackedBelow }));
    return written(messages.CommandBatch, { ...batch, sessions: ids });
  },
  decode: (payload: Buffer): unknown => {
    const { timeStampMs, sessions, commands } = generated(messages.CommandBatch).decode(payload);
    const ids = (sessions as Fields[]).map(({ clientId, ackedBelow }) => ({ clientId: idOf(clientId), ackedBelow }));
    return { timeStampMs, sessions: ids, commands: each(commands, commandFields) };
  },
};

export const operationBatchReference = {
  encode: (batch: wire.OperationBatch): Buffer =>
    written(messages.OperationBatch, { ...batch, clientId: idBytes(batch.clientId) }),
  decode: (payload: Buffer): unknown => {
    const { clientId, ackedBelow, mapEpoch, operations } = generated(messages.OperationBatch).decode(payload);
    return { clientId: idOf(clientId), ackedBelow, mapEpoch, operations: each(operations, operationFields) };
  },
};

export const resultBatchReference = {
  encode: (batch: wire.ResultBatch): Buffer => written(messages.ResultBatch, batch),
  decode: (payload: Buffer): unknown => {
    const { results, mapEpoch } = generated(messages.ResultBatch).decode(payload);
    const whole = (results as Fields[]).map((result) => ({
      ...named(result, resultFields),
      replica: result.replica === null ? null : named(result.replica, factsFields),
    }));
    return { results: whole, mapEpoch };
  },
};

const types = {
  AppendRequest: 1,
  AppendResponse: 2,
  HeartbeatRequest: 3,
  HeartbeatResponse: 4,
  VoteRequest: 5,
  VoteResponse: 6,
  SnapshotRequest: 7,
  TimeoutNow: 8,
} as const;

function toWire({ shardId: shard, message }: wire.EnvelopeItem): object {
  const { from, to, term } = message;
  const both = { type: types[message.type], shard, from, to, term };
  switch (message.type) {
    case 'AppendRequest': {
      const { prevIndex: index, prevTerm: logTerm, commitIndex, entries } = message;
      return { ...both, index, logTerm, commitIndex, entries };
    }
    case 'AppendResponse': {
      const { index, rejected: verdict, hintIndex, hintTerm } = message;
      return { ...both, index, verdict, hintIndex, hintTerm };
    }
    case 'HeartbeatRequest': {
      const { commitIndex, round, answeredRound: index, confirmedRound: logTerm, quiesce } = message;
      const { leaderCommitIndex: hintIndex } = message;
      return { ...both, commitIndex, round, verdict: quiesce === true, index, logTerm, hintIndex };
    }
    case 'HeartbeatResponse':
      return { ...both, round: message.round, verdict: message.asksAge };
    case 'VoteRequest': {
      const { lastIndex: index, lastTerm: logTerm, preVote, leadershipTransfer } = message;
      return { ...both, index, logTerm, preVote, leadershipTransfer };
    }
    case 'VoteResponse':
      return { ...both, preVote: message.preVote, verdict: message.granted };
    case 'SnapshotRequest':
      return { ...both, snapshot: message.snapshot };
    case 'TimeoutNow':
      return both;
  }
}

type WireMessage = InstanceType<typeof messages.RaftMessage>;

const snapshotOf = ({ snapshot }: WireMessage) => {
  const ids = (members: readonly number[] | null | undefined): ReplicaId[] => [...(members ?? [])] as ReplicaId[];
  const configuration = snapshot?.configuration;
  return {
    index: snapshot?.index ?? 0,
    term: snapshot?.term ?? 0,
    configuration: {
      voters: ids(configuration?.voters),
      outgoing: ids(configuration?.outgoing),
      learners: ids(configuration?.learners),
      learnersNext: ids(configuration?.learnersNext),
    },
  };
};

/** Counted up one by one, as ours are: beyond 2^53, in damaged bytes, that is not the sum. */
const entriesOf = ({ index: previous, entries }: WireMessage) => {
  let index = previous;
  return (entries ?? []).map((entry) => {
    index += 1;
    const { term, type, data } = entry;
    return { term: term ?? 0, index, type: (type ?? 0) as EntryType, data: (data ?? emptyBytes) as Buffer };
  });
};

function fromWire(message: WireMessage): Message | undefined {
  const common = { from: message.from as ReplicaId, to: message.to as ReplicaId, term: message.term };
  const { index, logTerm, commitIndex, round, verdict, preVote, hintIndex, hintTerm, leadershipTransfer } = message;
  switch (message.type as number) {
    case types.AppendRequest: {
      const place = { prevIndex: index, prevTerm: logTerm, commitIndex };
      return { type: 'AppendRequest', ...common, ...place, entries: entriesOf(message) };
    }
    case types.AppendResponse:
      return { type: 'AppendResponse', ...common, index, rejected: verdict, hintIndex, hintTerm };
    case types.HeartbeatRequest: {
      const rounds = { round, answeredRound: index, confirmedRound: logTerm, leaderCommitIndex: hintIndex };
      return { type: 'HeartbeatRequest', ...common, ...rounds, commitIndex, ...(verdict ? { quiesce: true } : {}) };
    }
    case types.HeartbeatResponse:
      return { type: 'HeartbeatResponse', ...common, round, asksAge: verdict };
    case types.VoteRequest:
      return { type: 'VoteRequest', ...common, preVote, lastIndex: index, lastTerm: logTerm, leadershipTransfer };
    case types.VoteResponse:
      return { type: 'VoteResponse', ...common, preVote, granted: verdict };
    case types.SnapshotRequest:
      return { type: 'SnapshotRequest', ...common, snapshot: snapshotOf(message) };
    case types.TimeoutNow:
      return { type: 'TimeoutNow', ...common };
    default:
      return undefined;
  }
}

/** With the checksum it should have in its last four bytes. */
export function sealed(bytes: Uint8Array): Buffer {
  const envelope = Buffer.from(bytes);
  const end = envelope.length - 4;
  envelope.writeUInt32LE(crc32(envelope.subarray(0, end)), end);
  return envelope;
}

export const envelopeReference = {
  encode: ({ items, ...envelope }: wire.Envelope): Buffer => {
    // protobufjs leaves a checksum of 0 out.
    return sealed(written(messages.Envelope, { ...envelope, messages: items.map(toWire), checksum: 1 }));
  },
  /** What is sealed; the checksum is not looked at. */
  decode: (payload: Buffer): unknown => {
    const { fromNode, fromIncarnation, toIncarnation, messages: all } = messages.Envelope.decode(payload);
    const items = (all as WireMessage[]).flatMap((each) => {
      const message = fromWire(each);
      return message === undefined ? [] : [{ shardId: each.shard as ShardId, message }];
    });
    return { fromNode: fromNode as NodeId, fromIncarnation, toIncarnation, items };
  },
};
