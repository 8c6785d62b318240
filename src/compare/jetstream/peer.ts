/** NATS JetStream on this machine: a cluster of three nats-servers, a KV bucket with three replicas in files. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pause, systemClock } from '../../base/index.js';
import { findNatsServer, freePorts } from '../../cli/index.js';
import type { Peer, PeerName, StartRequest, Target } from '../peer.js';
import { type ServerProcess, ServerProcesses } from '../server-processes.js';
import { kindsOf, type Workload } from '../workload.js';
import { BrokerRequests } from './broker-request.js';
import { bucketLeader, createBucket } from './bucket.js';
import { type ConnectBus, serverName } from './client.js';

const host = '127.0.0.1';
const servers = 3;
const readyTimeoutMs = 40_000;
/** Before they have a leader, servers may not answer at all. */
const answerTimeoutMs = 2000;
const pollMs = 200;
/** The first version that can be told to sync each write. */
const syncSince = [2, 10] as const;

export class JetStreamPeer implements Peer {
  readonly name: PeerName;
  readonly title: string;
  readonly deployment: string;
  readonly client = 'NATS messages over a connection to each server, one subscription for all answers';
  readonly debianPackage = undefined;
  private processes: ServerProcesses | undefined;

  constructor(
    private readonly connectBus: ConnectBus,
    private readonly syncsAlways: boolean,
  ) {
    this.name = syncsAlways ? 'jetstream-sync' : 'jetstream';
    this.title = syncsAlways ? 'JetStream KV, sync always' : 'JetStream KV';
    this.deployment = syncsAlways
      ? 'three nats-servers with sync_interval: always; a write is answered when a majority has synced it to disk'
      : 'three nats-servers as shipped; a write is answered when a majority has it in its page cache, synced every 2 minutes';
  }

  missing(): string | undefined {
    try {
      findNatsServer(process.env);
    } catch {
      return 'nats-server is not installed';
    }
    if (!this.syncsAlways || this.canSync()) return undefined;
    return `nats-server ${this.version()} has no sync_interval (from ${syncSince.join('.')} on)`;
  }

  private canSync(): boolean {
    const [major = 0, minor = 0] = this.version().split('.').map(Number);
    return major > syncSince[0] || (major === syncSince[0] && minor >= syncSince[1]);
  }

  version(): string {
    const text = execFileSync(findNatsServer(process.env), ['--version'], { encoding: 'utf8', stdio: 'pipe' });
    return /v?(\d+\.\d+\.\d+\S*)/.exec(text)?.[1] ?? 'unknown';
  }

  lacks(workload: Workload): string | undefined {
    return kindsOf(workload).includes('scan') ? 'has no scans in the order of keys' : undefined;
  }

  remark(workload: Workload): string | undefined {
    const reads = kindsOf(workload).some((kind) => kind.startsWith('read') || kind === 'batch-get');
    return reads && workload.level === 'linearizable' ? 'reads are direct gets, which may be stale' : undefined;
  }

  async start({ directory }: StartRequest): Promise<Target> {
    const processes = new ServerProcesses(join(directory, 'logs'));
    this.processes = processes;
    const ports = await freePorts(2 * servers);
    const all = Array.from({ length: servers }, (_, at) => at);
    const routes = all.map((at) => `"nats://${host}:${ports[servers + at]}"`).join(', ');
    const sync = this.syncsAlways ? '  sync_interval: always\n' : '';
    for (const at of all) {
      const path = join(directory, `${serverName(at)}.conf`);
      const text = `server_name: "${serverName(at)}"
listen: "${host}:${ports[at]}"
jetstream {
  store_dir: "${join(directory, serverName(at))}"
${sync}}
cluster {
  name: "compare"
  listen: "${host}:${ports[servers + at]}"
  routes: [${routes}]
}
`;
      writeFileSync(path, text);
      processes.start(serverName(at), findNatsServer(process.env), ['-c', path]);
    }
    const urls = all.map((at) => `nats://${host}:${ports[at]}`);
    await this.untilServing(processes, urls[0] as string);
    return { peer: this.name, servers: urls };
  }

  /** Until the bucket is there, with a leader and two replicas that have caught up. */
  private async untilServing(processes: ServerProcesses, url: string): Promise<void> {
    const requests = new BrokerRequests(await this.connectBus(url), answerTimeoutMs);
    const deadlineMs = performance.now() + readyTimeoutMs;
    let isCreated = false;
    try {
      for (;;) {
        processes.check();
        try {
          if (!isCreated) await createBucket(requests);
          isCreated = true;
          await bucketLeader(requests);
          return;
        } catch (error) {
          if (performance.now() > deadlineMs) throw error;
        }
        await pause(systemClock, pollMs);
      }
    } finally {
      await requests.close();
    }
  }

  servers(): readonly ServerProcess[] {
    return this.processes?.all ?? [];
  }

  async stop(): Promise<void> {
    await this.processes?.stop();
    this.processes = undefined;
  }
}
