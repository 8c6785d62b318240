/** A node of a run: the real host, log, store and transport code on a simulated machine. It may die and be started again. */
import { AssertionError, type Logger, messageOf, type NodeId } from '../../src/base/index.js';
import { Host, type HostOptions, LocalMap } from '../../src/host/index.js';
import { Store } from '../../src/kv/index.js';
import { openWal } from '../../src/wal/index.js';
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
};

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
  /** Why it does not start, once it said so. */
  refusal: string | undefined;
  starts = 0;

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

  start(): void {
    if (this.isUp) return;
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
    const { world, settings, map, checks } = this.parts;
    const random = world.fork();
    const { clock } = life;
    const onFatal = (error: unknown): void => this.onFatal(life, error);
    const log = { directory: '/log', segmentBytes: settings.segmentBytes, clock };
    const wal = mutation.wal(await openWal(this.machine.disk, log));
    const files = this.machine.files;
    const store = await Store.open(mutation.engine(this.machine.store), {
      clock,
      cacheBytes: settings.cacheBytes,
      files,
      bucketIds: map.buckets.map(({ id }) => id),
      onFailure: onFatal,
    });
    const apply = store.apply.bind(store);
    store.apply = (shardId, entries, done) => {
      for (const entry of entries) checks.onApply(this.id, shardId, entry);
      apply(shardId, entries, done);
    };
    const host = await Host.start(
      { clock, random, logger: this.logger(), bus, wal, store, snapshotFiles: files, maps: new LocalMap(map), onFatal },
      {
        nodeId: this.id,
        cluster: map.cluster,
        version: 'simulated',
        incarnation: await store.nextIncarnation(),
        mayFound: true,
        raft: settings.raft,
        limits: settings.limits,
      },
    );
    if (life.isDead) return;
    this.host = host;
    this.store = store;
    this.trace('serving');
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
  }

  private trace(what: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.parts.trace(this.id, what, fields);
  }

  private logger(): Logger {
    const log = (fields: Readonly<Record<string, unknown>>, message: string): void => this.trace(message, fields);
    return { debug: log, info: log, warn: log, error: log };
  }
}
