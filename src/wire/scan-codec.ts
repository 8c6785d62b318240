/**
 * Scans, and the read indexes they need, as protobuf. The messages' fields are named as the domain types' are, and absent fields have their defaults on the
 * prototype: what was decoded is used as it is, without a copy. Bytes are views of the input.
 *
 * Decoders throw BAD_REQUEST for bytes that are no such message.
 */
import { messageOf, RingraftError } from '../base/index.js';
import { encoded, messages, type Writer } from '../proto/index.js';
import type { ReadIndexAnswer, ReadIndexRequest, ScanPage, ScanRequest } from './operations.js';

type Codec<Message> = {
  encode(message: Message, writer: InstanceType<typeof Writer>): unknown;
  decode(payload: Uint8Array): Message;
};

/** The generated code speaks of the same shapes with weaker types. */
const codec = <Message>(generated: unknown): Codec<Message> => generated as Codec<Message>;

const scanRequest = codec<ScanRequest>(messages.ScanRequest);
const scanPage = codec<ScanPage>(messages.ScanPage);
const readIndexRequest = codec<ReadIndexRequest>(messages.ReadIndexRequest);
const readIndexAnswer = codec<ReadIndexAnswer>(messages.ReadIndexAnswer);

function decode<Message>(kind: Codec<Message>, payload: Buffer, what: string): Message {
  try {
    return kind.decode(payload);
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', `not a ${what}: ${messageOf(cause)}`, { cause });
  }
}

const encode = <Message>(kind: Codec<Message>, message: Message): Buffer =>
  encoded((writer) => kind.encode(message, writer));

export const encodeScanRequest = (request: ScanRequest): Buffer => encode(scanRequest, request);

export const decodeScanRequest = (payload: Buffer): ScanRequest => decode(scanRequest, payload, 'scan request');

export const encodeScanPage = (page: ScanPage): Buffer => encode(scanPage, page);

export const decodeScanPage = (payload: Buffer): ScanPage => decode(scanPage, payload, 'scan page');

export const encodeReadIndexRequest = (request: ReadIndexRequest): Buffer => encode(readIndexRequest, request);

export const decodeReadIndexRequest = (payload: Buffer): ReadIndexRequest =>
  decode(readIndexRequest, payload, 'question for read indexes');

export const encodeReadIndexAnswer = (answer: ReadIndexAnswer): Buffer => encode(readIndexAnswer, answer);

export const decodeReadIndexAnswer = (payload: Buffer): ReadIndexAnswer =>
  decode(readIndexAnswer, payload, 'answer with read indexes');
