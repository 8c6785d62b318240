/**
 * Three nodes and one client as they are in production, from the client's calls to the log and the engine, in one process
 * over counted ports: bus, disk, engine and clock. Everything is configured as it is by default.
 */
import { type BucketId, type Logger, type NodeId, nodeId, seededRandom } from '../../src/base/index.js';
import { connectClient, type RingraftClient } from '../../src/client/index.js';
import { Host, LocalMap } from '../../src/host/index.js';
import { Store } from '../../src/kv/store.js';
import { foundingMap } from '../../src/meta/index.js';
import { initHash } from '../../src/ring/index.js';
import { openWal } from '../../src/wal/index.js';
import type { ClusterMap } from '../../src/wire/index.js';
import { usualSettings, usualTimings, withoutSystem } from '../support/maps.js';
import { CountedNetwork } from './counted-bus.js';
import { countedDisk, countedEngine, noStorageCounts, type StorageCounts } from './counted-storage.js';
import { type ClockCounts, EventLoop } from './event-loop.js';

export const shards = 16;
export const bucket = 'default';
const cluster = 'counts';
const electionTimeoutMs = 1000;
const mostStartMs = 30_000;
/** Nothing here is to reach the limit at which old log entries are let go, or another segment is begun. */
const segmentBytes = 256 * 1024 * 1024;

const raft = {
  ...usualTimings,
  maxAppendBytes: 262_144,
  maxInflightAppends: 64,
  maxUncommittedBytes: 16_777_216,
  quiesceAfterMs: 1000,
};
/** A quarter of what a workload puts: the rest goes to the engine while it is counted. */
const pending = { bytesOfShard: 64 * 1024, bytes: 256 * 1024, added: 1024, ageMs: 250, recordsATurn: 256 };
const limits = {
  maxKeyBytes: 4096,
  maxValueBytes: 524_288,
  maxInflightOperations: 16_384,
  maxPendingWriteBytes: 64 * 1024 * 1024,
  retainedLogBytes: 64 * 1024 * 1024,
  trailingLogBytes: 32 * 1024,
  trimEveryBytes: segmentBytes,
  packEveryBytes: 64 * 1024,
  diskStallMs: 2 * electionTimeoutMs,
};
const silent = (): void => {};
const logger: Logger = { debug: silent, info: silent, warn: silent, error: silent };

type CountedNode = {
  readonly id: NodeId;
  readonly host: Host;
  readonly storage: StorageCounts;
  readonly clock: ClockCounts;
};

export class CountedCluster {
  private constructor(
    readonly loop: EventLoop,
    readonly network: CountedNetwork,
    readonly nodes: readonly CountedNode[],
    readonly client: RingraftClient,
    readonly clientClock: ClockCounts,
  ) {}

  /** Resolves once every shard is led by the node that should, and nothing is left to do. */
  static async start(): Promise<CountedCluster> {
    await initHash();
    const loop = new EventLoop();
    const network = new CountedNetwork(loop);
    const map = mapOf(['n1', 'n2', 'n3'].map(nodeId));
    const nodes = await during(loop, Promise.all(map.nodes.map(({ id }, at) => startNode(loop, network, map, id, at))));
    await loop.run(() => loop.nowMs > mostStartMs || areLeadersAtHome(nodes, map));
    if (!areLeadersAtHome(nodes, map)) throw new Error('the leaders did not find their places');
    const clientClock = { timers: 0, turns: 0 };
    const options = { cluster, clock: loop.clock(clientClock), random: seededRandom(1) };
    const client = await during(loop, connectClient(network.connect('client'), options));
    await loop.runFor(3000);
    return new CountedCluster(loop, network, nodes, client, clientClock);
  }
}

const mapOf = (ids: readonly NodeId[]): ClusterMap =>
  withoutSystem(
    foundingMap({
      cluster,
      shards,
      replication: ids.length,
      nodes: ids.map((id) => ({ id, zone: 'z', weight: 1 })),
      buckets: [{ name: bucket, id: 1 as BucketId }],
      management: usualSettings,
      raft: usualTimings,
    }),
  );

async function startNode(
  loop: EventLoop,
  network: CountedNetwork,
  map: ClusterMap,
  id: NodeId,
  at: number,
): Promise<CountedNode> {
  const storage = noStorageCounts();
  const counts = { timers: 0, turns: 0 };
  const clock = loop.clock(counts);
  const onFatal = (error: unknown): void => {
    loop.at(0, () => {
      throw error;
    });
  };
  const files = {
    create: () => Promise.reject(new Error('nobody needs a snapshot')),
    read: () => Promise.resolve(undefined),
    remove: () => Promise.resolve(),
  };
  const wal = await openWal(countedDisk(loop, storage), { directory: '/log', segmentBytes, clock });
  const engine = countedEngine(loop, storage);
  const store = await Store.open(engine, { clock, cacheBytes: 33_554_432, files, onFailure: onFatal, pending });
  const bus = network.connect('node');
  const parts = { clock, random: seededRandom(at + 1), logger, bus, wal, store, snapshotFiles: files, onFatal };
  const options = { nodeId: id, cluster, version: 'counted', incarnation: 1, mayFound: true, raft, limits };
  const host = await Host.start({ ...parts, maps: new LocalMap(map) }, options);
  return { id, host, storage, clock: counts };
}

/** What the promise comes to, while time passes. */
async function during<T>(loop: EventLoop, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settle = (): void => {
    isSettled = true;
  };
  promise.then(settle, settle);
  await loop.run(() => isSettled);
  return promise;
}

function areLeadersAtHome(nodes: readonly CountedNode[], map: ClusterMap): boolean {
  let led = 0;
  for (const { id, host } of nodes) {
    for (const group of host.replicas()) if (group.raft.isLeader && group.preferredNode === id) led++;
  }
  return led === map.shards.length;
}
