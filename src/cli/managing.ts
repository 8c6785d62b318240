/** Questions and orders to the allocation manager, and waiting for what they bring about. */
import { type ErrorCode, type Happened, isRingraftError, RingraftError } from '../base/index.js';
import type { RingraftClient } from '../client/index.js';
import type { ClusterMap, ClusterView, ManagerRequest, MapChange, NodeView } from '../wire/index.js';
import type { Arguments } from './commands/command.js';
import type { Context } from './context.js';
import { formatDuration, parseDuration } from './values.js';
import type { Argv } from './yargs.js';

const pollMs = 250;

const unexpected = (): RingraftError =>
  new RingraftError('BAD_REQUEST', 'the manager gave an answer of another kind than asked for');

export async function askView(client: RingraftClient, timeoutMs: number): Promise<ClusterView> {
  const answer = await client.manage({ op: 'view' }, timeoutMs);
  if ('view' in answer) return answer.view;
  throw unexpected();
}

export async function askMap(client: RingraftClient, timeoutMs: number): Promise<ClusterMap> {
  const answer = await client.manage({ op: 'map' }, timeoutMs);
  if ('map' in answer) return answer.map;
  throw unexpected();
}

export async function askHistory(
  client: RingraftClient,
  limit: number,
  before: number | undefined,
  timeoutMs: number,
): Promise<readonly MapChange[]> {
  const request: ManagerRequest = { op: 'history', limit, ...(before === undefined ? {} : { before }) };
  const answer = await client.manage(request, timeoutMs);
  if ('changes' in answer) return answer.changes;
  throw unexpected();
}

/** The epoch of the map in which the order stands. */
export async function order(client: RingraftClient, request: ManagerRequest, timeoutMs: number): Promise<number> {
  const answer = await client.manage(request, timeoutMs);
  if ('done' in answer) return answer.epoch;
  throw unexpected();
}

const passing: readonly ErrorCode[] = ['NO_LEADER', 'NOT_LEADER', 'NO_QUORUM', 'TIMEOUT', 'UNREACHABLE', 'BUSY'];

/** The manager is changing, or the network: whoever waits asks again. */
export const isPassing = (error: unknown): error is RingraftError =>
  isRingraftError(error) && passing.includes(error.code);

/** The view, or why there is none at the moment. */
export async function viewIfManaged(client: RingraftClient, timeoutMs: number): Promise<ClusterView | undefined> {
  try {
    return await askView(client, timeoutMs);
  } catch (error) {
    if (isPassing(error)) return undefined;
    throw error;
  }
}

export const waitOptions = (parser: Argv, describe: string): Argv =>
  parser.option('wait', { type: 'boolean', describe }).option('wait-timeout', {
    type: 'string',
    requiresArg: true,
    describe: 'Wait, but at most so long [default: as long as it takes]',
  });

/** undefined: not asked to wait. */
export function waitAsked(args: Arguments): { readonly timeoutMs: number | undefined } | undefined {
  const given = args.waitTimeout;
  if (given !== undefined) return { timeoutMs: parseDuration(String(given)) };
  return args.wait === true ? { timeoutMs: undefined } : undefined;
}

export type Waiting = {
  /** What is not so when the time is up, for people: `node n2 is not drained`. */
  readonly unmet: () => string;
  /** undefined: no limit. */
  readonly timeoutMs: number | undefined;
  /** True: that was it. What passes with a change of the manager may be thrown. */
  readonly look: () => Promise<boolean>;
  /** Nothing to be learned at the moment, and why. */
  readonly onSilence: (reason: string) => void;
  readonly everyMs?: number;
  /** Whether what was ordered can still come to pass when the time is up; `unknown` unless told. */
  readonly happened?: Happened;
};

/** Looks again and again until it is done; false after Ctrl-C. TIMEOUT when the time is up. */
export async function waitUntil(context: Context, waiting: Waiting): Promise<boolean> {
  const { unmet, timeoutMs, look, onSilence, everyMs = pollMs, happened = 'unknown' } = waiting;
  const { clock, io } = context;
  const startedMs = clock.nowMs();
  while (!io.signal.aborted) {
    try {
      if ((await unlessInterrupted(io.signal, look())) === true) return true;
    } catch (error) {
      if (!isPassing(error)) throw error;
      onSilence(error.code === 'NO_LEADER' ? 'no manager at the moment' : `no answer at the moment (${error.code})`);
    }
    if (timeoutMs !== undefined && clock.nowMs() - startedMs >= timeoutMs) {
      const message = `not done within ${formatDuration(timeoutMs)}: ${unmet()}`;
      throw new RingraftError('TIMEOUT', message, { happened });
    }
    await context.pause(everyMs);
  }
  return false;
}

/** undefined as soon as Ctrl-C comes, whatever becomes of the work. */
function unlessInterrupted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(undefined);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

export function nodeIn(view: ClusterView, id: string): NodeView | undefined {
  return view.nodes.find((node) => node.id === id);
}

/** Replicas that are being moved or wait for it. */
export const movesLeft = ({ moves, waitingMoves }: ClusterView): number => moves.length + waitingMoves;
