/** What can be set, and what follows from it. */
import { assert, type NodeId } from '../../base/index.js';
import { mostAccusers } from './record.js';

export type FailureDetectorOptions = {
  readonly cluster: string;
  readonly nodeId: NodeId;
  /** Number of this start: greater than that of every start before. */
  readonly life: number;
  /** Each node probes one other in a period. */
  readonly periodMs?: number;
  /** How long a direct answer may take before others are asked to try. */
  readonly pingTimeoutMs?: number;
  /** From suspicion to death when only one node suspects; half of it when several do. Default: `defaultSuspicionMs`. */
  readonly suspicionMs?: number;
  /** How many others are asked to try. */
  readonly relays?: number;
  /** Between two exchanges of everything with a random member. */
  readonly syncMs?: number;
  /** Own facts spread no more often than this. */
  readonly factsIntervalMs?: number;
  /** Of a probe or its answer, with the news it carries. */
  readonly maxMessageBytes?: number;
};

export type Settings = Required<Omit<FailureDetectorOptions, 'suspicionMs'>> & {
  readonly suspicionMs: number | undefined;
};

/** The least that a head and some news fit into. */
const leastMessageBytes = 1024;

export function settingsOf(options: FailureDetectorOptions): Settings {
  const settings = {
    periodMs: 500,
    pingTimeoutMs: 150,
    relays: 3,
    syncMs: 30_000,
    factsIntervalMs: 10_000,
    maxMessageBytes: 1400,
    ...options,
    suspicionMs: options.suspicionMs,
  };
  assert(
    settings.pingTimeoutMs > 0 && settings.pingTimeoutMs < settings.periodMs,
    'a ping must time out in its period',
  );
  assert(Number.isSafeInteger(settings.life) && settings.life > 0, 'lives are numbered from 1');
  assert(settings.maxMessageBytes >= leastMessageBytes, 'a message has no room for news');
  return settings;
}

const periodsToRefute = 4;

/** Time for a suspicion to reach its member and for the refutation to reach everybody: both take O(log n) periods. */
export const defaultSuspicionMs = (periodMs: number, nodes: number): number =>
  periodsToRefute * periodMs * Math.max(1, Math.log10(nodes + 1));

/**
 * How long a suspicion lasts: `fullMs` with one accuser, half of it with `mostAccusers`, or with all others where the
 * cluster has fewer. The more independent probes failed, the less likely it is one accuser's own trouble (Lifeguard §IV).
 */
export function suspicionTimeoutMs(fullMs: number, accusers: number, nodes: number): number {
  const mostConfirmations = Math.min(mostAccusers - 1, nodes - 2);
  if (mostConfirmations < 1) return fullMs;
  const confirmations = Math.max(0, Math.min(mostConfirmations, accusers - 1));
  return fullMs - (fullMs / 2) * (Math.log(confirmations + 1) / Math.log(mostConfirmations + 1));
}

const spreadFactor = 3;

/** How often one node passes on one piece of news. */
export const timesToSend = (nodes: number): number => spreadFactor * Math.ceil(Math.log2(nodes + 1));
