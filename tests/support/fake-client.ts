/** A client over a map in memory, and one run of kvctl against it: no cluster, no process. */
import { PassThrough, Readable } from 'node:stream';
import { type Clock, RingraftError } from '../../src/base/index.js';
import { loadCommands } from '../../src/cli/commands/catalogue.js';
import { type Io, type LocalProcesses, type RunDependencies, run } from '../../src/cli/index.js';
import type { Key, PutResult, RingraftClient, ScanItem, ScanOptions, WriteOptions } from '../../src/client/index.js';
import type { ClusterMapAnswer, ManagerAnswer, ManagerRequest, NodeStatus } from '../../src/wire/index.js';

const bytes = (key: Key): Buffer => Buffer.from(key as string);
const name = (key: Key): string => bytes(key).toString('latin1');

export type Call = { readonly what: string; readonly bucket: string; readonly options: object };

export class FakeClient implements RingraftClient {
  readonly entries = new Map<string, { value: Buffer; revision: number }>();
  readonly calls: Call[] = [];
  /** When set, every operation fails with it. */
  failure: Error | undefined;
  closed = 0;
  /** There is no cluster unless a test says what it looks like. */
  clusterMap: ClusterMapAnswer | undefined;
  /** Asked anew each time. */
  statusOf: ((nodeId: string, shardId?: number) => NodeStatus) | undefined;
  private revision = 0;

  valueOf(key: Key): Buffer | undefined {
    return this.entries.get(name(key))?.value;
  }

  private note(what: string, bucket: string, options: object = {}): void {
    this.calls.push({ what, bucket, options });
    if (this.failure !== undefined) throw this.failure;
  }

  async get(bucket: string, key: Key, options: object = {}) {
    this.note('get', bucket, options);
    const found = this.entries.get(name(key));
    return found === undefined ? undefined : { ...found, consistency: 'linearizable' as const, maybeStale: false };
  }

  async put(bucket: string, key: Key, value: Key, options: WriteOptions = {}): Promise<PutResult> {
    this.note('put', bucket, options);
    const found = this.entries.get(name(key));
    const { ifAbsent, ifRevision, ifValue } = options;
    const holds =
      (ifAbsent !== true || found === undefined) &&
      (ifRevision === undefined || found?.revision === ifRevision) &&
      (ifValue === undefined || found?.value.equals(ifValue) === true);
    if (!holds) throw new RingraftError('CONFLICT', 'condition', { fields: { revision: found?.revision ?? 0 } });
    this.entries.set(name(key), { value: bytes(value), revision: ++this.revision });
    return { revision: this.revision };
  }

  async delete(bucket: string, key: Key, options: WriteOptions = {}) {
    this.note('delete', bucket, options);
    const found = this.entries.get(name(key));
    if (options.ifRevision !== undefined && found?.revision !== options.ifRevision) {
      throw new RingraftError('CONFLICT', 'condition', { fields: { revision: found?.revision ?? 0 } });
    }
    return { found: this.entries.delete(name(key)), revision: ++this.revision };
  }

  async lookUp(bucket: string, key: Key, options: object = {}) {
    const item = await this.get(bucket, key, options);
    return { item, consistency: 'linearizable' as const, maybeStale: false };
  }

  async exists(bucket: string, key: Key, options: object = {}) {
    const found = await this.get(bucket, key, options);
    if (found === undefined) return undefined;
    const { value: _, ...facts } = found;
    return facts;
  }

  async incr(bucket: string, key: Key, by = 1, options: WriteOptions = {}) {
    const sum = Number(this.valueOf(key)?.toString() ?? '0') + by;
    if (!Number.isSafeInteger(sum)) throw new RingraftError('BAD_REQUEST', 'the value is not a whole number');
    const { revision } = await this.put(bucket, key, String(sum), options);
    return { value: sum, revision };
  }

  async append(bucket: string, key: Key, value: Key, options: WriteOptions = {}) {
    const whole = Buffer.concat([this.valueOf(key) ?? Buffer.alloc(0), bytes(value)]);
    const { revision } = await this.put(bucket, key, whole, options);
    return { bytes: whole.length, revision };
  }

  async touch(bucket: string, key: Key, ttlMs: number | undefined, options: WriteOptions = {}) {
    this.note('touch', bucket, { ...options, ttlMs });
    return { found: this.entries.has(name(key)), revision: this.revision };
  }

  async count(bucket: string, options: ScanOptions = {}): Promise<number> {
    let keys = 0;
    for await (const _ of this.scan(bucket, options)) keys++;
    return keys;
  }

  async getMany(bucket: string, keys: readonly Key[], options: object = {}) {
    const outcomes = [];
    for (const key of keys) outcomes.push({ ok: true as const, result: await this.get(bucket, key, options) });
    return outcomes;
  }

  async deleteMany(bucket: string, keys: readonly Key[], options: WriteOptions = {}) {
    const outcomes = [];
    for (const key of keys) outcomes.push({ ok: true as const, result: await this.delete(bucket, key, options) });
    return outcomes;
  }

  async batch(): Promise<never> {
    throw new RangeError('kvctl has no mixed batches');
  }

  async putMany(bucket: string, pairs: readonly (readonly [Key, Key])[]) {
    this.note('putMany', bucket);
    return pairs.map(([key, value]) => {
      if (bytes(key).length > 100) return { ok: false as const, error: new RingraftError('TOO_LARGE', 'key too long') };
      this.entries.set(name(key), { value: bytes(value), revision: ++this.revision });
      return { ok: true as const, result: { revision: this.revision } };
    });
  }

  async *scan(bucket: string, options: ScanOptions = {}): AsyncGenerator<ScanItem> {
    this.note('scan', bucket, options);
    const prefix = options.prefix === undefined ? '' : name(options.prefix);
    const names = [...this.entries.keys()].filter((key) => key.startsWith(prefix)).sort();
    if (options.reverse === true) names.reverse();
    for (const key of names.slice(0, options.limit)) {
      const { value, revision } = this.entries.get(key) as { value: Buffer; revision: number };
      yield { key: Buffer.from(key, 'latin1'), value: options.keysOnly === true ? Buffer.alloc(0) : value, revision };
    }
  }

  async map(): Promise<ClusterMapAnswer> {
    if (this.clusterMap === undefined) throw new RingraftError('UNREACHABLE', 'there is no cluster');
    return this.clusterMap;
  }

  async nodeStatus(nodeId: string, _timeoutMs?: number, shardId?: number): Promise<NodeStatus> {
    if (this.statusOf === undefined) throw new RingraftError('UNREACHABLE', 'there is no cluster');
    return this.statusOf(nodeId, shardId);
  }

  async transferLeader(shardId: number, toNode: string): Promise<void> {
    this.note('transferLeader', `${shardId}`, { toNode });
  }

  async rebuildReplica(shardId: number, nodeId: string): Promise<void> {
    this.note('rebuildReplica', `${shardId}`, { nodeId });
  }

  async metrics(nodeId: string): Promise<string> {
    this.note('metrics', nodeId);
    return 'ringraft_up 1\n';
  }

  /** What the manager answers; a RingraftError thrown here is the answer as well. */
  onManage: (request: ManagerRequest) => ManagerAnswer | Promise<ManagerAnswer> = () => {
    throw new RingraftError('NO_LEADER', 'no manager');
  };

  async manage(request: ManagerRequest): Promise<ManagerAnswer> {
    this.note('manage', request.op, request);
    return this.onManage(request);
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

export type Ran = {
  readonly code: number;
  readonly out: Buffer;
  readonly err: string;
  readonly requests: Parameters<RunDependencies['connect']>[0][];
};

export type RunOptions = {
  readonly client?: FakeClient;
  readonly input?: readonly Uint8Array[];
  readonly env?: Record<string, string>;
  readonly isTTY?: boolean;
  /** Of standard error. */
  readonly errIsTTY?: boolean;
  /** Stands for Ctrl-C. */
  readonly signal?: AbortSignal;
  /** Where waiting matters: time that passes as soon as somebody waits. */
  readonly clock?: Clock;
  readonly processes?: LocalProcesses;
};

/** Each wait takes as long as it says and no time at all; everything that can happen meanwhile does. */
export function hastyClock(): Clock {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    wallMs: () => 1_700_000_000_000 + Math.floor(nowMs),
    after(delayMs, action) {
      const handle = setImmediate(() => {
        nowMs += delayMs;
        action();
      });
      return { cancel: () => clearImmediate(handle) };
    },
    defer: (action) => setImmediate(action),
  };
}

function sink(isTTY: boolean): { stream: PassThrough & { isTTY: boolean }; read: () => Buffer } {
  const stream = Object.assign(new PassThrough(), { isTTY });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { stream, read: () => Buffer.concat(chunks) };
}

// Loading a command takes real time, which a virtual clock does not wait for: here all are loaded before any runs.
await loadCommands(undefined, { version: '9.9.9', connectLocal: async () => new FakeClient() });

/** Runs kvctl in this process, on the cluster `test` unless the arguments say otherwise. */
export async function kvctl(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { client = new FakeClient(), input = [], env = {}, isTTY = false, errIsTTY = false } = options;
  const out = sink(isTTY);
  const err = sink(errIsTTY);
  const requests: Ran['requests'] = [];
  const io: Io = {
    out: out.stream,
    err: err.stream,
    in: Readable.from(input),
    env,
    signal: options.signal ?? new AbortController().signal,
  };
  const code = await run(argv, io, {
    version: '9.9.9',
    connect: async (request) => {
      requests.push(request);
      return client;
    },
    connectLocal: async () => client,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.processes === undefined ? {} : { processes: options.processes }),
  });
  await new Promise((resolve) => setImmediate(resolve));
  return { code, out: out.read(), err: err.read().toString(), requests };
}
