/** One restart of nodes, timed from the start of their processes. */
import type { RingraftClient } from '../../src/client/index.js';
import { homeOf, NotYet, type Survey } from './measured-cluster.js';
import { bucket, operationTimeoutMs, type Stage } from './program.js';

const lookMs = 20;
const readEveryMs = 10;
const readTimeoutMs = 1000;

export type Restart = {
  readonly node: string;
  readonly how: 'SIGTERM' | 'SIGKILL';
  /** SIGTERM to the end of the process; the kernel's time after a SIGKILL. */
  readonly stopMs: number;
  readonly servingMs: number;
  /** It leads again and has answered a linearizable read. */
  readonly firstAnswerMs: number;
  readonly caughtUpMs: number;
  /** All its leaderships are back. */
  readonly settledMs: number;
  readonly residentBytes: number;
};

export type RestartOfAll = {
  readonly servingMs: number;
  readonly firstReadMs: number;
  readonly ledMs: number;
  /** A linearizable read of every shard was answered. */
  readonly allReadMs: number;
  readonly settledMs: number;
};

/** Reads keys again and again, whether or not earlier reads were answered, until the work is done. */
async function whileReading<T>(client: RingraftClient, keys: readonly string[], work: () => Promise<T>): Promise<T> {
  let next = 0;
  const timer = setInterval(() => {
    const key = keys[next++ % keys.length] as string;
    client.get(bucket, key, { timeoutMs: readTimeoutMs }).catch(() => {});
  }, readEveryMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Stops one node, lets `meanwhile` write what it will lack, and starts it again. */
export async function restartOne<Options>(
  { measured }: Stage<Options>,
  client: RingraftClient,
  how: Restart['how'],
  node: string,
  tags: readonly string[],
  meanwhile: () => Promise<void>,
): Promise<Restart> {
  const { map } = await measured.survey(client);
  const stoppedMs = performance.now();
  if (how === 'SIGTERM') await measured.stopCleanly(node);
  else {
    measured.kill(node);
    await measured.untilEnded(node);
  }
  const stopMs = performance.now() - stoppedMs;
  await meanwhile();

  const { startedMs, servingMs } = measured.start(node);
  const since = (atMs: number): number => atMs - startedMs;
  const answered = async (): Promise<number> => {
    const { counters } = await client.nodeStatus(node, readTimeoutMs);
    if ((counters.gets ?? 0) <= (counters.inflightOperations ?? 0)) throw new NotYet('it answered nothing');
    return since(performance.now());
  };
  const mine = tags.filter((_, at) => homeOf(map, at) === node);
  const [firstAnswerMs, caughtUpMs] = await Promise.all([
    whileReading(client, mine.length > 0 ? mine : tags, () => measured.until(`${node} answers`, answered, lookMs)),
    measured.untilLevel(client, lookMs).then(() => since(performance.now())),
  ]);
  const settled = await measured.untilSettled(client);
  const settledMs = since(performance.now());
  const residentBytes = residentOf(settled, node);
  return { node, how, stopMs, servingMs: since(await servingMs), firstAnswerMs, caughtUpMs, settledMs, residentBytes };
}

/** SIGKILL to all nodes at one moment; all are started at one moment. */
export async function restartAll<Options>(
  { measured }: Stage<Options>,
  client: RingraftClient,
  tags: readonly string[],
): Promise<RestartOfAll> {
  for (const id of measured.nodeIds) measured.kill(id);
  await Promise.all(measured.nodeIds.map((id) => measured.untilEnded(id)));
  const startedMs = performance.now();
  const since = (): number => performance.now() - startedMs;
  const servings = measured.nodeIds.map((id) => measured.start(id).servingMs);
  let firstReadMs = Number.POSITIVE_INFINITY;
  const read = async (tag: string): Promise<void> => {
    await measured.until(
      `a read of ${tag} is answered`,
      () => client.get(bucket, tag, { timeoutMs: operationTimeoutMs }),
      lookMs,
    );
    firstReadMs = Math.min(firstReadMs, since());
  };
  const led = async (): Promise<number> => {
    const { map, leaders } = await client.map(readTimeoutMs);
    const missing = map.shards.filter((_, at) => leaders[at] === null || leaders[at] === undefined).length;
    if (missing > 0) throw new NotYet(`${missing} shards have no leader`);
    return since();
  };
  const [ledMs, allReadMs] = await Promise.all([
    measured.until('every shard has a leader', led, lookMs),
    Promise.all(tags.map(read)).then(since),
  ]);
  const servingMs = Math.max(...(await Promise.all(servings))) - startedMs;
  await measured.untilSettled(client);
  return { servingMs, firstReadMs, ledMs, allReadMs, settledMs: since() };
}

export const residentOf = ({ statuses }: Survey, node: string): number =>
  statuses.find(({ nodeId }) => nodeId === node)?.memory.residentBytes ?? Number.NaN;
