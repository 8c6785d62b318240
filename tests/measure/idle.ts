/**
 * Goal: what a cluster costs that nobody asks for anything, and that nothing happens in it. Method: wait until all leaders
 * are at home and no group sends anything any more, then leave the cluster alone and compare before with after.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RingraftClient } from '../../src/client/index.js';
import type { NodeStatus } from '../../src/wire/index.js';
import { rounded } from './figures.js';
import { NotYet, type Survey, termsOf } from './measured-cluster.js';
import { checkProcessorTime, processorSeconds } from './processor-time.js';
import { bucket, type Measurement, main, operationTimeoutMs, type Program, type Stage } from './program.js';

const targetPercent = 3;
const quietLimitMs = 60_000;
const quietIntervalMs = 2000;

const specs = {
  shards: { default: 512, least: 1, describe: 'how many' },
  seconds: { default: 60, least: 1, describe: 'how long the cluster is left alone' },
};
type Options = { readonly [Name in keyof typeof specs]: number };

const counterOf = ({ counters }: NodeStatus, name: string): number => counters[name] ?? 0;

const sent = ({ statuses }: Survey): number =>
  statuses.reduce((sum, status) => sum + counterOf(status, 'raftMessagesSent'), 0);

/** Whether the groups went quiet: no message of any group between two looks. */
async function untilQuiet({ measured }: Stage<Options>, client: RingraftClient): Promise<boolean> {
  const deadlineMs = performance.now() + quietLimitMs;
  let before = Number.NaN;
  const look = async (): Promise<boolean> => {
    const now = sent(await measured.survey(client));
    const isQuiet = now === before;
    before = now;
    if (!isQuiet && performance.now() < deadlineMs) throw new NotYet('groups send messages');
    return isQuiet;
  };
  return measured.until('groups are quiet', look, quietIntervalMs);
}

async function measure(stage: Stage<Options>): Promise<Measurement> {
  checkProcessorTime();
  const { options, measured, violations, say } = stage;
  const client = await measured.startAll(operationTimeoutMs);
  say('nodes answer; waiting for the leaders to be at home');
  await measured.untilSettled(client, 1000);
  const settledMs = performance.now();
  say('leaders are at home; waiting for the groups to go quiet');
  const isQuiet = await untilQuiet(stage, client);
  const quietAfterSeconds = (performance.now() - settledMs) / 1000;
  say(
    `${isQuiet ? 'quiet' : 'NOT QUIET'} after ${quietAfterSeconds.toFixed(0)} s; ${options.seconds} s of nothing begin`,
  );

  const before = await measured.survey(client);
  const changes = { leaderships: measured.logs.leaderships.length, lost: measured.logs.ends.length };
  const pids = [...measured.nodeIds.map((id) => [id, measured.pidOf(id)] as const)];
  const processes = [...pids, ['nats-server', measured.cluster.nats.pid] as const];
  const timesOf = (): number[] => processes.map(([, pid]) => processorSeconds(pid));
  const [cpuBefore, beganMs] = [timesOf(), performance.now()];
  await sleep(options.seconds * 1000);
  const [cpuAfter, endedMs] = [timesOf(), performance.now()];
  const after = await measured.survey(client);

  const seconds = (endedMs - beganMs) / 1000;
  const leaderChanges = measured.logs.leaderships.length - changes.leaderships;
  const leadersLost = measured.logs.ends.length - changes.lost;
  const termsBefore = termsOf(before);
  const termChanges = termsOf(after).filter((term, at) => term !== termsBefore[at]).length;
  if (leaderChanges + leadersLost > 0) {
    const all = measured.logs.leaderships.slice(changes.leaderships);
    violations.add(`${leaderChanges} leaderships began and ${leadersLost} ended: ${JSON.stringify(all.slice(0, 5))}`);
  }
  if (termChanges > 0) violations.add(`${termChanges} shards changed their term`);
  await checkAlive(stage, client);

  const perNode = processes.map(([name], at) => {
    const [first, last] = [before.statuses[at], after.statuses[at]];
    const rate = (counter: string): number | undefined =>
      first && last ? rounded((counterOf(last, counter) - counterOf(first, counter)) / seconds) : undefined;
    return {
      name,
      cpuPercent: rounded((100 * ((cpuAfter[at] ?? 0) - (cpuBefore[at] ?? 0))) / seconds, 2),
      envelopesPerSecond: rate('envelopesSent'),
      raftMessagesPerSecond: rate('raftMessagesSent'),
      turnsPerSecond: rate('turns'),
      residentMegabytes: last === undefined ? undefined : Math.round(last.memory.residentBytes / 1e6),
    };
  });
  const rows = perNode.map((one) => [
    one.name,
    `${one.cpuPercent.toFixed(2)} %`,
    one.name === 'nats-server' ? '-' : `${targetPercent} %`,
    one.envelopesPerSecond ?? '-',
    one.raftMessagesPerSecond ?? '-',
    one.turnsPerSecond ?? '-',
    one.residentMegabytes ?? '-',
  ]);
  return {
    sections: [
      {
        title: `${options.shards} shards left alone for ${seconds.toFixed(0)} s; CPU of one core`,
        columns: ['', 'CPU', 'TARGET', 'ENVELOPES/s', 'GROUP MESSAGES/s', 'TURNS/s', 'RESIDENT MB'],
        rows,
      },
      {
        title: 'Checked',
        columns: ['', 'COUNT', 'TARGET'],
        rows: [
          ['leaderships that began', leaderChanges, 0],
          ['leaderships that ended', leadersLost, 0],
          ['shards whose term changed', termChanges, 0],
          ['quiet before it began', isQuiet ? 'yes' : 'no', 'yes'],
        ],
      },
    ],
    facts: {
      seconds: rounded(seconds),
      targetCpuPercent: targetPercent,
      processes: perNode,
      leaderChanges,
      leadersLost,
      termChanges,
      isQuiet,
      quietAfterSeconds: rounded(quietAfterSeconds),
    },
  };
}

/** Quiet is not dead: a write and a linearizable read are answered afterwards. */
async function checkAlive({ violations }: Stage<Options>, client: RingraftClient): Promise<void> {
  await client.put(bucket, 'after', 'idle');
  const found = await client.get(bucket, 'after');
  if (found?.value.toString() !== 'idle') violations.add('a write after the quiet time is not read back');
}

const program: Program<typeof specs> = {
  name: 'idle',
  summary: 'what a cluster costs that nobody asks for anything',
  specs,
  clusterOf: ({ shards }) => ({ shards }),
  measure,
};
main(program);
