/** etcd on this machine: three members on loopback, as Debian ships them. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pause, systemClock } from '../../base/index.js';
import { freePorts, programPath } from '../../cli/index.js';
import type { Peer, StartRequest, Target } from '../peer.js';
import { type ServerProcess, ServerProcesses } from '../server-processes.js';
import { kindsOf, type Workload } from '../workload.js';
import { connectEtcd } from './client.js';

const members = 3;
const host = '127.0.0.1';
const pollMs = 100;
/** Its default of 2 GB is reached within minutes, since it keeps every version until it is told not to. */
const quotaBytes = 16 * 2 ** 30;

const etcdPath = (): string | undefined => programPath('etcd', process.env);

export class EtcdPeer implements Peer {
  readonly name = 'etcd';
  readonly title = 'etcd';
  readonly deployment =
    'three members with default settings but a larger quota; a write is answered when a majority has synced it to disk';
  readonly client = 'its gRPC protocol over a connection to each member, HTTP/2 frames written by hand';
  readonly debianPackage = 'etcd-server';
  private processes: ServerProcesses | undefined;

  missing(): string | undefined {
    return etcdPath() === undefined ? 'etcd is not installed' : undefined;
  }

  version(): string {
    const text = execFileSync(etcdPath() ?? 'etcd', ['--version'], { encoding: 'utf8', stdio: 'pipe' });
    return /etcd Version: (\S+)/.exec(text)?.[1] ?? 'unknown';
  }

  lacks(): undefined {}

  remark(workload: Workload): string | undefined {
    const isBatch = kindsOf(workload).some((kind) => kind.startsWith('batch'));
    return isBatch ? 'a batch is one transaction, all of it or nothing' : undefined;
  }

  async start({ directory }: StartRequest): Promise<Target> {
    const processes = new ServerProcesses(join(directory, 'logs'));
    this.processes = processes;
    const ports = await freePorts(2 * members);
    const urlOf = (at: number): string => `http://${host}:${ports[at]}`;
    const nameOf = (at: number): string => `etcd-${at + 1}`;
    const all = Array.from({ length: members }, (_, at) => at);
    const cluster = all.map((at) => `${nameOf(at)}=${urlOf(members + at)}`).join(',');
    for (const at of all) {
      const settings = {
        name: nameOf(at),
        'data-dir': join(directory, nameOf(at)),
        'listen-client-urls': urlOf(at),
        'advertise-client-urls': urlOf(at),
        'listen-peer-urls': urlOf(members + at),
        'initial-advertise-peer-urls': urlOf(members + at),
        'initial-cluster': cluster,
        'initial-cluster-state': 'new',
        'quota-backend-bytes': String(quotaBytes),
      };
      const args = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
      processes.start(nameOf(at), etcdPath() ?? 'etcd', args);
    }
    const servers = all.map((at) => `${host}:${ports[at]}`);
    await this.untilServing(processes, servers);
    return { peer: this.name, servers };
  }

  /** Until every member answers, and a linearizable read gets through. */
  private async untilServing(processes: ServerProcesses, servers: readonly string[]): Promise<void> {
    const deadlineMs = performance.now() + 30_000;
    for (;;) {
      processes.check();
      try {
        const client = await connectEtcd(servers);
        try {
          await client.takeRoute('leader');
          await client.get('ready', 'linearizable');
          return;
        } finally {
          await client.close();
        }
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
      }
      await pause(systemClock, pollMs);
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
