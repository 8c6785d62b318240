/**
 * Reads at the level they ask for: through the leader, from replicas, or, where a bucket or a caller wants an answer more
 * than a fresh one, the best of them that there is.
 *
 * Invariant: a result names the level it was really served at; nothing weaker than what was asked for is given without
 * `available`.
 */
import { type Clock, isRingraftError, RingraftError } from '../base/index.js';
import { ConsistencyLevel, type Operation, type OperationResult } from '../wire/index.js';
import type { ReplicaReads } from './replica-reads.js';
import type { RoutingTable } from './routing-table.js';
import type { ReadOptions } from './types.js';

/** Of the time there is, what a stronger level gets before the next weaker one is tried. */
const strongerShare = 0.4;
const mostForStrongerMs = 1000;
/** A shard that could not be read at a level is not asked at it again for so long. */
const degradedMs = 1000;

export type ReadsParts = {
  readonly clock: Clock;
  readonly routes: RoutingTable;
  readonly replicas: ReplicaReads;
  /** The way through the leader. */
  readonly lead: (operation: Operation, timeoutMs: number) => Promise<OperationResult>;
};

/** Whether a read can go the leader's way and no other. */
export const isPlain = ({ consistency, available, readQuorum, maxStalenessMs }: ReadOptions): boolean =>
  consistency !== 'quorum' &&
  consistency !== 'one' &&
  available !== true &&
  readQuorum === undefined &&
  maxStalenessMs === undefined;

/** Worth trying at a weaker level: the stronger one cannot be had at the moment. */
const isUnavailable = (error: unknown): boolean =>
  isRingraftError(error, 'NO_LEADER') ||
  isRingraftError(error, 'NO_QUORUM') ||
  isRingraftError(error, 'TIMEOUT') ||
  isRingraftError(error, 'BUSY') ||
  isRingraftError(error, 'UNREACHABLE');

export class Reads {
  /** By shard and level: not before this time. */
  private readonly degradedUntilMs = new Map<string, number>();

  constructor(private readonly parts: ReadsParts) {}

  async read(
    operation: Operation,
    ringPosition: number,
    options: ReadOptions,
    timeoutMs: number,
  ): Promise<OperationResult> {
    checkOptions(operation, options);
    if (options.available !== true) return this.at(operation.level, operation, ringPosition, options, timeoutMs);
    const { clock, routes } = this.parts;
    const deadlineMs = clock.nowMs() + timeoutMs;
    const shard = routes.routeAt(ringPosition).id;
    const weaker = [ConsistencyLevel.Quorum, ConsistencyLevel.One].filter((level) => level > operation.level);
    const levels = [operation.level, ...weaker];
    for (const level of levels) {
      const isLast = level === levels.at(-1);
      const name = `${shard} ${level}`;
      const leftMs = deadlineMs - clock.nowMs();
      if (!isLast && clock.nowMs() < (this.degradedUntilMs.get(name) ?? Number.NEGATIVE_INFINITY)) continue;
      const shareMs = isLast ? leftMs : Math.min(strongerShare * leftMs, mostForStrongerMs);
      try {
        const result = await this.at(level, operation, ringPosition, options, Math.max(1, shareMs));
        this.degradedUntilMs.delete(name);
        return result;
      } catch (error) {
        if (isLast || !isUnavailable(error)) throw error;
        this.degradedUntilMs.set(name, clock.nowMs() + degradedMs);
      }
    }
    throw new RingraftError('TIMEOUT', `no answer within ${timeoutMs} ms`);
  }

  private at(
    level: ConsistencyLevel,
    operation: Operation,
    ringPosition: number,
    { readQuorum, maxStalenessMs }: ReadOptions,
    timeoutMs: number,
  ): Promise<OperationResult> {
    const asked = { ...operation, level, maxStalenessMs: level === ConsistencyLevel.One ? (maxStalenessMs ?? 0) : 0 };
    if (level <= ConsistencyLevel.Lease) return this.parts.lead(asked, timeoutMs);
    return this.parts.replicas.read({ operation: asked, ringPosition, timeoutMs, readQuorum });
  }
}

function checkOptions({ level }: Operation, { readQuorum, maxStalenessMs, available }: ReadOptions): void {
  if (readQuorum !== undefined) {
    if (!Number.isSafeInteger(readQuorum) || readQuorum < 1) {
      throw new RingraftError('BAD_REQUEST', `a read quorum is a number of replicas from 1, not ${readQuorum}`);
    }
    if (level !== ConsistencyLevel.Quorum && available !== true) {
      throw new RingraftError('BAD_REQUEST', 'a read quorum goes with the level quorum');
    }
  }
  if (maxStalenessMs === undefined) return;
  if (!Number.isSafeInteger(maxStalenessMs) || maxStalenessMs < 1) {
    throw new RingraftError(
      'BAD_REQUEST',
      `a staleness is a whole number of milliseconds from 1, not ${maxStalenessMs}`,
    );
  }
  if (level !== ConsistencyLevel.One && available !== true) {
    throw new RingraftError('BAD_REQUEST', 'a bound of staleness goes with the level one');
  }
}
