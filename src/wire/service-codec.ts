/**
 * The public API's protobuf bodies. Requests come out with only the fields that were sent, and say whether they held
 * anything this version does not know; answers are plain objects with the fields' names.
 */
import { messageOf, RingraftError } from '../base/index.js';
import { encoded, messages, strictReader } from '../proto/index.js';

const requests = {
  KvRequest: messages.KvRequest,
  KvBatchRequest: messages.KvBatchRequest,
  KvScanRequest: messages.KvScanRequest,
} as const;
const answers = {
  KvAnswer: messages.KvAnswer,
  KvBatchAnswer: messages.KvBatchAnswer,
  KvScanAnswer: messages.KvScanAnswer,
} as const;

export type PublicRequestName = keyof typeof requests;
export type PublicAnswerName = keyof typeof answers;

/** Throws BAD_REQUEST for bytes that are no such message. */
export function decodePublicRequest(name: PublicRequestName, payload: Buffer): object {
  try {
    return requests[name].decode(strictReader(payload)) as object;
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', `the body is no ${name}: ${messageOf(cause)}`, { cause });
  }
}

/** Whether the message, itself and not what it contains, had fields of another version or of another type. */
export const hasUnknownFields = (message: object): boolean =>
  ((message as { readonly $unknowns?: readonly unknown[] }).$unknowns?.length ?? 0) > 0;

export const encodePublicAnswer = (name: PublicAnswerName, fields: object): Buffer =>
  encoded((writer) => answers[name].encode(fields as never, writer));
