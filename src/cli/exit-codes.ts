/** Exit codes of kvctl (docs/errors.md). Scripts depend on them: never change one. */
import { type ErrorCode, isRingraftError } from '../base/index.js';

export const exitCodes = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  noLeaderOrQuorum: 5,
  timeout: 6,
  denied: 7,
  interrupted: 130,
} as const;

const byCode: Partial<Record<ErrorCode, number>> = {
  NOT_FOUND: exitCodes.notFound,
  CONFLICT: exitCodes.conflict,
  NO_LEADER: exitCodes.noLeaderOrQuorum,
  NOT_LEADER: exitCodes.noLeaderOrQuorum,
  NO_QUORUM: exitCodes.noLeaderOrQuorum,
  TOO_STALE: exitCodes.noLeaderOrQuorum,
  TIMEOUT: exitCodes.timeout,
  DENIED: exitCodes.denied,
  CONFIG: exitCodes.usage,
  BAD_REQUEST: exitCodes.usage,
};

export const exitCodeOf = (error: unknown): number =>
  isRingraftError(error) ? (byCode[error.code] ?? exitCodes.error) : exitCodes.error;
