/** Mutations that no client asked for: a node's own. */
import { type BucketId, emptyBytes } from '../base/index.js';
import { type Command, type CommandKind, ConditionKind } from './operations.js';

/** Without a condition, and of no session: whoever sends it bears that it may be applied twice. */
export const ownCommand = (
  kind: CommandKind,
  bucketId: BucketId,
  key: Buffer,
  { value = emptyBytes, expiresAtMs = 0 }: { readonly value?: Buffer; readonly expiresAtMs?: number } = {},
): Command => ({
  kind,
  bucketId,
  key,
  value,
  condition: ConditionKind.None,
  expectedRevision: 0,
  expectedValue: emptyBytes,
  expiresAtMs,
  session: 0,
  sequence: 0,
  maxValueBytes: 0,
});
