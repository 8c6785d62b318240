/**
 * Goal: a node that joins gets its share of the data and of the leaders, no more is moved than that, and whoever uses the
 * cluster notices little of it. Method: three nodes filled, a steady load, a fourth node that joins under it, and the same
 * load for a while before and after; at the end every key is read back.
 */
import { formatBytes, formatCount } from '../../src/cli/values.js';
import { inSeconds, rounded } from './figures.js';
import type { Survey } from './measured-cluster.js';
import { changesSince, loadsOf, loadsTable, mostOverFair, replicasMoved, sumOf, untilPlaced } from './placement.js';
import { type Measurement, main, type Program, type Stage } from './program.js';
import type { SteadyLoad } from './steady-load.js';
import { afterwards, loadSpecs, underLoad } from './under-load.js';

const joiner = 'n4';

const specs = {
  ...loadSpecs,
  keys: { ...loadSpecs.keys, default: 500_000 },
  seconds: { ...loadSpecs.seconds, default: 20 },
  shards: { default: 64, least: 1, describe: 'how many' },
  'max-moves': { default: 0, least: 0, describe: 'replicas moved at once; 0: as the nodes have it' },
  'snapshot-bytes': { default: 0, least: 0, describe: 'of snapshots a second and node; 0: as the nodes have it' },
};
type Options = { readonly [Name in keyof typeof specs]: number };

async function measure(stage: Stage<Options>): Promise<Measurement> {
  const { measured, say } = stage;
  const loaded = await underLoad(stage);
  const { client, load, before } = loaded;
  load.begin('during');
  const { startedMs, servingMs } = measured.join(joiner, 'z4');
  const startToServingMs = (await servingMs) - startedMs;
  say(`${joiner} serves ${inSeconds(startToServingMs)} after its start; ${load.takeLatest()}`);
  await untilPlaced(
    measured,
    client,
    ({ nodes }) => nodes.some(({ id, replicas }) => id === joiner && replicas > 0),
    (course) => say(`${course}; ${load.takeLatest()}`),
  );
  const placedMs = performance.now() - startedMs;
  say(`replicas are in place after ${inSeconds(placedMs)}; ${load.takeLatest()}`);
  await measured.untilAtHome(client);
  const atHomeMs = performance.now() - startedMs;
  say(`leaders are spread after ${inSeconds(atHomeMs)}; ${load.takeLatest()}`);
  await afterwards(stage, loaded);
  const after = await measured.untilSettled(client);
  const moved = replicasMoved(before.map, await changesSince(client, before.map.epoch));
  return result(stage, load, { before, after, moved, startToServingMs, placedMs, atHomeMs });
}

type Course = {
  readonly before: Survey;
  readonly after: Survey;
  readonly moved: number;
  readonly startToServingMs: number;
  readonly placedMs: number;
  readonly atHomeMs: number;
};

function result(
  { options, violations }: Stage<Options>,
  load: SteadyLoad,
  { before, after, moved, startToServingMs, placedMs, atHomeMs }: Course,
): Measurement {
  const loads = loadsOf(after, violations);
  const replicas = after.map.shards.length * after.map.replication;
  const ideal = replicas / after.map.nodes.length;
  const mostMoved = Math.max(Math.floor(mostOverFair * ideal), Math.ceil(ideal));
  if (moved > mostMoved) violations.add(`${moved} replicas were moved, ${rounded(ideal)} would have been enough`);
  const bytes = sumOf(after, 'snapshotBytesSent') - sumOf(before, 'snapshotBytesSent');
  const snapshots = sumOf(after, 'snapshotsSent') - sumOf(before, 'snapshotsSent');
  const idealBytes = (options.keys * options['value-bytes'] * after.map.replication) / after.map.nodes.length;
  return {
    sections: [
      load.table,
      loadsTable(loads),
      {
        title: `${joiner} joins ${before.map.nodes.length} nodes with ${formatCount(options.keys)} keys`,
        columns: ['', 'FIGURE', 'IDEAL'],
        rows: [
          ['start to serving', inSeconds(startToServingMs), '-'],
          ['start to all replicas in place', inSeconds(placedMs), '-'],
          ['start to leaders spread', inSeconds(atHomeMs), '-'],
          ['replicas moved', moved, rounded(ideal)],
          ['snapshots sent', snapshots, moved],
          ['bytes of snapshots sent', formatBytes(bytes), `${formatBytes(idealBytes)} of values`],
          ['keys read back', formatCount(options.keys), '-'],
        ],
      },
    ],
    facts: {
      phases: load.facts,
      loads,
      startToServingMs: Math.round(startToServingMs),
      placedMs: Math.round(placedMs),
      atHomeMs: Math.round(atHomeMs),
      replicas,
      moved,
      idealMoved: rounded(ideal),
      snapshots,
      snapshotBytes: bytes,
      idealBytes: Math.round(idealBytes),
    },
  };
}

/** What the founding nodes are told of moves; nothing: their defaults. */
const management = (options: Options): object => ({
  ...(options['max-moves'] === 0 ? {} : { maxMoves: options['max-moves'] }),
  ...(options['snapshot-bytes'] === 0 ? {} : { snapshotBytesPerSecond: options['snapshot-bytes'] }),
});

const program: Program<typeof specs> = {
  name: 'join',
  summary: 'a fourth node joins three under load: what is moved, how long it takes, what users notice',
  specs,
  clusterOf: (options) => ({ shards: options.shards, settings: { management: management(options) } }),
  measure,
};
main(program);
