/**
 * A store in memory as clients of the real one see it, behind delays of a virtual clock: linearizable, with request ids,
 * with calls whose answers are lost. And the lies: each makes it break exactly one promise, now and then.
 */
import { type Clock, nodeId, pause, type Random, RingraftError, randomBetween } from '../../src/base/index.js';
import type {
  Consistency,
  GetResult,
  Key,
  LookUpResult,
  ReadOptions,
  RingraftClient,
  WriteOptions,
} from '../../src/client/index.js';
import { equalArcs } from '../../src/ring/index.js';
import { aClusterMap, aMapShard } from './maps.js';

export const lies = [
  /** A strong read shows an earlier value. */
  'staleRead',
  /** A write is acknowledged and not done. */
  'lostWrite',
  /** An increment or an append is done twice. */
  'doubleApply',
  /** What a request id was answered is forgotten. */
  'forgottenRequest',
  /** A write that is said not to have happened happens. */
  'failedYetDone',
  /** A client's read at `one` shows an earlier value than it has seen. */
  'sessionBack',
  /** A compare-and-swap is done though its condition does not hold. */
  'blindSwap',
  /** The tokens of a list change places. */
  'reordered',
  /** Money vanishes. */
  'leakingBank',
  /** An old key loses its value. */
  'forgottenKey',
  /** A read claims to be fresher than it is. */
  'wrongAge',
] as const;
export type Lie = (typeof lies)[number];

type Version = { readonly value: Buffer | undefined; readonly revision: number; readonly atMs: number };

export type StoreOptions = {
  readonly clock: Clock;
  readonly random: Random;
  readonly lie?: Lie | undefined;
  /** Of a hundred operations that it can befall, so many. */
  readonly liePercent?: number;
};

const latencyMs = [1, 12] as const;
/** How old data at `one` may be at most. */
const mostAgeMs = 60;

export class ChaosStore {
  /** All versions of each key, oldest first. */
  private readonly keys = new Map<string, Version[]>();
  private readonly requests = new Map<string, () => unknown>();
  private revision = 0;
  /** Hosts whose calls are not answered; writes are done nevertheless, one in two. */
  readonly silent = new Set<string>();
  liesTold = 0;

  constructor(private readonly options: StoreOptions) {}

  private get clock(): Clock {
    return this.options.clock;
  }

  private between(least: number, most: number): number {
    return randomBetween(this.options.random, least, most);
  }

  lies(lie: Lie): boolean {
    if (this.options.lie !== lie || this.between(1, 100) > (this.options.liePercent ?? 5)) return false;
    this.liesTold++;
    return true;
  }

  versionsOf(key: string): readonly Version[] {
    return this.keys.get(key) ?? [];
  }

  private current(key: string): Version {
    return this.versionsOf(key).at(-1) ?? { value: undefined, revision: 0, atMs: 0 };
  }

  set(key: string, value: Buffer | undefined): number {
    const versions = this.keys.get(key) ?? [];
    this.keys.set(key, versions);
    versions.push({ value, revision: ++this.revision, atMs: this.clock.nowMs() });
    return this.revision;
  }

  /** The state before the present one. */
  private earlier(key: string): Version {
    return this.versionsOf(key).at(-2) ?? { value: undefined, revision: 0, atMs: 0 };
  }

  /** There and back; in between the operation takes effect. */
  async serve<T>(host: string, isWrite: boolean, timeoutMs: number, act: () => T): Promise<T> {
    await pause(this.clock, this.between(...latencyMs));
    if (this.silent.has(host)) {
      if (isWrite && this.between(0, 1) === 0) act();
      await pause(this.clock, timeoutMs);
      throw new RingraftError('TIMEOUT', 'no answer', { happened: isWrite ? 'unknown' : 'no' });
    }
    const result = act();
    await pause(this.clock, this.between(...latencyMs));
    return result;
  }

  /** Repeats under the same id get the first answer. */
  once<T>(requestId: string | undefined, act: () => T): T {
    if (requestId === undefined) return act();
    const known = this.requests.get(requestId);
    if (known !== undefined && !this.lies('forgottenRequest')) return known() as T;
    let outcome: () => T;
    try {
      const result = act();
      outcome = () => result;
    } catch (error) {
      outcome = () => {
        throw error;
      };
    }
    this.requests.set(requestId, outcome);
    return outcome();
  }

  read(key: string, level: Consistency, seenRevision: number): LookUpResult {
    if (level === 'one') return this.readOne(key, seenRevision);
    const version = this.lies('staleRead') ? this.earlier(key) : this.current(key);
    const isOld = this.lies('forgottenKey') && this.clock.nowMs() - version.atMs > 15_000;
    return answer(isOld ? { ...version, value: undefined, revision: 0 } : version, level, false);
  }

  private readOne(key: string, seenRevision: number): LookUpResult {
    const ageMs = this.between(1, mostAgeMs);
    if (this.lies('sessionBack')) return answer(this.earlier(key), 'one', true);
    const atMs = this.clock.nowMs() - ageMs;
    const asOf = this.versionsOf(key).findLast((version) => version.atMs <= atMs);
    const version = asOf ?? { value: undefined, revision: 0, atMs: 0 };
    if (this.lies('wrongAge')) return { ...answer(this.versionsOf(key)[0] ?? version, 'one', true), stalenessMs: 1 };
    const isBehind = version.revision < seenRevision;
    return { ...answer(isBehind ? this.current(key) : version, 'one', true), stalenessMs: ageMs };
  }

  put(key: string, value: Buffer, { ifAbsent, ifRevision, ifValue }: WriteOptions): { revision: number } {
    const found = this.current(key);
    const holds =
      (ifAbsent !== true || found.value === undefined) &&
      (ifRevision === undefined || found.revision === ifRevision) &&
      (ifValue === undefined || found.value?.equals(ifValue) === true);
    if (!holds && !this.lies('blindSwap')) {
      const revision = found.value === undefined ? 0 : found.revision;
      throw new RingraftError('CONFLICT', 'condition', { fields: { revision } });
    }
    if (this.lies('lostWrite')) return { revision: ++this.revision };
    const text = value.toString();
    const leaks = text.startsWith('{"version"') && this.lies('leakingBank');
    const stored = leaks ? Buffer.from(text.replace(/\[\d+/, (match) => `[${Number(match.slice(1)) + 1}`)) : value;
    const revision = this.set(key, stored);
    if (this.lies('failedYetDone')) throw new RingraftError('NO_LEADER', 'nobody');
    return { revision };
  }

  increment(key: string, by: number): { value: number; revision: number } {
    if (this.lies('doubleApply')) this.increment(key, by);
    const value = Number(this.current(key).value?.toString() ?? '0') + by;
    if (this.lies('lostWrite')) return { value, revision: ++this.revision };
    return { value, revision: this.set(key, Buffer.from(String(value))) };
  }

  append(key: string, value: Buffer): { bytes: number; revision: number } {
    const whole = Buffer.concat([this.current(key).value ?? Buffer.alloc(0), value]);
    if (this.lies('lostWrite')) return { bytes: whole.length, revision: ++this.revision };
    const doubled = this.lies('doubleApply') ? Buffer.concat([whole, value]) : whole;
    const parts = whole.toString().split(',').slice(0, -1);
    const isSwapped = parts.length > 2 && this.lies('reordered');
    if (isSwapped) parts.unshift(parts.pop() as string);
    const stored = isSwapped ? Buffer.from(`${parts.join(',')},`) : doubled;
    const revision = this.set(key, stored);
    if (this.lies('failedYetDone')) throw new RingraftError('NO_LEADER', 'nobody');
    return { bytes: whole.length, revision };
  }

  remove(key: string): { found: boolean; revision: number } {
    const found = this.current(key).value !== undefined;
    return { found, revision: this.set(key, undefined) };
  }

  client(host: string): RingraftClient {
    return new StoreClient(this, host) as unknown as RingraftClient;
  }
}

function answer({ value, revision }: Version, consistency: Consistency, maybeStale: boolean): LookUpResult {
  const served = { consistency, maybeStale };
  const item: GetResult | undefined = value === undefined ? undefined : { value, revision, ...served };
  return { item, ...served };
}

const storeNodes = ['n1', 'n2', 'n3'].map(nodeId);
const storeMap = aClusterMap(
  storeNodes,
  equalArcs(4).map(({ shardId, start, end }) => aMapShard({ id: shardId, arcStart: start, arcEnd: end }, storeNodes)),
);

/** What the workloads use of a client. */
class StoreClient {
  private readonly seen = new Map<string, number>();

  constructor(
    private readonly store: ChaosStore,
    private readonly host: string,
  ) {}

  async map() {
    return { map: storeMap, leaders: [] };
  }

  async close(): Promise<void> {}

  private note(key: Key, revision: number): void {
    const name = String(key);
    this.seen.set(name, Math.max(revision, this.seen.get(name) ?? 0));
  }

  async lookUp(_bucket: string, key: Key, options: ReadOptions = {}): Promise<LookUpResult> {
    const { consistency = 'linearizable', timeoutMs = 1000 } = options;
    const seen = this.seen.get(String(key)) ?? 0;
    const result = await this.store.serve(this.host, false, timeoutMs, () =>
      this.store.read(String(key), consistency, seen),
    );
    this.note(key, result.item?.revision ?? 0);
    return result;
  }

  private async write<T extends { revision: number }>(key: Key, options: WriteOptions, act: () => T): Promise<T> {
    const { timeoutMs = 1000, requestId } = options;
    const result = await this.store.serve(this.host, true, timeoutMs, () => this.store.once(requestId, act));
    this.note(key, result.revision);
    return result;
  }

  put(_bucket: string, key: Key, value: Key, options: WriteOptions = {}) {
    return this.write(key, options, () => this.store.put(String(key), Buffer.from(value as string), options));
  }

  delete(_bucket: string, key: Key, options: WriteOptions = {}) {
    return this.write(key, options, () => this.store.remove(String(key)));
  }

  incr(_bucket: string, key: Key, by = 1, options: WriteOptions = {}) {
    return this.write(key, options, () => this.store.increment(String(key), by));
  }

  append(_bucket: string, key: Key, value: Key, options: WriteOptions = {}) {
    return this.write(key, options, () => this.store.append(String(key), Buffer.from(value as string)));
  }
}
