/**
 * Goal: whatever happens to nodes, clients see one linearizable store, and nothing acknowledged is lost. Method: random
 * deeds to real nodes (`churn-nodes.ts`) while several clients work on the same few keys, with their history checked
 * (`churn-history.ts`), and write keys of their own that must all be there at the end.
 */
import { randomInt } from 'node:crypto';
import { seededRandom } from '../../src/base/index.js';
import { formatCount } from '../../src/cli/values.js';
import type { RingraftClient } from '../../src/client/index.js';
import { ChurnHistory } from './churn-history.js';
import { ChurnNodes } from './churn-nodes.js';
import { FailoverWriter, type WriteTotals } from './failover-writer.js';
import { inMs, inSeconds } from './figures.js';
import { loadsOf, loadsTable, setSettings, untilPlaced } from './placement.js';
import { type Measurement, main, type Program, type Stage } from './program.js';

const progressMs = 10_000;
const timeoutMs = 10_000;
const downAfterMs = 5000;

const specs = {
  minutes: { default: 30, least: 0.1, describe: 'how long', fraction: true },
  seed: { default: 0, least: 0, describe: 'of what is done to the nodes; 0: a random one' },
  nodes: { default: 4, least: 3, describe: 'how many there are at first' },
  shards: { default: 16, least: 1, describe: 'how many' },
  clients: { default: 4, least: 1, describe: 'each with a connection of its own' },
  workers: { default: 3, least: 1, describe: 'of each client, on the shared keys' },
  'interval-ms': { default: 25, least: 1, describe: 'between two writes of keys of its own, per client' },
};
type Options = { readonly [Name in keyof typeof specs]: number };

async function measure(stage: Stage<Options>): Promise<Measurement> {
  const { options, measured, violations, say } = stage;
  const seed = options.seed === 0 ? randomInt(1, 2 ** 31) : options.seed;
  say(`seed ${seed}`);
  const client = await measured.startAll(timeoutMs);
  await measured.untilSettled(client);
  await setSettings(client, { downAfterMs });

  const history = new ChurnHistory(seededRandom(seed + 1), timeoutMs, violations);
  const writes: WriteTotals = { acknowledged: 0, unknown: 0, failed: 0, codes: {} };
  const writers: FailoverWriter[] = [];
  for (let at = 0; at < options.clients; at++) {
    const own: RingraftClient = await measured.cluster.client(timeoutMs);
    history.start(own, options.workers);
    const writer = new FailoverWriter(own, `unique/${at}/`, writes, violations);
    writer.start(options['interval-ms'], timeoutMs);
    writers.push(writer);
  }
  const nodes = new ChurnNodes(measured, client, seededRandom(seed), violations, say);
  const ticker = setInterval(() => {
    const { ok, refused, failed, unknown } = history.totals;
    say(
      `${formatCount(ok + refused)} operations, ${failed} failed, ${unknown} unknown; ` +
        `${history.checked.histories} histories checked; ${formatCount(writes.acknowledged)} keys written, ` +
        `${writes.failed} failed, ${writes.unknown} unknown`,
    );
  }, progressMs);
  const beganMs = performance.now();
  try {
    await nodes.run(beganMs + options.minutes * 60_000);
    say('everybody comes back');
    await nodes.settle();
  } finally {
    clearInterval(ticker);
  }
  const settlingMs = performance.now();
  await untilPlaced(measured, client, () => true, say);
  await measured.untilAtHome(client);
  const settledMs = performance.now() - settlingMs;
  say(`all in place ${inSeconds(settledMs)} after the last one was started`);
  await history.stop();
  for (const writer of writers) await writer.stop();
  const after = await measured.untilSettled(client);
  const loads = loadsOf(after, violations);
  say('reading every key back');
  for (const writer of writers) await writer.verify();
  const { totals, checked, codes, longestMs } = history;
  const written = writers.reduce((sum, { written: count }) => sum + count, 0);
  const showCodes = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([code, count]) => `${code} ${count}`)
      .join(' ') || '-';
  return {
    sections: [
      {
        title: `${options.minutes} minutes, seed ${seed}: what was done to the nodes`,
        columns: ['', 'TIMES'],
        rows: [...Object.entries(nodes.deeds), ['orders that came too late', nodes.refused]],
      },
      {
        title: 'What clients saw',
        columns: ['', 'SHARED KEYS', 'KEYS OF THEIR OWN'],
        rows: [
          ['operations', totals.ok + totals.refused + totals.failed + totals.unknown, written],
          ['done', totals.ok, writes.acknowledged],
          ['refused by their condition', totals.refused, '-'],
          ['failed, certainly not done', totals.failed, writes.failed],
          ['unknown', totals.unknown, writes.unknown],
          ['errors by code', showCodes(codes), showCodes(writes.codes)],
          ['longest', inMs(longestMs), '-'],
        ],
      },
      {
        title: 'Checked',
        columns: ['', 'FIGURE'],
        rows: [
          ['histories', checked.histories],
          ['operations in them', checked.operations],
          ['histories that could not be decided', checked.undecided],
          ['keys read back', written],
          ['all in place after the last start', inSeconds(settledMs)],
        ],
      },
      loadsTable(loads),
    ],
    facts: {
      seed,
      deeds: nodes.deeds,
      ordersRefused: nodes.refused,
      history: { ...totals, codes, longestMs: Math.round(longestMs), checked },
      unique: { ...writes, written },
      settledMs: Math.round(settledMs),
      loads,
    },
  };
}

const program: Program<typeof specs> = {
  name: 'churn',
  summary: 'nodes join, go, die and come back at random; clients must see one linearizable store',
  specs,
  clusterOf: ({ nodes, shards }) => ({ nodes, shards }),
  measure,
};
main(program);
