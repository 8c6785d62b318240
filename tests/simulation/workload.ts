/**
 * What clients do during a run: few keys, many conflicts, every written value unique, so that a history says a lot.
 */
import { type Clock, isRingraftError, pause, type Random, RingraftError, randomBetween } from '../../src/base/index.js';
import type { OperationRecord } from '../../src/checker/index.js';
import { connectClient, type GetResult, type RingraftClient } from '../../src/client/index.js';
import type { Life } from './life.js';
import type { Endpoint } from './network.js';
import type { World } from './world.js';

export type WorkloadOptions = {
  readonly cluster: string;
  readonly bucket: string;
  readonly keys: number;
  /** Operations each client runs at a time. */
  readonly concurrency: number;
  readonly thinkMs: number;
  /** Of the reads, how many rely on the leader's lease. */
  readonly leaseShare: number;
  /** Of the reads, how many ask replicas: for a majority of them, and for any one. */
  readonly quorumShare: number;
  readonly oneShare: number;
  /** Of the values, how many are too large for one message with others. */
  readonly largeShare: number;
  readonly timeoutMs: number;
};

/**
 * `proven`: of the reads that were ok, those a majority of replicas vouched for; `aged`: those of one replica that said how
 * old its data can be.
 */
export type WorkloadCounts = {
  ok: number;
  refused: number;
  failed: number;
  unknown: number;
  proven: number;
  aged: number;
};

type Stamped = { readonly timeMs: number; readonly stamp: number };
const counterKey = 'counter';
/** One operation of so many is a scan. */
const scanEvery = 20;
/** Of all workloads of a world: what increments were answered, and how many may have happened without. */
type Tally = { readonly answers: Set<number>; open: number };
const tallyOf = new WeakMap<World, Tally>();
/** When which stamp was given, by all workloads of a world. */
const stampsOf = new WeakMap<World, Stamped[]>();

const text = (value: Buffer | undefined): string | null => (value === undefined ? null : value.toString('latin1'));

export class Workload {
  readonly history: OperationRecord[] = [];
  readonly counts: WorkloadCounts = { ok: 0, refused: 0, failed: 0, unknown: 0, proven: 0, aged: 0 };
  private client: RingraftClient | undefined;
  private stopped = false;
  private values = 0;
  private running = 0;
  private steps = 0;
  private readonly random: Random;
  private readonly stamps: Stamped[];
  private readonly tally: Tally;
  /** What this client saw last, by key: what a compare-and-swap expects. */
  private readonly seen = new Map<string, string | null>();
  /** The greatest revision this client was told of, by key. */
  private readonly revisions = new Map<string, number>();

  constructor(
    private readonly number: number,
    private readonly world: World,
    private readonly life: Life,
    private readonly bus: Endpoint,
    private readonly options: WorkloadOptions,
    /** Stamps of the order of events, shared by all clients. */
    private readonly nextStamp: () => number,
  ) {
    this.random = world.fork();
    this.stamps = stampsOf.get(world) ?? [];
    stampsOf.set(world, this.stamps);
    this.tally = tallyOf.get(world) ?? { answers: new Set(), open: 0 };
    tallyOf.set(world, this.tally);
  }

  start(): void {
    const { clock } = this.life;
    const { cluster, timeoutMs } = this.options;
    connectClient(this.bus, { cluster, clock, random: this.random, timeoutMs }).then(
      (client) => {
        this.client = client;
        for (let i = 0; i < this.options.concurrency; i++) void this.loop(client, clock);
      },
      () => {
        if (!this.stopped) clock.after(50, () => this.start());
      },
    );
  }

  /** Begins nothing new. */
  stop(): void {
    this.stopped = true;
  }

  get isConnected(): boolean {
    return this.client !== undefined;
  }

  get isIdle(): boolean {
    return this.running === 0;
  }

  private async loop(client: RingraftClient, clock: Clock): Promise<void> {
    this.running++;
    while (!this.stopped) {
      await this.step(client).catch((error: unknown) => this.world.fail(error));
      await new Promise<void>((resolve) => clock.after(randomBetween(this.random, 0, this.options.thinkMs), resolve));
    }
    this.running--;
  }

  private async step(client: RingraftClient): Promise<void> {
    if (++this.steps % scanEvery === 0) {
      await this.scan(client);
      return;
    }
    const key = `key-${randomBetween(this.random, 1, this.options.keys)}`;
    const kind = randomBetween(this.random, 0, 10);
    if (kind < 4) await this.get(client, key);
    else if (kind < 7) await this.put(client, key);
    else if (kind < 9) await this.cas(client, key);
    else if (kind < 10) await this.delete(client, key);
    else await this.increment(client);
  }

  /** A linearizable read of every key, once faults are over. */
  async readAll(): Promise<void> {
    if (this.client === undefined) throw new Error('this client never reached the cluster');
    const client = this.client;
    for (let n = 1; n <= this.options.keys; n++) {
      await this.untilServed(() => this.get(client, `key-${n}`, 'linearizable'));
    }
    await this.untilServed(() => this.checkCounter(client));
  }

  /** A disk may have hung to the last moment: its shards elect only then. Whoever judges the run says how long is too long. */
  private async untilServed(ask: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isRingraftError(error)) throw error;
        await pause(this.life.clock, 50);
      }
    }
  }

  /** Every increment takes effect once: however often it was sent, and whoever led. */
  private async increment(client: RingraftClient): Promise<void> {
    const { tally } = this;
    tally.open++;
    try {
      const { value } = await client.incr(this.options.bucket, counterKey, 1);
      if (tally.answers.has(value)) this.world.fail(new Error(`two increments were answered ${value}`));
      tally.answers.add(value);
      tally.open--;
      this.counts.ok++;
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      if (error.happened === 'no') tally.open--;
      this.counts[error.happened === 'no' ? 'failed' : 'unknown']++;
    }
  }

  /** Once nobody increments any more. */
  private async checkCounter(client: RingraftClient): Promise<void> {
    const { answers, open } = this.tally;
    const total = Number(text((await client.get(this.options.bucket, counterKey))?.value) ?? '0');
    if (total >= answers.size && total <= answers.size + open) return;
    this.world.fail(
      new Error(`the counter is at ${total} after ${answers.size} increments and ${open} that nobody knows of`),
    );
  }

  private newValue(): string {
    const isLarge = randomBetween(this.random, 0, 99) < 100 * this.options.largeShare;
    const size = isLarge ? randomBetween(this.random, 400, 2000) : 10;
    return `${this.number}-${++this.values}-`.padEnd(size, 'x');
  }

  private async record(
    key: string,
    input: OperationRecord['input'],
    run: () => Promise<OperationRecord['output'] & { readonly kind: 'ok' }>,
  ): Promise<void> {
    const invoked = this.stampNow();
    const { number: client } = this;
    let output: OperationRecord['output'];
    try {
      output = await run();
      this.counts.ok++;
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      if (error.code === 'CONFLICT') {
        this.counts.refused++;
        output = { kind: 'refused' };
      } else if (error.happened === 'no') {
        this.counts.failed++;
        return;
      } else {
        this.counts.unknown++;
        if (input.op === 'get') return;
        output = { kind: 'unknown' };
      }
    }
    const completed = output.kind === 'unknown' ? Number.POSITIVE_INFINITY : this.stampNow();
    this.world.note(completed);
    this.history.push({ client, invoked, completed, key, input, output });
  }

  private get(client: RingraftClient, key: string, level?: 'linearizable'): Promise<void> {
    if (level === undefined && this.chance(this.options.oneShare)) return this.getFromOne(client, key);
    const isQuorum = level === undefined && this.chance(this.options.quorumShare);
    const leader = level ?? (this.chance(this.options.leaseShare) ? 'lease' : 'linearizable');
    return this.record(key, { op: 'get' }, async () => {
      const consistency = isQuorum ? 'quorum' : leader;
      const { item: found, maybeStale } = await client.lookUp(this.options.bucket, key, { consistency });
      if (maybeStale) throw new RingraftError('NO_QUORUM', 'not proven');
      this.noteRevision(key, found);
      const value = text(found?.value);
      this.seen.set(key, value);
      if (isQuorum) this.counts.proven++;
      return { kind: 'ok', value };
    });
  }

  /** Every page is linearizable for its shards: the scan is a read of each key at some moment between its begin and its end. */
  private async scan(client: RingraftClient): Promise<void> {
    const invoked = this.stampNow();
    const found = new Map<string, string>();
    try {
      for await (const { key, value } of client.scan(this.options.bucket))
        found.set(key.toString(), String(text(value)));
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      this.counts.failed++;
      return;
    }
    this.counts.ok++;
    const completed = this.stampNow();
    for (let n = 1; n <= this.options.keys; n++) {
      const output = { kind: 'ok' as const, value: found.get(`key-${n}`) ?? null };
      this.history.push({ client: this.number, invoked, completed, key: `key-${n}`, input: { op: 'get' }, output });
    }
  }

  private chance(share: number): boolean {
    return randomBetween(this.random, 0, 99) < 100 * share;
  }

  private stampNow(): number {
    const stamp = this.nextStamp();
    this.stamps.push({ timeMs: this.world.nowMs, stamp });
    return stamp;
  }

  /** Everything that happened from then on has this stamp or a greater one. */
  private firstStampSince(timeMs: number): number {
    const found = this.stamps.findLastIndex((stamped) => stamped.timeMs < timeMs);
    return this.stamps[found + 1]?.stamp ?? this.stampNow();
  }

  private noteRevision(key: string, found: GetResult | undefined): void {
    if (found !== undefined) this.revisions.set(key, Math.max(found.revision, this.revisions.get(key) ?? 0));
  }

  /**
   * It may be old, but never goes back behind what this client has seen of the key; and where the replica says how old it
   * can be, it is part of the history as a read that began so much earlier.
   */
  private async getFromOne(client: RingraftClient, key: string): Promise<void> {
    const floor = this.revisions.get(key) ?? 0;
    const begunMs = this.world.nowMs;
    const bound = this.chance(0.5) ? { maxStalenessMs: randomBetween(this.random, 1, 500) } : {};
    try {
      const { item, stalenessMs, maybeStale } = await client.lookUp(this.options.bucket, key, {
        consistency: 'one',
        ...bound,
      });
      if (item !== undefined && item.revision < floor) {
        this.world.fail(new Error(`${key} went back from revision ${floor} to ${item.revision}`));
      }
      this.noteRevision(key, item);
      this.counts.ok++;
      if (maybeStale && stalenessMs === undefined) return;
      // Clocks drift by a tenth at most.
      const invoked = this.firstStampSince(begunMs - 1.2 * (stalenessMs ?? 0)) - 0.5;
      const output = { kind: 'ok' as const, value: text(item?.value) };
      this.counts.aged++;
      this.history.push({
        client: this.number,
        invoked,
        completed: this.stampNow(),
        key,
        input: { op: 'get' },
        output,
      });
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      this.counts.failed++;
    }
  }

  private put(client: RingraftClient, key: string): Promise<void> {
    const value = this.newValue();
    return this.record(key, { op: 'put', value }, async () => {
      await client.put(this.options.bucket, key, Buffer.from(value, 'latin1'));
      this.seen.set(key, value);
      return { kind: 'ok' };
    });
  }

  private cas(client: RingraftClient, key: string): Promise<void> {
    const value = this.newValue();
    const expected = this.seen.get(key) ?? null;
    const condition = expected === null ? { ifAbsent: true } : { ifValue: Buffer.from(expected, 'latin1') };
    return this.record(key, { op: 'cas', expected, value }, async () => {
      await client.put(this.options.bucket, key, Buffer.from(value, 'latin1'), condition);
      this.seen.set(key, value);
      return { kind: 'ok' };
    });
  }

  private delete(client: RingraftClient, key: string): Promise<void> {
    return this.record(key, { op: 'delete' }, async () => {
      await client.delete(this.options.bucket, key);
      this.seen.set(key, null);
      return { kind: 'ok' };
    });
  }
}
