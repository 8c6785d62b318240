/**
 * Operations and mutations as protobuf. The messages' fields are named as the domain types' are, and absent fields have
 * their defaults on the prototype: what was decoded is used as it is, without a copy. Bytes are views of the input.
 *
 * Decoders throw BAD_REQUEST for bytes that are no such message.
 */
import { mapKey, messageOf, RingraftError } from '../base/index.js';
import { encoded, messages, type Writer } from '../proto/index.js';
import type { CommandBatch, OperationBatch, ResultBatch, ScanPage, ScanRequest } from './operations.js';

type Codec<Message> = {
  encode(message: Message, writer: InstanceType<typeof Writer>): unknown;
  decode(payload: Uint8Array): Message;
};

/** The generated code speaks of the same shapes with weaker types. */
const codec = <Message>(generated: unknown): Codec<Message> => generated as Codec<Message>;

type WireSession = { clientId: Buffer; ackedBelow: number };
type WireCommandBatch = Omit<CommandBatch, 'sessions'> & { sessions: WireSession[] };
type WireOperationBatch = Omit<OperationBatch, 'clientId'> & { clientId: Buffer };

const commandBatch = codec<WireCommandBatch>(messages.CommandBatch);
const operationBatch = codec<WireOperationBatch>(messages.OperationBatch);
const resultBatch = codec<ResultBatch>(messages.ResultBatch);
const scanRequest = codec<ScanRequest>(messages.ScanRequest);
const scanPage = codec<ScanPage>(messages.ScanPage);

function decode<Message>(kind: Codec<Message>, payload: Buffer, what: string): Message {
  try {
    return kind.decode(payload);
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', `not a ${what}: ${messageOf(cause)}`, { cause });
  }
}

const encode = <Message>(kind: Codec<Message>, message: Message): Buffer =>
  encoded((writer) => kind.encode(message, writer));

/** A client id is kept as the latin1 string of its bytes. */
const idBytes = (clientId: string): Buffer => Buffer.from(clientId, 'latin1');

export function encodeCommandBatch(batch: CommandBatch): Buffer {
  const sessions = batch.sessions.map(({ clientId, ackedBelow }) => ({ clientId: idBytes(clientId), ackedBelow }));
  return encode(commandBatch, { timeStampMs: batch.timeStampMs, sessions, commands: batch.commands });
}

export function decodeCommandBatch(data: Buffer): CommandBatch {
  const { timeStampMs, sessions, commands } = decode(commandBatch, data, 'batch of commands');
  return {
    timeStampMs,
    sessions: sessions.map(({ clientId, ackedBelow }) => ({ clientId: mapKey(clientId), ackedBelow })),
    commands,
  };
}

export const encodeOperationBatch = (batch: OperationBatch): Buffer =>
  encode(operationBatch, { ...batch, clientId: idBytes(batch.clientId) });

export function decodeOperationBatch(payload: Buffer): OperationBatch {
  const { clientId, ackedBelow, mapEpoch, operations } = decode(operationBatch, payload, 'batch of operations');
  return { clientId: mapKey(clientId), ackedBelow, mapEpoch, operations };
}

export const encodeResultBatch = (batch: ResultBatch): Buffer => encode(resultBatch, batch);

export const decodeResultBatch = (payload: Buffer): ResultBatch => decode(resultBatch, payload, 'batch of results');

export const encodeScanRequest = (request: ScanRequest): Buffer => encode(scanRequest, request);

export const decodeScanRequest = (payload: Buffer): ScanRequest => decode(scanRequest, payload, 'scan request');

export const encodeScanPage = (page: ScanPage): Buffer => encode(scanPage, page);

export const decodeScanPage = (payload: Buffer): ScanPage => decode(scanPage, payload, 'scan page');
