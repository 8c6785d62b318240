/** Ringraft on this machine: three kvd processes and the nats-servers they share: one, as `kvctl up` has it. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../base/index.js';
import {
  connect,
  type LocalState,
  serversOf,
  startLocalCluster,
  stopLocalCluster,
  untilReady,
} from '../../cli/index.js';
import type { Peer, StartRequest, Target } from '../peer.js';
import type { ServerProcess } from '../server-processes.js';
import { bucketName, clusterName } from './deployment.js';

const root = packageRoot();
const nodes = ['n1', 'n2', 'n3'] as const;

function commit(): string {
  try {
    const hash = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
    return ` (${hash.trim()})`;
  } catch {
    return '';
  }
}

export class RingraftPeer implements Peer {
  readonly name = 'ringraft';
  readonly title = 'Ringraft';
  readonly deployment: string;
  readonly client = 'its own TypeScript client';
  readonly debianPackage = undefined;
  private state: LocalState | undefined;
  private directory: string | undefined;
  private starting: Promise<unknown> = Promise.resolve();

  constructor(private readonly brokers: number) {
    const shared = brokers === 1 ? 'one nats-server' : `a cluster of ${brokers} nats-servers`;
    this.deployment = `three kvd processes and ${shared}; a write is answered when a majority has synced it to disk`;
  }

  missing(): undefined {}

  version(): string {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    return `${version}${commit()}`;
  }

  lacks(): undefined {}

  remark(): undefined {}

  async start({ directory, shards }: StartRequest): Promise<Target> {
    const configPath = join(directory, 'compare.config.json');
    const config = {
      cluster: clusterName,
      shards,
      replication: 3,
      nodes: nodes.map((id, at) => ({ id, zone: `z${at + 1}` })),
      buckets: [{ name: bucketName, id: 1 }],
    };
    writeFileSync(configPath, `${JSON.stringify(config)}\n`);
    this.directory = directory;
    const starting = startLocalCluster(
      { configPath, stateDirectory: directory, port: 0, fresh: true, brokers: this.brokers },
      process.env,
    );
    this.starting = starting.catch(() => {});
    const state = await starting;
    this.state = state;
    const { cluster } = state;
    await untilReady(directory, state, (now, timeoutMs) =>
      connect({ config: undefined, servers: serversOf(now), cluster, timeoutMs }),
    );
    return { peer: this.name, servers: serversOf(state) };
  }

  servers(): readonly ServerProcess[] {
    const { brokers = [], nodes: running = [] } = this.state ?? {};
    return [...brokers, ...running.map((node) => ({ ...node, name: node.id }))];
  }

  async stop(): Promise<void> {
    await this.starting;
    if (this.directory !== undefined) await stopLocalCluster(this.directory);
    this.directory = undefined;
    this.state = undefined;
  }
}
