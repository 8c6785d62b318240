/**
 * Pages of a scan: the keys, in order, of those asked-for shards that this node has a replica of.
 *
 * Invariants:
 * 1. Every shard in a page was vouched for by its leader's ReadIndex in that page's request, or, at level `one`, has a whole
 *    replica here; a shard that was not is named in `notLed` and none of its keys is in the page.
 * 2. No replica's state was replaced, not even in part, while the page was read.
 */
import { type Clock, emptyBytes, isRingraftError, type Logger, messageOf, type ShardId } from '../base/index.js';
import type { Store } from '../kv/index.js';
import { ringHash } from '../ring/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';
import {
  ConsistencyLevel,
  codeNumber,
  decodeScanRequest,
  encodeScanPage,
  type ScanPage,
  type ScanRequest,
  scanSubject,
} from '../wire/index.js';
import type { Group } from './group.js';
import type { LocalMap } from './local-map.js';
import type { HostOptions } from './options.js';

/** Room left in a message for what surrounds the pairs. */
const pageOverheadBytes = 16 * 1024;
const maxPageKeys = 10_000;

export type ScanServerParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly store: Store;
  readonly options: HostOptions;
  readonly maps: LocalMap;
  readonly groupOf: (shardId: ShardId) => Group | undefined;
  /** How many shards have a replica here. */
  readonly heldShards: () => number;
  /** Calls back once a read that began now may be served, with false when that cannot be found out. */
  readonly confirmRead: (group: Group, done: (confirmed: boolean) => void) => void;
};

export class ScanServer {
  private subscription: BusSubscription | undefined;
  scans = 0;

  constructor(private readonly parts: ScanServerParts) {}

  start(): void {
    const { bus, options } = this.parts;
    const subject = scanSubject(options.cluster, options.nodeId);
    this.subscription = bus.subscribe('client', subject, (message) => this.receive(message));
  }

  stop(): void {
    this.subscription?.unsubscribe();
  }

  private receive(message: BusMessage): void {
    const { replyTo } = message;
    if (replyTo === undefined) return;
    const answer = (page: ScanPage): void => this.parts.bus.publish('client', replyTo, encodeScanPage(page));
    try {
      this.serve(decodeScanRequest(message.payload), answer);
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      answer(failure(error.code, error.message));
    }
  }

  private serve(request: ScanRequest, answer: (page: ScanPage) => void): void {
    this.scans++;
    if (request.level > ConsistencyLevel.One || request.level === ConsistencyLevel.Quorum) {
      answer(failure('BAD_REQUEST', `a scan is linearizable or of level one, not ${request.level}`));
      return;
    }
    const { maps, store } = this.parts;
    if (maps.bucket(request.bucketId) === undefined || store.isDropped(request.bucketId)) {
      const { code, message } = maps.refusalOf(request.bucketId, request.mapEpoch);
      answer(failure(code, message));
      return;
    }
    const confirmed: Confirmed = new Map();
    const notLed: number[] = [];
    let waiting = request.shards.length;
    if (waiting === 0) answer(failure('BAD_REQUEST', 'a scan names its shards'));
    for (const shard of request.shards) {
      const group = this.parts.groupOf(shard as ShardId);
      const settle = (isConfirmed: boolean): void => {
        if (isConfirmed && group !== undefined) confirmed.set(shard, { group, installations: group.installations });
        else notLed.push(shard);
        if (--waiting === 0) this.readPage(request, confirmed, notLed, answer);
      };
      if (group?.isReadable !== true) settle(false);
      else if (request.level === ConsistencyLevel.One) settle(true);
      else this.parts.confirmRead(group, settle);
    }
  }

  private readPage(
    request: ScanRequest,
    confirmed: Confirmed,
    notLed: number[],
    answer: (page: ScanPage) => void,
  ): void {
    const empty: ScanPage = { code: 0, message: '', pairs: [], more: false, resumeAfter: emptyBytes, notLed };
    if (confirmed.size === 0 || !isUnchanged(confirmed)) {
      answer({ ...empty, notLed: request.shards });
      return;
    }
    const { store, bus, clock, maps } = this.parts;
    const maxBytes = bus.maxPayloadBytes - pageOverheadBytes;
    store.scan(
      request.bucketId,
      {
        gte: request.gte,
        lt: request.lt.length === 0 ? undefined : request.lt,
        reverse: request.reverse,
        keysOnly: request.keysOnly,
        limit: Math.min(request.limit || maxPageKeys, maxPageKeys),
        maxBytes: request.maxBytes > 0 ? Math.min(request.maxBytes, maxBytes) : maxBytes,
        accept: (key) => confirmed.has(maps.shardAt(ringHash(key))),
        share: confirmed.size / this.parts.heldShards(),
        nowMs: clock.wallMs(),
      },
      (error, page) => {
        if (error !== undefined) answer(failure('CORRUPT', messageOf(error)));
        else if (!isUnchanged(confirmed)) answer({ ...empty, notLed: request.shards });
        else answer({ ...empty, pairs: [...page.pairs], more: page.more, resumeAfter: page.resumeAfter });
      },
    );
  }
}

/** The replicas a page is read from, and how often their state had been replaced before. */
type Confirmed = Map<number, { readonly group: Group; readonly installations: number }>;

function isUnchanged(confirmed: Confirmed): boolean {
  for (const { group, installations } of confirmed.values()) {
    if (!group.isReadable || group.installations !== installations) return false;
  }
  return true;
}

const failure = (code: Parameters<typeof codeNumber>[0], message: string): ScanPage => ({
  code: codeNumber(code),
  message,
  pairs: [],
  more: false,
  resumeAfter: emptyBytes,
  notLed: [],
});
