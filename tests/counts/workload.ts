/** The fixed workloads, and what one of them came to. */
import type { GetResult } from '../../src/client/index.js';
import { type Leg, type LegCounts, legs } from './counted-bus.js';
import type { CountedCluster } from './counted-cluster.js';
import { bucket } from './counted-cluster.js';
import { noStorageCounts, type StorageCounts } from './counted-storage.js';

export const valueBytes = 256;
const keyCount = 4096;
const keys = Array.from({ length: keyCount }, (_, at) => Buffer.from(`key-${String(at).padStart(8, '0')}`));
const values = keys.map((_, at) => Buffer.alloc(valueBytes, at % 251));

/** How many keys a scan is to give, how many its interval has, and how many lie between the first ones of two scans. */
const scanned = 50;
const scanInterval = 60;
const betweenScans = 30;

export type WorkloadName = 'put' | 'get' | 'scan' | 'put alone' | 'get alone';
type Workload = { readonly op: 'put' | 'get' | 'scan'; readonly operations: number; readonly inFlight: number };

/** Each operation has a key of its own, which was written before; a scan begins there. */
export const workloads: Readonly<Record<WorkloadName, Workload>> = {
  put: { op: 'put', operations: keyCount, inFlight: 256 },
  get: { op: 'get', operations: keyCount, inFlight: 256 },
  scan: { op: 'scan', operations: 128, inFlight: 16 },
  'put alone': { op: 'put', operations: 128, inFlight: 1 },
  'get alone': { op: 'get', operations: 128, inFlight: 1 },
};
export const workloadNames = Object.keys(workloads) as readonly WorkloadName[];

/** Everything since the start, of all nodes together where nothing else is said. */
export type Counts = {
  readonly legs: Readonly<Record<Leg, LegCounts>>;
  readonly storage: StorageCounts;
  readonly raftMessages: number;
  readonly clientTimers: number;
  readonly nodeTimers: number;
  readonly nodeTurns: number;
  readonly virtualMs: number;
};

export function countsOf({ network, nodes, clientClock, loop }: CountedCluster): Counts {
  const storage = noStorageCounts();
  let [raftMessages, nodeTimers, nodeTurns] = [0, 0, 0];
  for (const node of nodes) {
    for (const name of Object.keys(storage) as (keyof StorageCounts)[]) storage[name] += node.storage[name];
    const { counters } = node.host.status;
    raftMessages += counters.raftMessagesSent ?? 0;
    nodeTurns += counters.turns ?? 0;
    nodeTimers += node.clock.timers;
  }
  const copied = Object.fromEntries(legs.map((leg) => [leg, { ...network.counts[leg] }])) as Counts['legs'];
  const { timers: clientTimers } = clientClock;
  return { legs: copied, storage, raftMessages, clientTimers, nodeTimers, nodeTurns, virtualMs: loop.nowMs };
}

export class WorkloadRunner {
  constructor(private readonly cluster: CountedCluster) {}

  /** Rejects when an operation fails, or does not find what it should. */
  async run(name: WorkloadName): Promise<void> {
    const { op, operations, inFlight } = workloads[name];
    const { client, loop } = this.cluster;
    let [begun, done] = [0, 0];
    let failure: unknown;
    const onFailure = (error: unknown): void => {
      failure ??= error;
    };
    const onPut = (): void => {
      done++;
      begin();
    };
    const onGot = (found: GetResult | undefined): void => {
      if (found?.value.length !== valueBytes) onFailure(new Error('a value was not found'));
      onPut();
    };
    const scan = async (from: number): Promise<void> => {
      // With an end: the engine in memory copies the whole interval.
      const bounds = { gte: keys[from] as Buffer, lt: keys[from + scanInterval] as Buffer };
      let found = 0;
      for await (const { value } of client.scan(bucket, { ...bounds, limit: scanned })) {
        if (value.length === valueBytes) found++;
      }
      if (found !== scanned) throw new Error('a scan did not give what it should');
    };
    const begin = (): void => {
      if (begun === operations) return;
      if (op === 'scan') {
        scan(betweenScans * begun++).then(onPut, onFailure);
        return;
      }
      const key = keys[begun] as Buffer;
      const value = values[begun++] as Buffer;
      if (op === 'put') client.put(bucket, key, value).then(onPut, onFailure);
      else client.get(bucket, key).then(onGot, onFailure);
    };
    for (let slot = 0; slot < inFlight; slot++) begin();
    await loop.run(() => done === operations || failure !== undefined);
    if (failure !== undefined) throw failure;
  }

  /** Lets answers that were left behind happen outside of what is counted; and the engine's batch of what was written before. */
  settle(): Promise<void> {
    return this.cluster.loop.runFor(300);
  }
}
