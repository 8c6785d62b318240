/**
 * Goal: nodes are restarted one after another, and nobody who uses the cluster is refused. Method: a steady load, SIGTERM
 * to one node, its start, and the next one's turn once leaders are at home again and every node says that it is well.
 */
import { formatCount } from '../../src/cli/values.js';
import { inMs, inSeconds } from './figures.js';
import { NotYet } from './measured-cluster.js';
import { viewOf } from './placement.js';
import { type Measurement, main, type Program, type Stage } from './program.js';
import { afterwards, loadSpecs, underLoad } from './under-load.js';

const lookEveryMs = 100;

const specs = {
  ...loadSpecs,
  nodes: { default: 3, least: 3, describe: 'how many, each of which is restarted' },
  shards: { default: 16, least: 1, describe: 'how many' },
  rounds: { default: 1, least: 1, describe: 'how often each is restarted' },
};
type Options = { readonly [Name in keyof typeof specs]: number };

type Turn = { readonly node: string; readonly stopMs: number; readonly servingMs: number; readonly wellMs: number };

async function measure(stage: Stage<Options>): Promise<Measurement> {
  const { options, measured, say } = stage;
  const loaded = await underLoad(stage);
  const { client, load } = loaded;
  const turns: Turn[] = [];
  const allAlive = async (): Promise<void> => {
    const { nodes } = await viewOf(client);
    const missing = nodes.filter(({ liveness }) => liveness !== 'alive').map(({ id }) => id);
    if (missing.length > 0) throw new NotYet(`not alive: ${missing.join(', ')}`);
  };
  for (let round = 0; round < options.rounds; round++) {
    for (const node of measured.nodeIds) {
      const phase = load.begin(`restart ${node}`);
      const stopMs = await measured.stopCleanly(node);
      const { startedMs, servingMs } = measured.start(node);
      const servedMs = (await servingMs) - startedMs;
      await measured.until('every node is alive', allAlive, lookEveryMs);
      await measured.untilAtHome(client, lookEveryMs);
      const wellMs = performance.now() - startedMs;
      turns.push({ node, stopMs, servingMs: servedMs, wellMs });
      say(`${node}: all well ${inSeconds(wellMs)} after its start; ${load.takeLatest()}, ${phase.failed} failed`);
    }
  }
  await afterwards(stage, loaded);
  const worstMs = Math.max(...load.phases.map(({ facts }) => facts.maxMs));
  return {
    sections: [
      load.table,
      {
        title: 'Restarts with SIGTERM, one node after another',
        columns: ['NODE', 'STOPPING', 'START TO SERVING', 'START TO ALL WELL'],
        rows: turns.map((turn) => [
          turn.node,
          inSeconds(turn.stopMs),
          inSeconds(turn.servingMs),
          inSeconds(turn.wellMs),
        ]),
      },
      {
        title: 'In all',
        columns: ['', 'FIGURE'],
        rows: [
          ['operations failed', load.failed],
          ['longest an operation took', inMs(worstMs)],
          ['keys read back', formatCount(options.keys)],
        ],
      },
    ],
    facts: { phases: load.facts, turns, failed: load.failed, worstMs },
  };
}

const program: Program<typeof specs> = {
  name: 'rolling',
  summary: 'every node is restarted under load, one after another',
  specs,
  clusterOf: ({ nodes, shards }) => ({ nodes, shards }),
  measure,
};
main(program);
