/** The cluster of a run: real processes, a nats-server for each node, everything in one directory. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RingraftError } from '../base/index.js';
import {
  type Backend,
  connect,
  type LocalState,
  localFaultGround,
  startLocalCluster,
  stopLocalCluster,
  systemPorts,
  untilReady,
} from '../cli/index.js';
import type { RingraftClient } from '../client/index.js';
import { brokerOf, type FaultGround } from '../faults/index.js';

export type ChaosClusterOptions = {
  readonly directory: string;
  readonly nodes: number;
  readonly replication: number;
  readonly shards: number;
  readonly backend: Backend;
};

/** So small that a full disk is met within seconds. */
const segmentBytes = 262_144;
/** Nothing is to be moved because somebody was away for a while: moves are measured elsewhere. */
const downAfterMs = 600_000;

export const chaosBucket = 'chaos';

export class ChaosCluster {
  readonly ground: FaultGround;

  private constructor(
    private readonly state: LocalState,
    private readonly stateDirectory: string,
  ) {
    this.ground = localFaultGround(stateDirectory, state, systemPorts);
  }

  /** Resolves once every shard has a leader. */
  static async start(options: ChaosClusterOptions): Promise<ChaosCluster> {
    const { directory, nodes, replication, shards, backend } = options;
    mkdirSync(directory, { recursive: true });
    const configPath = join(directory, 'cluster.config.json');
    const config = {
      cluster: 'chaos',
      shards,
      replication,
      nodes: Array.from({ length: nodes }, (_, at) => ({ id: `n${at + 1}`, zone: `z${at + 1}` })),
      buckets: [{ name: chaosBucket, id: 1 }],
      wal: { segmentBytes },
      management: { downAfterMs },
    };
    writeFileSync(configPath, `${JSON.stringify(config, null, 2)}\n`);
    const stateDirectory = join(directory, 'cluster');
    try {
      const wanted = { configPath, stateDirectory, port: 0, fresh: true, backend };
      const state = await startLocalCluster(wanted, process.env, systemPorts);
      const cluster = new ChaosCluster(state, stateDirectory);
      await untilReady(stateDirectory, state, (_, timeoutMs) => cluster.connect(undefined, timeoutMs), systemPorts);
      return cluster;
    } catch (error) {
      await stopLocalCluster(stateDirectory, systemPorts);
      throw error;
    }
  }

  /** A client beside a node: of its broker and no other. undefined: of any. */
  connect(node: string | undefined, timeoutMs: number): Promise<RingraftClient> {
    const wanted = this.state.brokers.filter(({ name }) => node === undefined || name === brokerOf(node));
    if (wanted.length === 0) throw new RingraftError('BAD_REQUEST', `there is no node ${node}`);
    const servers = wanted.map(({ url }) => url);
    return connect({ config: undefined, servers, cluster: this.state.cluster, timeoutMs });
  }

  /** Nodes and brokers that ended though nobody ended them. */
  ended(): readonly string[] {
    const { processes } = this.ground;
    const endpoints = this.ground.nodes.flatMap((node) => [node, brokerOf(node)]);
    return endpoints.filter((endpoint) => processes.conditionOf(endpoint) === 'ended');
  }

  async stop(): Promise<void> {
    await stopLocalCluster(this.stateDirectory, systemPorts);
  }
}
