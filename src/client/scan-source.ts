/**
 * A part of a scan: some shards, thought to be led by one node, and the interval of keys still to come from them.
 *
 * Invariants:
 * 1. Every key within `bounds` of the source's shards is still to come; every key in `items` lies before all of them.
 * 2. When a node does not lead some of the shards, these become sources of their own with the bounds of the request
 *    that said so: nothing is skipped, nothing comes twice.
 */
import {
  type BucketId,
  type Clock,
  emptyBytes,
  isRingraftError,
  pause,
  type Random,
  RingraftError,
} from '../base/index.js';
import {
  ConsistencyLevel,
  codeOf,
  decodeScanPage,
  encodeScanRequest,
  type ScanPage,
  type ScanPair,
  scanSubject,
} from '../wire/index.js';
import { type Inbox, isNoResponders } from './inbox.js';
import type { NodeLink } from './node-link.js';
import { attemptTimeoutMs, backOffMs, downMs, maxHops } from './retry-policy.js';
import type { NodeShards, RoutingTable, ShardRoute } from './routing-table.js';
import { boundsAfter, type ScanBounds } from './scan-bounds.js';

export type ScanContext = {
  readonly cluster: string;
  readonly bucketId: BucketId;
  readonly keysOnly: boolean;
  readonly reverse: boolean;
  /** Most items of one page. */
  readonly pageItems: number;
  readonly pageBytes: number;
  /** A page, with all its retries. */
  readonly timeoutMs: number;
  readonly inbox: Inbox;
  readonly routes: RoutingTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly onMapDoubted: () => void;
  /** Level `one` asks any replica; becomes that in the middle of a scan where it may, and there is no leader. */
  level: ConsistencyLevel;
  /** What to do when no leader can be had in time; undefined: the scan fails. */
  readonly onWeaker: (() => void) | undefined;
};

/** Of the time of a page, what leaders get where replicas may answer in their stead. */
const leadersShare = 0.4;
const mostForLeadersMs = 1000;

/** Shards with what is left to read of them. */
export type ScanPart = {
  readonly routes: readonly ShardRoute[];
  readonly bounds: ScanBounds;
  /** The node to ask, which has replicas of all of them; undefined: their leaders. */
  readonly replica?: NodeLink | undefined;
};
/** A page of some shards, and what is left of them. */
type PageOutcome = { readonly items: readonly ScanPair[]; readonly next: ScanPart | undefined };

/** Shards grouped by their leaders. */
function groupByLeaders(
  context: ScanContext,
  routes: readonly ShardRoute[],
  avoid: NodeLink | undefined,
): readonly NodeShards[] {
  const groups = new Map<NodeLink, ShardRoute[]>();
  for (const route of routes) {
    const link = context.routes.choose(route, avoid, context.clock.nowMs());
    if (link === undefined) throw new RingraftError('NO_LEADER', `shard ${route.id} has no replicas`);
    const group = groups.get(link);
    if (group === undefined) groups.set(link, [route]);
    else group.push(route);
  }
  return [...groups].map(([link, of]) => ({ link, routes: of }));
}

export class ScanSource {
  private items: readonly ScanPair[] = [];
  private at = 0;
  private part: ScanPart | undefined;
  private fetching: Promise<void> | undefined;
  private fetched: PageOutcome | undefined;
  private failure: unknown;
  /** Shards of the page being fetched that are still this source's. */
  private remaining: readonly ShardRoute[] = [];

  constructor(
    private readonly context: ScanContext,
    part: ScanPart,
    /** Called with the parts that turned out to be elsewhere, before the page that lacks them is used. */
    private readonly onSplit: (parts: readonly ScanPart[]) => void,
  ) {
    this.part = part;
  }

  /** The next item; undefined when `fill` has to be awaited first, or nothing is left. */
  peek(): ScanPair | undefined {
    return this.items[this.at];
  }

  shift(): void {
    this.at++;
  }

  get isDone(): boolean {
    return this.at >= this.items.length && this.part === undefined && this.fetching === undefined;
  }

  /** Starts to fetch the page after this one, if there is one and nothing was started yet. Never rejects. */
  prefetch(): void {
    const { part } = this;
    if (part === undefined || this.fetching !== undefined) return;
    this.fetching = this.fetchPage(part).then(
      (outcome) => {
        this.fetched = outcome;
      },
      (error: unknown) => {
        this.failure = error;
      },
    );
  }

  /** Requires that `peek` has nothing. Afterwards it has, or the source is done; or rejects as operations do. */
  async fill(): Promise<void> {
    while (this.at >= this.items.length && !this.isDone) {
      this.prefetch();
      await this.fetching;
      this.fetching = undefined;
      if (this.failure !== undefined) throw this.failure;
      const outcome = this.fetched;
      this.fetched = undefined;
      this.items = outcome?.items ?? [];
      this.at = 0;
      this.part = outcome?.next;
    }
  }

  private async fetchPage(part: ScanPart): Promise<PageOutcome> {
    const { context } = this;
    this.remaining = part.routes;
    const { clock, timeoutMs, onWeaker } = context;
    const deadlineMs = clock.nowMs() + timeoutMs;
    if (onWeaker === undefined || context.level === ConsistencyLevel.One) return this.fetchUntil(part, deadlineMs);
    try {
      const forLeadersMs = Math.min(leadersShare * timeoutMs, mostForLeadersMs);
      return await this.fetchUntil(part, clock.nowMs() + forLeadersMs);
    } catch (error) {
      if (!isRingraftError(error, 'NO_LEADER') && !isRingraftError(error, 'TIMEOUT')) throw error;
      if ((context.level as ConsistencyLevel) !== ConsistencyLevel.One) onWeaker();
      context.level = ConsistencyLevel.One;
    }
    // What was split off meanwhile is a source of its own by now.
    return this.fetchUntil({ routes: this.remaining, bounds: part.bounds }, deadlineMs);
  }

  private async fetchUntil(part: ScanPart, deadlineMs: number): Promise<PageOutcome> {
    const { clock, random } = this.context;
    const attempt = new PageAttempt(this.context, part, deadlineMs);
    for (let backOffs = 0; ; ) {
      const { replica, routes } = attempt;
      const [group, ...others] =
        replica === undefined ? groupByLeaders(this.context, routes, attempt.avoid) : [{ link: replica, routes }];
      if (group === undefined) return { items: [], next: undefined };
      if (others.length > 0) {
        this.onSplit(others.map((other) => ({ routes: other.routes, bounds: part.bounds })));
        attempt.routes = group.routes;
        this.remaining = group.routes;
      }
      const page = await attempt.ask(group.link);
      if (page !== undefined) {
        const led = attempt.routes.filter((route) => !page.notLed.includes(route.id));
        const notLed = attempt.routes.filter((route) => page.notLed.includes(route.id));
        for (const route of notLed) this.context.routes.onSilent(route, group.link);
        if (led.length > 0) {
          if (notLed.length > 0) this.onSplit([{ routes: notLed, bounds: part.bounds }]);
          const next = page.more ? { routes: led, bounds: this.boundsBehind(part, page), replica } : undefined;
          return { items: page.pairs, next };
        }
        attempt.noteNoLeader(group.link);
        this.context.onMapDoubted();
      }
      attempt.throwIfOver();
      if (replica !== undefined) attempt.replica = undefined;
      else if (attempt.hops++ >= maxHops || page !== undefined) {
        await pause(clock, backOffMs(random, backOffs++));
        attempt.hops = 0;
      }
    }
  }

  private boundsBehind(part: ScanPart, page: ScanPage): ScanBounds {
    const last = page.resumeAfter.length > 0 ? page.resumeAfter : page.pairs.at(-1)?.key;
    if (last === undefined) throw new RingraftError('BAD_REQUEST', 'a page of a scan does not say where it ended');
    // Copied: the page's memory must not live as long as the scan.
    return boundsAfter(part.bounds, Buffer.from(last), this.context.reverse);
  }
}

/** One page's requests, until one is answered. */
class PageAttempt {
  avoid: NodeLink | undefined;
  hops = 0;
  routes: readonly ShardRoute[];
  replica: NodeLink | undefined;
  private silences = 0;
  private lastError: RingraftError | undefined;

  constructor(
    private readonly context: ScanContext,
    private readonly part: ScanPart,
    private readonly deadlineMs: number,
  ) {
    this.routes = part.routes;
    this.replica = part.replica;
  }

  /** The page, or undefined when the request should go elsewhere or again. Throws what no retry can better. */
  async ask(link: NodeLink): Promise<ScanPage | undefined> {
    const { inbox, clock, cluster } = this.context;
    const leftMs = Math.max(1, this.deadlineMs - clock.nowMs());
    try {
      const payload = encodeScanRequest(this.request());
      // A page is more work than an operation: more patience.
      const attemptMs = Math.min(leftMs, 4 * attemptTimeoutMs(this.silences));
      const { payload: answer } = await inbox.request(scanSubject(cluster, link.id), payload, attemptMs);
      const page = decodeScanPage(answer);
      if (page.code === 0) return page;
      throw new RingraftError(
        codeOf(page.code) ?? 'BAD_REQUEST',
        page.message || `the node answered code ${page.code}`,
      );
    } catch (error) {
      this.onFailure(link, error);
      return undefined;
    }
  }

  private request(): Parameters<typeof encodeScanRequest>[0] {
    const { bucketId, keysOnly, reverse, pageItems, pageBytes } = this.context;
    const { gte, lt } = this.part.bounds;
    return {
      bucketId,
      gte,
      lt: lt ?? emptyBytes,
      limit: this.share(pageItems),
      keysOnly,
      reverse,
      level: this.context.level,
      shards: this.routes.map((route) => route.id),
      maxBytes: pageBytes,
      mapEpoch: this.context.routes.map.epoch,
    };
  }

  /**
   * Of the items of a page, those that come from these shards, and some: keys are spread over the shards at random, so a page
   * that is too small is rare, and another one is asked for then.
   */
  private share(pageItems: number): number {
    const expected = (pageItems * this.routes.length) / this.context.routes.shards.length;
    return Math.min(pageItems, Math.ceil(expected + 3 * Math.sqrt(expected)) + 1);
  }

  private onFailure(link: NodeLink, error: unknown): void {
    const { routes, clock, onMapDoubted } = this.context;
    if (!isRingraftError(error)) throw error;
    if (isNoResponders(error)) {
      routes.onUnreachable(link, clock.nowMs() + downMs);
      this.noteNoLeader(link);
      onMapDoubted();
    } else if (error.code === 'TIMEOUT') {
      for (const route of this.routes) routes.onSilent(route, link);
      this.avoid = link;
      this.silences++;
      // An attempt cut short by the deadline says less than what was known before.
      if (clock.nowMs() < this.deadlineMs) this.lastError = error;
      onMapDoubted();
    } else if (error.code === 'BUSY' || error.code === 'NO_QUORUM') {
      this.lastError = error;
      this.hops = maxHops;
    } else if (error.code === 'NOT_LEADER' || error.code === 'WRONG_SHARD') {
      for (const route of this.routes) routes.onSilent(route, link);
      this.noteNoLeader(link);
      this.hops = maxHops;
      onMapDoubted();
    } else {
      throw error;
    }
  }

  noteNoLeader(link: NodeLink): void {
    this.avoid = link;
    const shards = this.routes.map((route) => route.id).join(', ');
    this.lastError = new RingraftError('NO_LEADER', `no node leads shard ${shards}`);
  }

  throwIfOver(): void {
    if (this.context.clock.nowMs() < this.deadlineMs) return;
    const { timeoutMs } = this.context;
    if (this.lastError === undefined || this.lastError.code === 'TIMEOUT') {
      throw new RingraftError('TIMEOUT', `no page of the scan within ${timeoutMs} ms`, { cause: this.lastError });
    }
    throw new RingraftError(this.lastError.code, `${this.lastError.message}; gave up after ${timeoutMs} ms`);
  }
}
