/**
 * Goal: under full load no shard changes its leader: a heartbeat that waits behind bulk, or a loop that is busy for too
 * long, shows here. Method: once the leaders are at home, puts without a pause; every leadership that begins from then on
 * is a change, and so is every new term.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRingraftError } from '../../src/base/index.js';
import { formatCount } from '../../src/cli/values.js';
import type { Violations } from '../crash/violations.js';
import { ElectionsLoad, type Minute } from './elections-load.js';
import { rounded } from './figures.js';
import { termsOf } from './measured-cluster.js';
import { type Leadership, logDelayMs } from './node-logs.js';
import { type Measurement, main, operationTimeoutMs, type Program, type Stage } from './program.js';

const progressMs = 5000;
const shownChanges = 20;

const specs = {
  minutes: { default: 10, least: 0.05, describe: 'how long', fraction: true },
  concurrency: { default: 256, least: 1, describe: 'puts under way' },
  shards: { default: 16, least: 1, describe: 'how many' },
  value: { default: 256, least: 16, describe: 'bytes of a value' },
};
type Options = { readonly [Name in keyof typeof specs]: number };

async function measure(stage: Stage<Options>): Promise<Measurement> {
  const { options, measured, violations, say } = stage;
  const { logs } = measured;
  const client = await measured.startAll(operationTimeoutMs);
  const before = await measured.untilSettled(client);
  await sleep(logDelayMs);
  const first = logs.leaderships.length;
  const lostBefore = logs.ends.length;
  say(`leaders are at home after ${first} leaderships; ${options.minutes} minutes of puts begin`);

  const load = new ElectionsLoad(client, options.concurrency, options.value, violations);
  const [beganMs, beganWallMs] = [performance.now(), Date.now()];
  let shown = 0;
  const ticker = setInterval(() => {
    const rate = ((load.operations - shown) * 1000) / progressMs;
    shown = load.operations;
    const changes = logs.leaderships.length - first;
    const errors = Object.values(load.codes).reduce((sum, count) => sum + count, 0);
    say(`${formatCount(load.operations)} puts (${formatCount(rate)}/s), ${errors} errors, ${changes} leader changes`);
  }, progressMs);
  try {
    await load.run(beganMs + options.minutes * 60_000, () => measured.isGivenUp);
  } finally {
    clearInterval(ticker);
  }
  const endedMs = performance.now();
  await sleep(logDelayMs);
  const changes = logs.leaderships.slice(first);
  const termChanges = await unlessUnanswered(violations, async () => {
    const termsBefore = termsOf(before);
    return termsOf(await measured.survey(client)).filter((term, at) => term !== termsBefore[at]).length;
  });
  say(`reading ${formatCount(load.keys)} keys back`);
  const keysVerified = await unlessUnanswered(violations, () => load.verify());
  const lost = logs.ends.length - lostBefore;
  for (const { shardId, node, term, atMs } of changes.slice(0, shownChanges)) {
    const seconds = ((atMs - beganWallMs) / 1000).toFixed(1);
    violations.add(`after ${seconds} s of load ${node} became leader of shard ${shardId} in term ${term}`);
  }
  if (changes.length > shownChanges) violations.add(`${changes.length} leader changes in all`);
  if (changes.length === 0 && lost + (termChanges ?? 0) > 0) {
    violations.add(`${lost} leaderships ended and ${termChanges ?? '?'} shards have another term, yet none began`);
  }
  return result(load, changes, { first, lost, termChanges, keysVerified, beganMs, endedMs, beganWallMs });
}

/** The figures of a long run are worth showing although what comes after it is not answered. */
async function unlessUnanswered<T>(violations: Violations, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!isRingraftError(error)) throw error;
    violations.add(`not verified: ${error.code}: ${error.message}`);
    return null;
  }
}

type Course = {
  readonly first: number;
  readonly lost: number;
  readonly termChanges: number | null;
  readonly keysVerified: number | null;
  readonly beganMs: number;
  readonly endedMs: number;
  readonly beganWallMs: number;
};

function result(load: ElectionsLoad, changes: readonly Leadership[], course: Course): Measurement {
  const { beganMs, endedMs, beganWallMs } = course;
  const minutes = load.minutes.map((minute, at) => ofMinute(minute, at, endedMs, changes, beganWallMs));
  const seconds = (endedMs - beganMs) / 1000;
  const perSecond = load.operations / seconds;
  const errors = Object.entries(load.codes).map(([code, count]) => `${code} ${count}`);
  return {
    sections: [
      {
        title: 'Puts, minute by minute',
        columns: ['MINUTE', 'PUTS', 'PER SECOND', 'P50 ms', 'P99 ms', 'MAX ms', 'ERRORS', 'LEADER CHANGES'],
        rows: minutes.map((one) => [
          one.minute,
          formatCount(one.operations),
          formatCount(one.perSecond),
          one.p50Ms.toFixed(1),
          one.p99Ms.toFixed(1),
          one.maxMs.toFixed(1),
          one.errors,
          one.leaderChanges,
        ]),
      },
      {
        title: `In all, ${(seconds / 60).toFixed(1)} minutes`,
        columns: ['', 'FIGURE', 'TARGET'],
        rows: [
          ['puts acknowledged', formatCount(load.operations), '-'],
          ['puts per second', formatCount(perSecond), '-'],
          ['errors', errors.join(' ') || '0', '0'],
          ['leaderships until the leaders were at home', course.first, '-'],
          ['leaderships that began under load', changes.length, '0'],
          ['leaderships that ended under load', course.lost, '0'],
          ['shards whose term changed under load', course.termChanges ?? 'not known', '0'],
          ['keys read back', course.keysVerified ?? 'not all', '-'],
        ],
      },
    ],
    facts: {
      seconds: rounded(seconds),
      operations: load.operations,
      perSecond: Math.round(perSecond),
      errors: load.codes,
      leadershipsBefore: course.first,
      leaderChanges: changes.length,
      leadershipsEnded: course.lost,
      termChanges: course.termChanges,
      keysVerified: course.keysVerified,
      perMinute: minutes,
      changes: changes.slice(0, shownChanges),
    },
  };
}

function ofMinute(
  { startedMs, operations, errors, latencyUs }: Minute,
  at: number,
  endedMs: number,
  changes: readonly Leadership[],
  beganWallMs: number,
) {
  const seconds = Math.min(60, (endedMs - startedMs) / 1000);
  const ms = (us: number): number => (operations === 0 ? 0 : rounded(us / 1000, 2));
  return {
    minute: at + 1,
    operations,
    perSecond: Math.round(operations / seconds),
    p50Ms: ms(latencyUs.percentile(50)),
    p99Ms: ms(latencyUs.percentile(99)),
    maxMs: ms(latencyUs.max),
    errors,
    leaderChanges: changes.filter(({ atMs }) => Math.floor((atMs - beganWallMs) / 60_000) === at).length,
  };
}

const program: Program<typeof specs> = {
  name: 'elections',
  summary: 'full load of puts for long; no shard may change its leader',
  specs,
  clusterOf: ({ shards }) => ({ shards }),
  measure,
};
main(program);
