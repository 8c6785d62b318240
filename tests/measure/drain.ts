/**
 * Goal: a drain goes on wherever the manager was. Method: nodes filled, a steady load, a drain, and in its middle SIGKILL
 * to the node that manages the cluster, which is started again a little later; then every key is read back.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBytes, formatCount } from '../../src/cli/values.js';
import { inSeconds } from './figures.js';
import { NotYet } from './measured-cluster.js';
import { loadsOf, loadsTable, order, sumOf, untilPlaced, viewOf } from './placement.js';
import { type Measurement, main, type Program, type Stage } from './program.js';
import { afterwards, loadSpecs, underLoad } from './under-load.js';

const awayMs = 3000;
const lookEveryMs = 50;

const specs = {
  ...loadSpecs,
  nodes: { default: 5, least: 4, describe: 'how many, one of which is drained' },
  shards: { default: 32, least: 1, describe: 'how many' },
};
type Options = { readonly [Name in keyof typeof specs]: number };

async function measure(stage: Stage<Options>): Promise<Measurement> {
  const { options, measured, violations, say } = stage;
  const loaded = await underLoad(stage);
  const { client, load, before } = loaded;
  const { manager } = await viewOf(client);
  const drained = measured.nodeIds.filter((id) => id !== manager).at(-1) as string;
  const held = before.statuses.find(({ nodeId }) => nodeId === drained)?.shards.length ?? 0;

  load.begin('drain');
  const beganMs = performance.now();
  const since = (): number => performance.now() - beganMs;
  await order(client, 'drain', drained);
  say(`${drained} is being drained: it holds ${held} replicas; ${manager} manages`);
  const leftOn = async (): Promise<number> => {
    const { nodes } = await viewOf(client);
    const node = nodes.find(({ id }) => id === drained);
    return (node?.replicas ?? 0) + (node?.leaving ?? 0);
  };
  const halfDone = async (): Promise<number> => {
    const left = await leftOn();
    if (left > held / 2) throw new NotYet(`${left} of ${held} replicas left`);
    return left;
  };
  const left = await measured.until('half of the drain', halfDone, lookEveryMs);
  load.begin('manager dead');
  const killedMs = since();
  measured.kill(manager);
  say(`SIGKILL of ${manager} with ${left} of ${held} replicas left; ${load.takeLatest()}`);
  await measured.untilEnded(manager);
  const hasAnother = async (): Promise<string> => {
    const view = await viewOf(client);
    if (view.manager === manager) throw new NotYet('the dead one manages');
    return view.manager;
  };
  const next = await measured.until('another node manages', hasAnother, lookEveryMs);
  const managedMs = since() - killedMs;
  say(`${next} manages after ${inSeconds(managedMs)}`);
  await sleep(awayMs);
  const leftThen = await leftOn();
  load.begin('drain, again');
  measured.start(manager);
  await untilPlaced(
    measured,
    client,
    ({ nodes }) => nodes.some(({ id, condition }) => id === drained && condition === 'drained'),
    (course) => say(`${course}; ${load.takeLatest()}`),
  );
  const drainedMs = since();
  say(`${drained} is drained after ${inSeconds(drainedMs)}; ${load.takeLatest()}`);
  await measured.untilAtHome(client);
  const atHomeMs = since();
  await afterwards(stage, loaded);
  const after = await measured.untilSettled(client);
  const loads = loadsOf(after, violations);
  const still = after.statuses.find(({ nodeId }) => nodeId === drained)?.shards.length ?? 0;
  if (still > 0) violations.add(`${drained} is drained and holds ${still} replicas`);
  const bytes = sumOf(after, 'snapshotBytesSent') - sumOf(before, 'snapshotBytesSent');
  return {
    sections: [
      load.table,
      loadsTable(loads),
      {
        title: `${drained} is drained of ${held} replicas, ${formatCount(options.keys)} keys; times since the order`,
        columns: ['', 'FIGURE'],
        rows: [
          [`SIGKILL of ${manager}, the manager, with ${left} replicas left`, inSeconds(killedMs)],
          [`from then until ${next} managed`, inSeconds(managedMs)],
          [`replicas left when ${manager} was started again`, leftThen],
          ['drained', inSeconds(drainedMs)],
          ['leaders spread', inSeconds(atHomeMs)],
          ['bytes of snapshots sent, as far as counted', formatBytes(Math.max(0, bytes))],
          ['operations failed', load.failed],
          ['keys read back', formatCount(options.keys)],
        ],
      },
    ],
    facts: {
      phases: load.facts,
      loads,
      held,
      leftAtKill: left,
      leftAtStart: leftThen,
      killedMs: Math.round(killedMs),
      managedAfterMs: Math.round(managedMs),
      drainedMs: Math.round(drainedMs),
      atHomeMs: Math.round(atHomeMs),
    },
  };
}

const program: Program<typeof specs> = {
  name: 'drain',
  summary: 'a node is drained under load, and the manager is killed in the middle of it',
  specs,
  clusterOf: ({ nodes, shards }) => ({ nodes, shards }),
  measure,
};
main(program);
