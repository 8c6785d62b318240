/**
 * Operating errors: things that go wrong while every line of ours is right. One class, a stable `code`, and always
 * the answer to the question a caller has to ask: did it happen?
 *
 * Each code has a heading in docs/errors.md; a test compares the two.
 */
export const errorCodes = [
  'NOT_FOUND',
  'CONFLICT',
  'NO_LEADER',
  'NOT_LEADER',
  'NO_QUORUM',
  'TIMEOUT',
  'BUSY',
  'TOO_LARGE',
  'BAD_REQUEST',
  'DENIED',
  'WRONG_SHARD',
  'SESSION_EXPIRED',
  'DISK_FULL',
  'CORRUPT',
  'LOCKED',
  'CONFIG',
  'UNREACHABLE',
  'CLOSED',
  'TOO_STALE',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** `no`: it certainly did not and will not take effect. `unknown`: it may have, or may yet. */
export type Happened = 'no' | 'unknown';

export type ErrorDetails = {
  readonly happened?: Happened;
  readonly cause?: unknown;
  /** Machine-readable facts: the revision found, the leader's node, the path in the configuration. */
  readonly fields?: Readonly<Record<string, unknown>>;
};

export class RingraftError extends Error {
  override readonly name = 'RingraftError';
  readonly code: ErrorCode;
  readonly happened: Happened;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.happened = details.happened ?? 'no';
    this.fields = details.fields ?? {};
  }
}

export const isRingraftError = (error: unknown, code?: ErrorCode): error is RingraftError =>
  error instanceof RingraftError && (code === undefined || error.code === code);

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
