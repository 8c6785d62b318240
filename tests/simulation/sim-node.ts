/** A node of a run: the real host, log, store and transport code on a simulated machine. It may die and be started again. */
import { AssertionError, type Logger, messageOf, type NodeId } from '../../src/base/index.js';
import { Host, type HostOptions, LocalMap } from '../../src/host/index.js';
import { Store } from '../../src/kv/index.js';
import {
  beginningOf,
  ClusterNode,
  type ClusterNodeOptions,
  type ClusterNodeParts,
  type DiskUsage,
  type FailureDetectorOptions,
  type Origin,
} from '../../src/meta/index.js';
import { openWal, type Wal } from '../../src/wal/index.js';
import type { ClusterMap } from '../../src/wire/index.js';
import type { Checks } from './checks.js';
import { type ClockFault, Life } from './life.js';
import { mutation } from './mutants.js';
import type { Endpoint, Network } from './network.js';
import { Machine } from './sim-disk.js';
import type { World } from './world.js';

export type NodeSettings = {
  readonly raft: HostOptions['raft'];
  readonly limits: HostOptions['limits'];
  readonly segmentBytes: number;
  readonly cacheBytes: number;
};

export type NodeParts = {
  readonly world: World;
  readonly network: Network;
  readonly checks: Checks;
  readonly map: ClusterMap;
  readonly settings: NodeSettings;
  readonly trace: (node: string, what: string, fields?: Readonly<Record<string, unknown>>) => void;
  /** Of a cluster that manages itself; absent: a bare host over `map`, which never changes. */
  readonly managed?: ManagedParts;
};

export type ManagedParts = {
  readonly originOf: (node: NodeId) => Origin;
  readonly gossip: Partial<FailureDetectorOptions>;
  /** Stands between a node and its log, at each start. */
  readonly watchLog: (node: NodeId, wal: Wal) => Wal;
  /** The machine is empty from now on. */
  readonly onWiped: (node: NodeId) => void;
};

/** 2020-01-01, from where lives are numbered by the second (`Store.nextIncarnation`). */
const incarnationEpochSeconds = 1_577_836_800;

/** So little that shards are written apart from one another, as large ones are, and seldom all that is applied. */
const pending = { bytesOfShard: 2048, bytes: 6144, added: 30, ageMs: 250, recordsATurn: 3 };

/** Whether a node may stop for this: an injected failure of its disk, and nothing else. */
const isInjected = (error: unknown): boolean => {
  for (let at = error; at instanceof Error; at = at.cause)
    if ('code' in at && (at.code === 'EIO' || at.code === 'ENOSPC')) return true;
  return false;
};

export class SimNode {
  readonly machine: Machine;
  readonly clockFault: ClockFault = { rate: 1, wallOffsetMs: 0 };
  life: Life | undefined;
  endpoint: Endpoint | undefined;
  host: Host | undefined;
  store: Store | undefined;
  cluster: ClusterNode | undefined;
  private wal: Wal | undefined;
  private isStopping = false;
  /** Why it does not start, once it said so. */
  refusal: string | undefined;
  starts = 0;
  /** Nobody starts it: it does not take part yet, or no more. */
  isRetired = false;

  constructor(
    readonly id: NodeId,
    private readonly parts: NodeParts,
  ) {
    this.machine = new Machine(parts.world);
  }

  get isUp(): boolean {
    return this.life !== undefined && !this.life.isDead;
  }

  get isServing(): boolean {
    return this.isUp && this.host !== undefined;
  }

  /** Whether a life that begins so much later, knowing nothing of this one, would have no greater number. */
  isAheadOfClock(laterMs: number): boolean {
    const { life, host } = this;
    if (life === undefined || host === undefined) return true;
    const seconds = Math.floor((life.clock.wallMs() + laterMs) / 1000) - incarnationEpochSeconds;
    return seconds <= host.status.incarnation;
  }

  start(): void {
    if (this.isUp || this.isRetired) return;
    const { world, network } = this.parts;
    this.starts++;
    const life = new Life(this.id, world, this.clockFault);
    this.life = life;
    this.machine.boot(life);
    this.endpoint = network.connect(this.id, life);
    this.refusal = undefined;
    life.schedule(1, () => void this.run(life, this.endpoint as Endpoint).catch((error) => this.refused(life, error)));
  }

  private refused(life: Life, error: unknown): void {
    if (life.isDead) return;
    this.trace('refused to start', { error: messageOf(error) });
    if (isInjected(error)) {
      // Whoever runs the node tries again.
      this.refusal = messageOf(error);
      this.crash(false);
      this.parts.world.at(300, () => this.start());
      return;
    }
    this.parts.world.fail(error);
  }

  private async run(life: Life, bus: Endpoint): Promise<void> {
    const { world, map, checks } = this.parts;
    const { segmentBytes, cacheBytes, ...settings } = this.parts.settings;
    const random = world.fork();
    const { clock } = life;
    const onFatal = (error: unknown): void => this.onFatal(life, error);
    const log = { directory: '/log', segmentBytes, clock };
    const opened = mutation.wal(await openWal(this.machine.disk, log));
    const wal = this.parts.managed?.watchLog(this.id, opened) ?? opened;
    const files = this.machine.files;
    const store = await Store.open(mutation.engine(this.machine.store), {
      clock,
      cacheBytes,
      files,
      onFailure: onFatal,
      pending,
    });
    const apply = store.apply.bind(store);
    store.apply = (shardId, entries, done) => {
      for (const entry of entries) checks.onApply(this.id, shardId, entry);
      apply(shardId, entries, done);
    };
    const parts = { clock, random, logger: this.logger(), bus, wal, store, snapshotFiles: files, onFatal };
    const options = { nodeId: this.id, cluster: map.cluster, version: 'simulated', ...settings };
    const cluster = await this.startCluster(life, parts, options);
    const host =
      cluster?.host ??
      (await Host.start(
        { ...parts, maps: new LocalMap(map) },
        { ...options, incarnation: await store.nextIncarnation(), mayFound: true },
      ));
    if (life.isDead) return;
    this.cluster = cluster;
    this.host = host;
    this.store = store;
    this.wal = wal;
    this.trace('serving');
  }

  /** As `main.ts` does it; undefined: this is no node of a cluster that manages itself. */
  private async startCluster(
    life: Life,
    parts: Omit<ClusterNodeParts, 'diskUsage'>,
    options: Omit<ClusterNodeOptions, 'origin'>,
  ): Promise<ClusterNode | undefined> {
    const { managed } = this.parts;
    if (managed === undefined) return undefined;
    const all = { ...options, origin: managed.originOf(this.id), gossip: managed.gossip };
    const beginning = await beginningOf(parts, all);
    if (life.isDead) return undefined;
    const diskUsage = (): Promise<DiskUsage> => Promise.resolve({ freeBytes: null, usedBytes: null });
    return ClusterNode.start({ ...parts, diskUsage }, all, beginning);
  }

  /** As a service manager stops it: what can be handed over is, and everything reaches the disk. */
  async stop(): Promise<void> {
    const { life, cluster, store, wal } = this;
    if (life === undefined || cluster === undefined || this.isStopping) return;
    this.trace('stopping');
    this.isStopping = true;
    await cluster.stop();
    await store?.close();
    await wal?.close();
    if (this.life === life) this.crash(false);
  }

  /** The node, which is down, comes to an empty machine. */
  wipe(): void {
    this.trace('its disk was lost');
    this.machine.wipe();
    this.parts.managed?.onWiped(this.id);
  }

  private onFatal(life: Life, error: unknown): void {
    if (life.isDead) return;
    this.trace('fatal', { error: messageOf(error) });
    if (error instanceof AssertionError || !isInjected(error)) this.parts.world.fail(error);
    this.crash(false);
    // Whoever runs the node starts it again.
    this.parts.world.at(300, () => this.start());
  }

  /** The process dies; with `power` the machine does. */
  crash(power: boolean): void {
    if (this.life === undefined) return;
    this.trace(power ? 'machine crashed' : 'process killed');
    this.life.end();
    if (this.endpoint !== undefined) {
      this.endpoint.lostUnsent = this.parts.world.chance(0.5);
      this.parts.network.disconnect(this.endpoint);
    }
    this.machine.crash(power);
    this.life = undefined;
    this.endpoint = undefined;
    this.host = undefined;
    this.store = undefined;
    this.cluster = undefined;
    this.wal = undefined;
    this.isStopping = false;
  }

  private trace(what: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.parts.trace(this.id, what, fields);
  }

  private logger(): Logger {
    const log = (fields: Readonly<Record<string, unknown>>, message: string): void => this.trace(message, fields);
    return { debug: log, info: log, warn: log, error: log };
  }
}
