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
/** How often it is found out whether a shard can be read at a level again. */
const probeEveryMs = 500;
const weakerLevels = [ConsistencyLevel.Quorum, ConsistencyLevel.One] as const;

export type ReadsParts = {
  readonly clock: Clock;
  readonly routes: RoutingTable;
  readonly replicas: ReplicaReads;
  /** The way through the leader. */
  readonly lead: (operation: Operation, timeoutMs: number) => Promise<OperationResult>;
};

/** Whether a read can go the leader's way and no other. */
export function isPlain(options: ReadOptions): boolean {
  const { consistency } = options;
  if (consistency === 'quorum' || consistency === 'one' || options.available === true) return false;
  return options.readQuorum === undefined && options.maxStalenessMs === undefined;
}

/** Worth trying at a weaker level: the stronger one cannot be had at the moment. */
const isUnavailable = (error: unknown): boolean =>
  isRingraftError(error, 'NO_LEADER') ||
  isRingraftError(error, 'NO_QUORUM') ||
  isRingraftError(error, 'TIMEOUT') ||
  isRingraftError(error, 'BUSY') ||
  isRingraftError(error, 'UNREACHABLE');

export class Reads {
  /** Shards and levels they could not be read at, with the time of the next probe. */
  private readonly degraded = new Map<string, number>();

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
    const levels = [operation.level, ...weakerLevels.filter((level) => level > operation.level)];
    for (const level of levels) {
      const ask = (forMs: number): Promise<OperationResult> => this.at(level, operation, ringPosition, options, forMs);
      const leftMs = Math.max(1, deadlineMs - clock.nowMs());
      if (level === levels.at(-1)) return ask(leftMs);
      const name = `${shard} ${level}`;
      if (this.degraded.has(name)) {
        this.probe(name, ask);
        continue;
      }
      try {
        return await ask(Math.min(strongerShare * leftMs, mostForStrongerMs));
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        this.degraded.set(name, clock.nowMs() + probeEveryMs);
      }
    }
    throw new RingraftError('TIMEOUT', `no answer within ${timeoutMs} ms`);
  }

  /** Whether a level that could not be had can be had again: found out beside the reads, which do not wait for it. */
  private probe(name: string, ask: (forMs: number) => Promise<OperationResult>): void {
    const nowMs = this.parts.clock.nowMs();
    if (nowMs < (this.degraded.get(name) ?? nowMs)) return;
    this.degraded.set(name, nowMs + probeEveryMs);
    ask(mostForStrongerMs).then(
      () => this.degraded.delete(name),
      () => {},
    );
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
