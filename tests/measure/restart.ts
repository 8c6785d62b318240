/**
 * Goal: how fast many keys are loaded, what memory the nodes need with them, and how soon a node is back that was stopped
 * or killed. Method: load, then one restart after another, each behind by what was written meanwhile; at the end every
 * key is read and compared.
 */
import { formatBytes, formatCount } from '../../src/cli/values.js';
import { DataSet } from './data-set.js';
import { inSeconds, rounded } from './figures.js';
import { tagsOf } from './keys.js';
import type { Survey } from './measured-cluster.js';
import { type Measurement, main, operationTimeoutMs, type Program, type Section, type Stage } from './program.js';
import { withProgress } from './progress.js';
import { type Restart, type RestartOfAll, residentOf, restartAll, restartOne } from './restart-timing.js';

const targets = { servingMs: 5_000, allLedMs: 5_000, residentBytes: 250 * 1024 * 1024 } as const;

const specs = {
  keys: { default: 1_000_000, least: 1, describe: 'how many are loaded' },
  value: { default: 256, least: 24, describe: 'bytes of a value' },
  shards: { default: 16, least: 1, describe: 'how many' },
  behind: { default: 10_000, least: 0, describe: 'keys overwritten while a node is away' },
};
type Options = { readonly [Name in keyof typeof specs]: number };

type Loaded = { readonly seconds: number; readonly after: Survey; readonly settled: Survey };
type Verified = { readonly seconds: number };

async function measure(stage: Stage<Options>): Promise<Measurement> {
  const { options, measured, violations, say } = stage;
  const client = await measured.startAll(operationTimeoutMs);
  const { map } = await measured.untilSettled(client);
  const tags = await tagsOf(map);
  const data = new DataSet(options.keys, options.value);

  const loadSeconds = await withProgress('loading', options.keys, (onDone) =>
    data.write(client, 0, options.keys, onDone),
  );
  const after = await measured.survey(client);
  const loaded: Loaded = { seconds: loadSeconds, after, settled: await measured.untilSettled(client) };

  const behind = Math.min(options.behind, options.keys);
  const meanwhile = (): Promise<void> => data.write(client, 0, behind, () => {});
  const restarts: Restart[] = [];
  for (const how of ['SIGTERM', 'SIGKILL'] as const) {
    for (const node of measured.nodeIds) {
      const restart = await restartOne(stage, client, how, node, tags, meanwhile);
      restarts.push(restart);
      say(
        `${how} ${node}: serving after ${inSeconds(restart.servingMs)}, caught up after ${inSeconds(restart.caughtUpMs)}`,
      );
    }
  }
  say('SIGKILL of all nodes at once');
  const ofAll = await restartAll(stage, client, tags);
  say(`every shard has a leader after ${inSeconds(ofAll.ledMs)}`);
  const verifySeconds = await withProgress('checking', options.keys, (onDone) =>
    data.verify(client, violations, onDone),
  );
  return result(options, loaded, restarts, ofAll, { seconds: verifySeconds });
}

function result(
  { keys, value, behind }: Options,
  loaded: Loaded,
  restarts: readonly Restart[],
  ofAll: RestartOfAll,
  verified: Verified,
): Measurement {
  const nodes = loaded.after.statuses.map(({ nodeId }) => nodeId);
  const memory = nodes.map((node) => ({
    node,
    afterLoadBytes: residentOf(loaded.after, node),
    settledBytes: residentOf(loaded.settled, node),
  }));
  const sections: Section[] = [
    {
      title: `${formatCount(keys)} keys with values of ${value} bytes`,
      columns: ['', 'FIGURE', 'TARGET'],
      rows: [
        ['loaded', `${formatCount(keys / loaded.seconds)} keys/s in ${loaded.seconds.toFixed(1)} s`, '-'],
        ...memory.map(({ node, afterLoadBytes }) => [
          `resident memory of ${node} after it`,
          formatBytes(afterLoadBytes),
          formatBytes(targets.residentBytes),
        ]),
        [
          'read back, all compared',
          `${formatCount(keys / verified.seconds)} keys/s in ${verified.seconds.toFixed(1)} s`,
          '-',
        ],
      ],
    },
    {
      title: `One node away while ${formatCount(Math.min(behind, keys))} keys are overwritten; times since its start`,
      columns: [
        'HOW',
        'NODE',
        'STOPPING',
        'SERVING',
        'TARGET',
        'FIRST ANSWER',
        'CAUGHT UP',
        'LEADS ITS OWN',
        'RESIDENT',
      ],
      rows: restarts.map((one) => [
        one.how,
        one.node,
        inSeconds(one.stopMs),
        inSeconds(one.servingMs),
        inSeconds(targets.servingMs),
        inSeconds(one.firstAnswerMs),
        inSeconds(one.caughtUpMs),
        inSeconds(one.settledMs),
        formatBytes(one.residentBytes),
      ]),
    },
    {
      title: 'All nodes at once after SIGKILL; times since their start',
      columns: ['', 'TIME', 'TARGET'],
      rows: [
        ['all are serving', inSeconds(ofAll.servingMs), inSeconds(targets.servingMs)],
        ['first linearizable read', inSeconds(ofAll.firstReadMs), '-'],
        ['every shard has a leader', inSeconds(ofAll.ledMs), inSeconds(targets.allLedMs)],
        ['every shard has answered a linearizable read', inSeconds(ofAll.allReadMs), inSeconds(targets.allLedMs)],
        ['leaders at home, replicas level', inSeconds(ofAll.settledMs), '-'],
      ],
    },
  ];
  const facts = {
    targets,
    load: { seconds: rounded(loaded.seconds, 2), keysPerSecond: Math.round(keys / loaded.seconds) },
    memory,
    restarts: restarts.map(whole),
    restartOfAll: whole(ofAll),
    verify: { seconds: rounded(verified.seconds, 2), keysPerSecond: Math.round(keys / verified.seconds) },
  };
  return { sections, facts };
}

const whole = (times: object): object =>
  Object.fromEntries(
    Object.entries(times).map(([name, value]) => [name, typeof value === 'number' ? Math.round(value) : value]),
  );

const program: Program<typeof specs> = {
  name: 'restart',
  summary: 'loads many keys; how long nodes need to come back with them',
  specs,
  clusterOf: ({ shards }) => ({ shards }),
  measure,
};
main(program);
