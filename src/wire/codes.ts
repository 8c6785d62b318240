import type { ErrorCode } from '../base/index.js';

/** Numbers of the error codes on the wire; 0 is "ok". For ever: add, never reuse. */
const numbers: Readonly<Record<ErrorCode, number>> = {
  NOT_FOUND: 1,
  CONFLICT: 2,
  NO_LEADER: 3,
  NOT_LEADER: 4,
  NO_QUORUM: 5,
  TIMEOUT: 6,
  BUSY: 7,
  TOO_LARGE: 8,
  BAD_REQUEST: 9,
  DENIED: 10,
  WRONG_SHARD: 11,
  SESSION_EXPIRED: 12,
  DISK_FULL: 13,
  CORRUPT: 14,
  LOCKED: 15,
  CONFIG: 16,
  UNREACHABLE: 17,
  CLOSED: 18,
  TOO_STALE: 19,
};

const byNumber = new Map<number, ErrorCode>(
  (Object.entries(numbers) as [ErrorCode, number][]).map(([code, number]) => [number, code]),
);

export const okCode = 0;
export const codeNumber = (code: ErrorCode): number => numbers[code];
/** undefined for 0 and for numbers of a newer version. */
export const codeOf = (number: number): ErrorCode | undefined => byNumber.get(number);
