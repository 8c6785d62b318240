/**
 * What was served while faults were in force, and how soon afterwards: for each fault, from operations in the order of their
 * ends. Nothing of an operation is kept.
 *
 * - A *window* is the time from the beginning to the end of one fault. Several may overlap; each counts what falls into it.
 * - Shares are of probes called while the fault was seen to be in force, by the side that their client's host was on.
 * - Service to a shard is a write to it that was acknowledged, whoever asked. All times are as fine as writes are frequent.
 */
import { isAcknowledged, type Operation } from './operation.js';

export const sides = ['majority', 'minority', 'none'] as const;
/** `none`: the fault takes no side, or the host is on none of them (its node is down). */
export type Side = (typeof sides)[number];

export type FaultFacts = {
  readonly kind: string;
  /** For people. */
  readonly description: string;
  /** By host; hosts that are not named are on side `none`. */
  readonly sides: Readonly<Record<string, Side>>;
};

/** `toMs` is `Infinity` while it lasts. */
export type Fault = FaultFacts & { readonly fromMs: number; readonly toMs: number };

export type Share = { readonly ok: number; readonly all: number };

export const probeKinds = ['linearizable', 'lease', 'quorum', 'one', 'write'] as const;
export type ProbeKind = (typeof probeKinds)[number];

/** By kind of probe and side; what was never asked is left out. */
export type Shares = Partial<Record<ProbeKind, Partial<Record<Side, Share>>>>;

export type WindowFigures = {
  readonly fault: Fault;
  /** Operations called within the window that were answered. */
  readonly okOperations: number;
  readonly shares: Shares;
  /** From the beginning until every shard had taken a write that was called after it; null: not before the end. */
  readonly failOverMs: number | null;
  /** From the end until every shard had taken a write; null: never. */
  readonly recoveryMs: number | null;
  /** From the end until the client of every host had had a write taken; null: never. */
  readonly hostsRecoveryMs: number | null;
  /** The longest time without a write to some shard, from the beginning on, up to the first one after the end. */
  readonly longestShardMs: number;
  /** The same of all shards together. */
  readonly longestMs: number;
};

/** Answers to what was called within a window may come so long after its end. */
const lateMs = 10_000;

class Stretch {
  firstMs: number | undefined;
  /** The first after the end of the window. */
  resumedMs: number | undefined;
  longestMs = 0;
  private lastMs: number;

  constructor(fromMs: number) {
    this.lastMs = fromMs;
  }

  note(atMs: number, toMs: number, isCalledWithin: boolean): void {
    if (isCalledWithin) this.firstMs ??= atMs;
    if (this.resumedMs !== undefined) return;
    this.longestMs = Math.max(this.longestMs, atMs - this.lastMs);
    this.lastMs = Math.max(this.lastMs, atMs);
    if (atMs >= toMs) this.resumedMs = atMs;
  }

  /** With the time that has gone by since the last one, where none came after the end. */
  longestUntil(nowMs: number): number {
    return this.resumedMs === undefined ? Math.max(this.longestMs, nowMs - this.lastMs) : this.longestMs;
  }
}

/** One window; the accounting of all of them is below. */
class Window {
  toMs = Number.POSITIVE_INFINITY;
  okOperations = 0;
  private shares: Partial<Record<ProbeKind, Partial<Record<Side, { ok: number; all: number }>>>> = {};
  private seenMs: number;
  private readonly shards: Map<number, Stretch>;
  private readonly hosts: Map<string, Stretch>;
  private readonly all: Stretch;

  constructor(
    private readonly facts: FaultFacts,
    private readonly fromMs: number,
    shards: readonly number[],
    hosts: readonly string[],
  ) {
    this.shards = new Map(shards.map((shard) => [shard, new Stretch(fromMs)]));
    this.hosts = new Map(hosts.map((host) => [host, new Stretch(fromMs)]));
    this.all = new Stretch(fromMs);
    this.seenMs = fromMs;
  }

  /** What was asked before does not show what the fault does. */
  seen(atMs: number): void {
    this.seenMs = atMs;
    this.shares = {};
  }

  get fault(): Fault {
    return { ...this.facts, fromMs: this.fromMs, toMs: this.toMs };
  }

  add(operation: Operation): void {
    const { startMs, endMs, shard, host } = operation;
    const isCalledWithin = startMs >= this.fromMs && startMs < this.toMs;
    if (isCalledWithin) this.countCall(operation);
    if (!isAcknowledged(operation) || endMs < this.fromMs) return;
    const isNew = startMs >= this.fromMs;
    for (const stretch of [this.shards.get(shard), this.hosts.get(host), this.all]) {
      stretch?.note(endMs, this.toMs, isNew);
    }
  }

  private countCall({ workload, call, outcome, host, startMs, endMs }: Operation): void {
    const isOk = outcome.kind === 'ok' || outcome.kind === 'refused';
    if (isOk) this.okOperations++;
    // What was answered after the end was served by what came after it.
    if (workload !== 'probe' || startMs < this.seenMs || endMs > this.toMs) return;
    const kind = call.op === 'get' ? call.level : 'write';
    const side = this.facts.sides[host] ?? 'none';
    this.shares[kind] ??= {};
    const ofKind = this.shares[kind];
    ofKind[side] ??= { ok: 0, all: 0 };
    const share = ofKind[side];
    share.all++;
    if (isOk) share.ok++;
  }

  /** Nothing that comes changes it any more. */
  isDone(nowMs: number): boolean {
    if (nowMs < this.toMs + lateMs) return false;
    return [...this.shards.values(), ...this.hosts.values()].every(({ resumedMs }) => resumedMs !== undefined);
  }

  figures(nowMs: number): WindowFigures {
    const shards = [...this.shards.values()];
    const firsts = shards.map(({ firstMs }) => firstMs ?? Number.POSITIVE_INFINITY);
    const failedOverMs = Math.max(...firsts);
    return {
      fault: this.fault,
      okOperations: this.okOperations,
      shares: this.shares,
      failOverMs: failedOverMs < this.toMs ? failedOverMs - this.fromMs : null,
      recoveryMs: this.sinceEnd(shards),
      hostsRecoveryMs: this.sinceEnd([...this.hosts.values()]),
      longestShardMs: Math.max(0, ...shards.map((stretch) => stretch.longestUntil(nowMs))),
      longestMs: this.all.longestUntil(nowMs),
    };
  }

  private sinceEnd(stretches: readonly Stretch[]): number | null {
    const resumed = stretches.map(({ resumedMs }) => resumedMs ?? Number.POSITIVE_INFINITY);
    const lastMs = Math.max(...resumed);
    return Number.isFinite(lastMs) ? lastMs - this.toMs : null;
  }
}

export type OpenWindow = {
  /** The fault is known to be in force from here on; from its beginning on where nobody says. */
  seen(atMs: number): void;
  /** Tells what it was. */
  end(toMs: number): Fault;
  /** It never was. */
  drop(): void;
};

export class Availability {
  private windows: readonly Window[] = [];
  private active: Window[] = [];
  private latestMs = 0;

  constructor(
    private readonly shards: readonly number[],
    private readonly hosts: readonly string[],
  ) {}

  begin(facts: FaultFacts, fromMs: number): OpenWindow {
    const window = new Window(facts, fromMs, this.shards, this.hosts);
    this.windows = [...this.windows, window];
    this.active.push(window);
    return {
      seen: (atMs) => window.seen(atMs),
      end(toMs) {
        window.toMs = Math.min(window.toMs, toMs);
        return window.fault;
      },
      drop: () => {
        this.windows = this.windows.filter((each) => each !== window);
        this.active = this.active.filter((each) => each !== window);
      },
    };
  }

  /** In the order of their ends. */
  add(operation: Operation): void {
    this.latestMs = Math.max(this.latestMs, operation.endMs);
    if (this.active.length === 0) return;
    for (const window of this.active) window.add(operation);
    if (this.active.some((window) => window.isDone(this.latestMs))) {
      this.active = this.active.filter((window) => !window.isDone(this.latestMs));
    }
  }

  get faults(): readonly Fault[] {
    return this.windows.map(({ fault }) => fault);
  }

  figures(): readonly WindowFigures[] {
    return this.windows.map((window) => window.figures(this.latestMs));
  }
}

/** The same of a history that lies there whole. */
export function availabilityOf(
  faults: readonly Fault[],
  operations: readonly Operation[],
  shards: readonly number[],
  hosts: readonly string[],
): readonly WindowFigures[] {
  const availability = new Availability(shards, hosts);
  for (const { fromMs, toMs, ...facts } of faults) availability.begin(facts, fromMs).end(toMs);
  for (const operation of [...operations].sort((a, b) => a.endMs - b.endMs)) availability.add(operation);
  return availability.figures();
}
