/** Numbers of the `Nats-Service-Error-Code` header (ADR-32), in the manner of HTTP's. */
import type { ErrorCode } from '../base/index.js';

const statuses: Readonly<Record<ErrorCode, number>> = {
  BAD_REQUEST: 400,
  DENIED: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  TOO_LARGE: 413,
  NOT_LEADER: 421,
  WRONG_SHARD: 421,
  BUSY: 429,
  CORRUPT: 500,
  CONFIG: 500,
  LOCKED: 500,
  NO_LEADER: 503,
  NO_QUORUM: 503,
  UNREACHABLE: 503,
  CLOSED: 503,
  TOO_STALE: 503,
  DISK_FULL: 503,
  TIMEOUT: 504,
  SESSION_EXPIRED: 504,
};

export const statusOf = (code: ErrorCode): number => statuses[code];
