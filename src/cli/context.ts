/** What every command has: the global options, resolved, and a way to the cluster. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Clock, RingraftError, systemClock } from '../base/index.js';
import type { Consistency, RingraftClient } from '../client/index.js';
import { type ClusterConfig, loadConfig } from '../config/index.js';
import type { Io } from './io.js';
import { localConfig } from './local/access.js';
import { type LocalProcesses, systemProcesses } from './local/processes.js';
import { type LocalState, readState, serversOf } from './local/state.js';
import type { Output } from './output.js';
import { decodeText, type Encoding, parseDuration } from './values.js';

/** As yargs hands them over. */
export type GlobalArguments = {
  readonly output?: Output | undefined;
  readonly server?: string | undefined;
  readonly cluster?: string | undefined;
  readonly config?: string | undefined;
  readonly bucket: string;
  readonly timeout: string;
  readonly consistency?: Consistency | undefined;
  readonly keyEncoding: Encoding;
  readonly valueEncoding: Encoding;
  readonly stateDir?: string | undefined;
};

export type ConnectRequest = {
  readonly config: ClusterConfig | undefined;
  readonly servers: readonly string[];
  readonly cluster: string;
  readonly timeoutMs: number;
};

export type Dependencies = {
  connect(request: ConnectRequest): Promise<RingraftClient>;
  /** The real ones unless a test has its own. */
  readonly clock?: Clock;
  readonly processes?: LocalProcesses;
};

/** Which cluster is meant, and where. */
type Target = Omit<ConnectRequest, 'timeoutMs'>;

const defaultConfig = 'cluster.config.json';

export class Context {
  private client: RingraftClient | undefined;

  constructor(
    readonly io: Io,
    readonly args: GlobalArguments,
    private readonly dependencies: Dependencies,
  ) {}

  get timeoutMs(): number {
    return parseDuration(this.args.timeout);
  }

  get configPath(): string {
    return resolve(this.args.config ?? defaultConfig);
  }

  /** Where a local cluster keeps what it runs: beside the configuration unless told otherwise. */
  get stateDirectory(): string {
    return resolve(this.args.stateDir ?? `${dirname(this.configPath)}/.ringraft`);
  }

  /** undefined when there is no configuration file and none was asked for. */
  private config(local: LocalState | undefined): ClusterConfig | undefined {
    if (this.args.config !== undefined) return loadConfig(this.configPath);
    const access = local === undefined || this.askedServers !== undefined ? undefined : localConfig(local);
    return access ?? (existsSync(this.configPath) ? loadConfig(this.configPath) : undefined);
  }

  private get askedServers(): readonly string[] | undefined {
    return (this.args.server ?? this.io.env.NATS_URL)?.split(',');
  }

  requireConfig(): ClusterConfig {
    return loadConfig(this.configPath);
  }

  get clock(): Clock {
    return this.dependencies.clock ?? systemClock;
  }

  get processes(): LocalProcesses {
    return this.dependencies.processes ?? systemProcesses;
  }

  /** Resolves after so long, or at Ctrl-C. */
  pause(ms: number): Promise<void> {
    const { signal } = this.io;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.clock.after(ms, done);
      signal.addEventListener('abort', done);
    });
  }

  /** The cluster: what was asked for, else the local one that runs, else what the configuration says. */
  private target(): Target {
    const local = readState(this.stateDirectory);
    const config = this.config(local);
    const servers = this.askedServers ??
      (local === undefined ? config?.nats.servers : serversOf(local)) ?? ['nats://127.0.0.1:4222'];
    const cluster = this.args.cluster ?? config?.cluster ?? local?.cluster;
    if (cluster === undefined) {
      throw new RingraftError('CONFIG', `which cluster? Give --cluster, or --config with its ${defaultConfig}`);
    }
    return { config, servers, cluster };
  }

  get cluster(): string {
    return this.target().cluster;
  }

  /** The cluster on this machine, if that is the one that is meant. */
  get local(): LocalState | undefined {
    const state = readState(this.stateDirectory);
    if (state === undefined) return undefined;
    const { servers, cluster } = this.target();
    return cluster === state.cluster && serversOf(state).some((url) => servers.includes(url)) ? state : undefined;
  }

  async connect(): Promise<RingraftClient> {
    this.client ??= await this.dependencies.connect({ ...this.target(), timeoutMs: this.timeoutMs });
    return this.client;
  }

  async close(): Promise<void> {
    await this.client?.close();
    this.client = undefined;
  }

  key(text: string): Buffer {
    return decodeText(text, this.args.keyEncoding, 'key');
  }

  value(text: string): Buffer {
    return decodeText(text, this.args.valueEncoding, 'value');
  }

  keyText(bytes: Buffer): string {
    return bytes.toString(this.args.keyEncoding);
  }

  valueText(bytes: Buffer): string {
    return bytes.toString(this.args.valueEncoding);
  }
}
