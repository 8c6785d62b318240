/** The steps of the quick start; each checks what it claims and throws when it does not hold. */
import { isRingraftError, RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import { initHash, ringHash } from '../../ring/index.js';
import { storeRecords } from '../commands/transfer.js';
import type { Io } from '../io.js';
import { startNode } from '../local/nodes.js';
import { systemProcesses } from '../local/processes.js';
import { readState } from '../local/state.js';
import { startProgress } from '../progress.js';
import type { CityRecord } from './cities.js';

export const citiesBucket = 'cities';
const keysPerRead = 1000;
const readsInFlight = 4;
const failoverTimeoutMs = 20_000;

export type Stage = { readonly client: RingraftClient; readonly io: Io; readonly stateDirectory: string };

export class CheckFailed extends Error {}

const check = (condition: boolean, what: string): void => {
  if (!condition) throw new CheckFailed(what);
};

const stopIfAsked = (io: Io): void => {
  if (io.signal.aborted) throw new RingraftError('CLOSED', 'interrupted');
};

export type Timed = { readonly count: number; readonly seconds: number };

export async function load({ client, io }: Stage, records: readonly CityRecord[]): Promise<Timed> {
  const progress = startProgress(io, '  loading', records.length, 'cities');
  const started = performance.now();
  async function* all() {
    for (const [at, { key, value }] of records.entries()) {
      yield { key: Buffer.from(key), value: Buffer.from(value), line: at + 1 };
    }
  }
  const count = await storeRecords(client, citiesBucket, all(), {
    timeoutMs: 30_000,
    signal: io.signal,
    onStored: (batch) => progress.advance(batch.length),
  });
  progress.stop();
  stopIfAsked(io);
  check(count === records.length, `${count} of ${records.length} records were stored`);
  return { count, seconds: (performance.now() - started) / 1000 };
}

/** Reads every record back and compares it byte for byte. */
export async function verify({ client, io }: Stage, records: readonly CityRecord[]): Promise<Timed> {
  const progress = startProgress(io, '  checking', records.length, 'cities');
  const started = performance.now();
  let correct = 0;
  const wrong: string[] = [];
  const readFrom = async (from: number): Promise<void> => {
    const some = records.slice(from, from + keysPerRead);
    const found = await client.getMany(
      citiesBucket,
      some.map(({ key }) => key),
      { timeoutMs: 30_000 },
    );
    some.forEach(({ key, value }, at) => {
      const one = found[at];
      if (one?.ok === true && one.result?.value.equals(Buffer.from(value))) correct++;
      else wrong.push(key);
    });
    progress.advance(some.length);
  };
  let next = 0;
  const reader = async (): Promise<void> => {
    while (next < records.length && !io.signal.aborted) {
      const from = next;
      next += keysPerRead;
      await readFrom(from);
    }
  };
  await Promise.all(Array.from({ length: readsInFlight }, reader));
  progress.stop();
  stopIfAsked(io);
  check(wrong.length === 0, `${wrong.length} records are wrong or missing, the first: ${wrong[0]}`);
  return { count: correct, seconds: (performance.now() - started) / 1000 };
}

export type CasOutcome = { readonly revision: number; readonly refusedAt: number };

/** A compare-and-swap that succeeds, and the same again, which must be refused. The record is put back. */
export async function compareAndSwap({ client }: Stage, record: CityRecord): Promise<CasOutcome> {
  const before = await client.get(citiesBucket, record.key);
  if (before === undefined) throw new CheckFailed(`${record.key} is missing`);
  const changed = JSON.stringify({ ...JSON.parse(record.value), visited: true });
  const { revision } = await client.put(citiesBucket, record.key, changed, { ifRevision: before.revision });
  check(revision > before.revision, 'the revision grows with a write');
  let refusedAt: number | undefined;
  try {
    await client.put(citiesBucket, record.key, 'too late', { ifRevision: before.revision });
  } catch (error) {
    if (!isRingraftError(error, 'CONFLICT')) throw error;
    refusedAt = Number(error.fields.revision);
  }
  if (refusedAt === undefined) throw new CheckFailed('a compare-and-swap on an old revision was not refused');
  const now = await client.get(citiesBucket, record.key);
  check(now?.value.toString() === changed, 'the refused compare-and-swap changed nothing');
  await client.put(citiesBucket, record.key, record.value, { ifRevision: revision });
  return { revision, refusedAt };
}

export type Failover = {
  readonly shard: number;
  readonly killed: string;
  readonly successor: string;
  /** Between the last write answered before the kill and the first one after it. */
  readonly awayMs: number;
  readonly writes: number;
};

/** Kills the node that leads the shard of a key while writing to that key, one write after another. */
export async function killLeader({ client, io, stateDirectory }: Stage, at: number): Promise<Failover> {
  const { map, leaders } = await client.map();
  const shard = map.shards[at];
  const killed = leaders[at];
  const state = readState(stateDirectory);
  const victim = state?.nodes.find(({ id }) => id === killed);
  if (shard === undefined || killed === undefined || killed === null || state === undefined || victim === undefined) {
    throw new CheckFailed('the shard has no leader to kill');
  }
  const key = await keyInShard(shard.arcStart, shard.arcEnd);
  let running = true;
  let writes = 0;
  let last = performance.now();
  let longest = 0;
  const writer = (async () => {
    while (running) {
      await client.put('default', key, String(writes), { timeoutMs: failoverTimeoutMs });
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      writes++;
    }
  })();
  await new Promise((resolve) => setTimeout(resolve, 500));
  longest = 0;
  check(systemProcesses.signal(victim, 'SIGKILL'), `node ${killed} runs`);
  const successor = await newLeader(client, at, killed);
  const before = writes;
  while (writes < before + 20 && !io.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 10));
  running = false;
  await writer;
  const stored = await client.get('default', key);
  check(stored?.value.toString() === String(writes - 1), 'the last acknowledged write is what is read');
  startNode(stateDirectory, state, killed);
  return { shard: shard.id, killed, successor, awayMs: longest, writes };
}

async function newLeader(client: RingraftClient, at: number, killed: string): Promise<string> {
  const deadline = performance.now() + failoverTimeoutMs;
  while (performance.now() < deadline) {
    const leader = await client.map(1000).then(
      ({ leaders }) => leaders[at],
      () => null,
    );
    if (leader !== null && leader !== undefined && leader !== killed) return leader;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new CheckFailed(`no other node took over from ${killed} in ${failoverTimeoutMs / 1000} s`);
}

/** Any key whose ring position lies on the arc. */
async function keyInShard(start: number, end: number): Promise<string> {
  await initHash();
  for (let number = 0; number < 1_000_000; number++) {
    const key = `quickstart/${number}`;
    const position = ringHash(Buffer.from(key));
    if (position >= start && position < end) return key;
  }
  throw new CheckFailed('no key lies on the arc');
}

/** Waits until the restarted node answers and has caught up with its leaders. */
export async function untilCaughtUp({ client, io }: Stage, node: string): Promise<number> {
  const started = performance.now();
  const deadline = started + 60_000;
  while (performance.now() < deadline) {
    stopIfAsked(io);
    try {
      const { map } = await client.map();
      const statuses = await Promise.all(map.nodes.map(({ id }) => client.nodeStatus(id, 1000)));
      const mine = statuses.find(({ nodeId }) => nodeId === node);
      const lag = statuses.flatMap(({ shards }) => shards).reduce((sum, shard) => sum + (shard.lagEntries ?? 0), 0);
      if (mine !== undefined && lag === 0) return (performance.now() - started) / 1000;
    } catch (error) {
      if (!isRingraftError(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new CheckFailed(`node ${node} did not catch up`);
}
