/**
 * Goal: a cluster works with any number of shards. Method: for each number a new cluster of three nodes that comes up,
 * serves for a while, is restarted as a whole, and takes in a fourth node; every key is read back at the end.
 */
import { formatCount } from '../../src/cli/values.js';
import { DataSet } from './data-set.js';
import { inSeconds, rounded } from './figures.js';
import { forEachKey } from './keys.js';
import type { MeasuredCluster } from './measured-cluster.js';
import { loadsOf, untilPlaced } from './placement.js';
import { type Measurement, main, operationTimeoutMs, type Program, type Stage } from './program.js';

const joiner = 'n4';
const defaultCounts = [1, 3, 64, 512];

const specs = {
  counts: { defaults: defaultCounts, least: 1, describe: 'numbers of shards, one after another' },
  keys: { default: 20_000, least: 1, describe: 'how many are written' },
  'value-bytes': { default: 256, least: 24, describe: 'of every value' },
  concurrency: { default: 64, least: 1, describe: 'single operations under way' },
};
type Options = Stage<{
  readonly counts: readonly number[];
  readonly keys: number;
  readonly 'value-bytes': number;
  readonly concurrency: number;
}>;

type Course = {
  readonly shards: number;
  readonly upMs: number;
  readonly putsPerSecond: number;
  readonly getsPerSecond: number;
  readonly restartMs: number;
  readonly joinMs: number;
  readonly replicas: string;
  readonly residentMegabytes: number;
};

async function one({ options, violations, say }: Options, measured: MeasuredCluster, shards: number): Promise<Course> {
  const data = new DataSet(options.keys, options['value-bytes']);
  const startedMs = performance.now();
  const client = await measured.startAll(operationTimeoutMs);
  await measured.untilSettled(client);
  const upMs = performance.now() - startedMs;
  say(`${shards} shards: leaders are at home after ${inSeconds(upMs)}`);
  const rate = async (single: (number: number) => Promise<void>): Promise<number> => {
    const beganMs = performance.now();
    await forEachKey(options.keys, options.concurrency, single);
    return Math.round((options.keys * 1000) / (performance.now() - beganMs));
  };
  const putsPerSecond = await rate((number) => data.putOne(client, number, operationTimeoutMs));
  const getsPerSecond = await rate((number) => data.getOne(client, violations, number, operationTimeoutMs));
  say(`${formatCount(putsPerSecond)} puts/s, ${formatCount(getsPerSecond)} gets/s`);

  const stoppedMs = performance.now();
  await Promise.all(measured.nodeIds.map((id) => measured.stopCleanly(id)));
  for (const id of measured.nodeIds) measured.start(id);
  await measured.untilSettled(client);
  const restartMs = performance.now() - stoppedMs;
  say(`all stopped and back after ${inSeconds(restartMs)}`);

  const { startedMs: joinedMs } = measured.join(joiner, 'z4');
  await untilPlaced(
    measured,
    client,
    ({ nodes }) => nodes.some(({ id, replicas }) => id === joiner && (replicas > 0 || shards * 3 < nodes.length)),
    say,
  );
  await measured.untilAtHome(client);
  const joinMs = performance.now() - joinedMs;
  const survey = await measured.untilSettled(client);
  say(`${joiner} has its share after ${inSeconds(joinMs)}`);
  await data.verify(client, violations, () => {});
  const loads = loadsOf(survey, violations);
  const resident = Math.max(...survey.statuses.map(({ memory }) => memory.residentBytes));
  return {
    shards,
    upMs: Math.round(upMs),
    putsPerSecond,
    getsPerSecond,
    restartMs: Math.round(restartMs),
    joinMs: Math.round(joinMs),
    replicas: loads.map(({ replicas }) => replicas).join(' '),
    residentMegabytes: rounded(resident / 1e6, 0),
  };
}

async function measure(stage: Options): Promise<Measurement> {
  const { options } = stage;
  const courses: Course[] = [];
  for (const [at, shards] of options.counts.entries()) {
    const measured = at === 0 ? stage.measured : await stage.next({ shards });
    courses.push(await one(stage, measured, shards));
  }
  return {
    sections: [
      {
        title: `Three nodes, ${formatCount(options.keys)} keys, ${options.concurrency} operations under way`,
        columns: ['SHARDS', 'UP', 'PUTS/s', 'GETS/s', 'RESTART', 'JOIN OF A 4TH', 'REPLICAS A NODE', 'MOST MB'],
        rows: courses.map((course) => [
          course.shards,
          inSeconds(course.upMs),
          formatCount(course.putsPerSecond),
          formatCount(course.getsPerSecond),
          inSeconds(course.restartMs),
          inSeconds(course.joinMs),
          course.replicas,
          course.residentMegabytes,
        ]),
      },
    ],
    facts: { courses },
  };
}

const program: Program<typeof specs> = {
  name: 'shards',
  summary: 'clusters of several numbers of shards: they come up, serve, restart and grow',
  specs,
  clusterOf: ({ counts }) => ({ shards: counts[0] ?? 1 }),
  measure,
};
main(program);
