/** JSON answers of nodes: errors in their one shape, and never more than a message carries. */
import type { RingraftError } from '../base/index.js';
import type { ErrorBody } from './admin.js';

export const errorAnswer = ({ code, message, happened }: RingraftError): { readonly error: ErrorBody } => ({
  error: { code, message, happened },
});

/**
 * An answer that no message can carry (thousands of shards) must not go unanswered, nor stop the node: TOO_LARGE instead.
 * `askFor`: what to ask for in its place, for people.
 */
export function encodeAnswer(answer: object, maxPayloadBytes: number, askFor: string): Buffer {
  const bytes = Buffer.from(JSON.stringify(answer));
  if (bytes.length <= maxPayloadBytes) return bytes;
  const message = `the answer takes ${bytes.length} bytes, a message at most ${maxPayloadBytes}: ask for ${askFor}`;
  const error: ErrorBody = { code: 'TOO_LARGE', message, happened: 'no' };
  return Buffer.from(JSON.stringify({ error }));
}
