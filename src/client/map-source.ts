/**
 * Fetches the cluster map: at most one request at a time, however many ask.
 */
import {
  type Clock,
  type ErrorCode,
  emptyBytes,
  errorCodes,
  isRingraftError,
  pause,
  RingraftError,
} from '../base/index.js';
import type { BusMessage } from '../transport/index.js';
import { type ClusterMapAnswer, type ErrorBody, mapSubject } from '../wire/index.js';
import { type Inbox, isNoResponders } from './inbox.js';

/**
 * One attempt: the request or its answer may be lost. NATS asks one node of many, and it may be one that cannot be reached,
 * so the first attempts are short.
 */
const firstAttemptMs = 250;
const longestAttemptMs = 1000;
const pauseMs = 100;
/** "Nobody listens" is believed the second time: a server learns of subscriptions elsewhere a little late. */
const noResponderAttempts = 2;

export class MapSource {
  private inFlight: Promise<ClusterMapAnswer> | undefined;
  private fetchedAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly cluster: string,
    private readonly inbox: Inbox,
    private readonly clock: Clock,
    private readonly onAnswer: (answer: ClusterMapAnswer) => void,
  ) {}

  /** How long ago the newest answer came. */
  ageMs(): number {
    return this.clock.nowMs() - this.fetchedAtMs;
  }

  /** Rejects with UNREACHABLE when no node answers, TIMEOUT, or the error that a node answered. */
  fetch(timeoutMs: number): Promise<ClusterMapAnswer> {
    if (this.inFlight !== undefined) return this.join(this.inFlight, timeoutMs);
    this.inFlight = this.ask(timeoutMs).finally(() => {
      this.inFlight = undefined;
    });
    return this.inFlight;
  }

  /** Somebody else's request, which may take longer than this caller has. */
  private join(inFlight: Promise<ClusterMapAnswer>, timeoutMs: number): Promise<ClusterMapAnswer> {
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(timeoutMs, () => {
        reject(new RingraftError('TIMEOUT', `no cluster map within ${Math.round(timeoutMs)} ms`));
      });
      inFlight.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  private async ask(timeoutMs: number): Promise<ClusterMapAnswer> {
    const deadlineMs = this.clock.nowMs() + timeoutMs;
    const subject = mapSubject(this.cluster);
    let attemptMs = firstAttemptMs;
    for (let noResponders = 0; ; attemptMs = Math.min(2 * attemptMs, longestAttemptMs)) {
      const leftMs = deadlineMs - this.clock.nowMs();
      try {
        const answer = parseMapAnswer(await this.inbox.request(subject, emptyBytes, Math.min(attemptMs, leftMs)));
        this.fetchedAtMs = this.clock.nowMs();
        this.onAnswer(answer);
        return answer;
      } catch (error) {
        if (isNoResponders(error)) noResponders++;
        const isOver = this.clock.nowMs() + pauseMs >= deadlineMs;
        if (noResponders >= noResponderAttempts || isOver || !isWorthRepeating(error)) {
          throw explain(error, this.cluster, timeoutMs);
        }
        await pause(this.clock, pauseMs);
      }
    }
  }
}

const isWorthRepeating = (error: unknown): boolean =>
  isNoResponders(error) ||
  ['TIMEOUT', 'BUSY', 'NO_LEADER', 'NOT_LEADER'].some((code) => isRingraftError(error, code as ErrorCode));

function explain(error: unknown, cluster: string, timeoutMs: number): unknown {
  const subject = mapSubject(cluster);
  const isSilence = isNoResponders(error) || (isRingraftError(error, 'TIMEOUT') && error.fields.subject === subject);
  if (!isSilence) return error;
  const what = isNoResponders(error) ? 'nobody listens on' : `within ${Math.round(timeoutMs)} ms nobody answered on`;
  const message = `no node of cluster ${cluster} is there: ${what} ${subject}`;
  return new RingraftError('UNREACHABLE', message, { cause: error, fields: { subject } });
}

/** The JSON of an answer; throws the error a node put into it, and BAD_REQUEST for anything else. */
export function parseAnswer<T extends object>({ subject, payload }: BusMessage): T {
  let parsed: unknown;
  try {
    parsed = JSON.parse(payload.toString());
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', `the answer on ${subject} is not JSON`, { cause });
  }
  if (typeof parsed !== 'object' || parsed === null) {
    throw new RingraftError('BAD_REQUEST', `the answer on ${subject} is not a JSON object`);
  }
  if ('error' in parsed) throw errorOfBody(parsed.error as Partial<ErrorBody>);
  return parsed as T;
}

function errorOfBody({ code, message, happened }: Partial<ErrorBody>): RingraftError {
  const isKnown = code !== undefined && errorCodes.includes(code);
  return new RingraftError(isKnown ? code : 'BAD_REQUEST', message ?? `the node answered error ${String(code)}`, {
    happened: happened === 'unknown' ? 'unknown' : 'no',
  });
}

function parseMapAnswer(message: BusMessage): ClusterMapAnswer {
  const answer = parseAnswer<Partial<ClusterMapAnswer>>(message);
  const { map, leaders } = answer;
  if (map === undefined || !Array.isArray(map.shards) || !Array.isArray(map.buckets) || !Array.isArray(leaders)) {
    throw new RingraftError('BAD_REQUEST', 'the answer is not a cluster map');
  }
  return { map, leaders };
}
