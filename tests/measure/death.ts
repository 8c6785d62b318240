/**
 * Goal: a node that dies for good is replaced by the others, nothing is lost, and nobody who uses the cluster is refused.
 * Method: five nodes filled, a steady load, SIGKILL to one of them, which never comes back; the time until every shard has
 * all its replicas again on the others, then every key is read back.
 */
import { formatBytes, formatCount } from '../../src/cli/values.js';
import { inSeconds } from './figures.js';
import { NotYet } from './measured-cluster.js';
import { loadsOf, loadsTable, setSettings, sumOf, untilPlaced, viewOf } from './placement.js';
import { type Measurement, main, type Program, type Stage } from './program.js';
import { afterwards, loadSpecs, underLoad } from './under-load.js';

const victim = 'n5';
const lookEveryMs = 100;

const specs = {
  ...loadSpecs,
  nodes: { default: 5, least: 4, describe: 'how many, one of which dies' },
  shards: { default: 32, least: 1, describe: 'how many' },
  'down-after-ms': { default: 5000, least: 1000, describe: 'a node that is gone for so long is replaced' },
};
type Options = { readonly [Name in keyof typeof specs]: number };

async function measure(stage: Stage<Options>): Promise<Measurement> {
  const { options, measured, violations, say } = stage;
  const loaded = await underLoad(stage, (client) => setSettings(client, { downAfterMs: options['down-after-ms'] }));
  const { client, load, before } = loaded;
  const dead = measured.nodeIds.at(-1) ?? victim;
  const held = before.statuses.find(({ nodeId }) => nodeId === dead)?.shards.length ?? 0;

  load.begin('node dead');
  const killedMs = performance.now();
  const since = (): number => performance.now() - killedMs;
  measured.kill(dead);
  await measured.untilEnded(dead);
  measured.forget(dead);
  say(`${dead} is dead: it held ${held} replicas`);
  const isDown = async (): Promise<number> => {
    const { nodes } = await viewOf(client);
    if (nodes.find(({ id }) => id === dead)?.condition === 'down') return since();
    throw new NotYet(`${dead} is not given up`);
  };
  const downMs = await measured.until(`${dead} is given up`, isDown, lookEveryMs);
  say(`given up after ${inSeconds(downMs)}; ${load.takeLatest()}`);
  load.begin('replicas rebuilt');
  await untilPlaced(
    measured,
    client,
    ({ nodes }) => nodes.some(({ id, replicas, leaving }) => id === dead && replicas + leaving === 0),
    (course) => say(`${course}; ${load.takeLatest()}`),
  );
  const wholeMs = since();
  say(`all replicas are elsewhere after ${inSeconds(wholeMs)}; ${load.takeLatest()}`);
  await measured.untilAtHome(client);
  const atHomeMs = since();
  await afterwards(stage, loaded);
  const after = await measured.untilSettled(client);
  const loads = loadsOf(after, violations);
  // The dead one sent nothing since the first look, as far as anybody knows.
  const others = before.statuses.filter(({ nodeId }) => nodeId !== dead);
  const bytes = sumOf(after, 'snapshotBytesSent') - sumOf({ ...before, statuses: others }, 'snapshotBytesSent');
  return {
    sections: [
      load.table,
      loadsTable(loads),
      {
        title: `SIGKILL of ${dead} for good, ${formatCount(options.keys)} keys; times since then`,
        columns: ['', 'FIGURE'],
        rows: [
          ['replicas it held', held],
          [`given up by the manager (downAfterMs ${options['down-after-ms']})`, inSeconds(downMs)],
          ['every shard has all its replicas again', inSeconds(wholeMs)],
          ['of that since it was given up', inSeconds(wholeMs - downMs)],
          ['leaders spread', inSeconds(atHomeMs)],
          ['bytes of snapshots sent', formatBytes(bytes)],
          ['operations failed', load.failed],
          ['keys read back', formatCount(options.keys)],
        ],
      },
    ],
    facts: {
      phases: load.facts,
      loads,
      held,
      downMs: Math.round(downMs),
      wholeMs: Math.round(wholeMs),
      atHomeMs: Math.round(atHomeMs),
      snapshotBytes: bytes,
    },
  };
}

const program: Program<typeof specs> = {
  name: 'death',
  summary: 'a node of five dies for good under load: when everything is whole again',
  specs,
  clusterOf: ({ nodes, shards }) => ({ nodes, shards }),
  measure,
};
main(program);
