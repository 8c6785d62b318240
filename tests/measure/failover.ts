/**
 * Goal: how long a shard takes no writes when the node that leads it is killed. Method: a writer on every shard the node
 * leads, SIGKILL, and per shard the time from the kill to the first answer to a write begun after it. Then the node comes
 * back, the cluster settles, and the next node's turn comes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RingraftClient } from '../../src/client/index.js';
import { FailoverWriter, type WriteTotals } from './failover-writer.js';
import { inMs, inSeconds, rounded, type Summary, summaryOf } from './figures.js';
import { tagsOf } from './keys.js';
import { homeOf, NotYet, type Survey, termsOf } from './measured-cluster.js';
import { logDelayMs, type NodeLogs } from './node-logs.js';
import { type Measurement, main, operationTimeoutMs, type Program, type Section, type Stage } from './program.js';

/** Of the design: a killed leader is replaced within this time. */
const targetMs = 300;
const steadyMs = 500;
const afterFirstMs = 200;
const slowestShown = 3;

const specs = {
  kills: { default: 50, least: 1, describe: 'how many' },
  shards: { default: 16, least: 1, describe: 'how many' },
  'interval-ms': { default: 5, least: 1, describe: 'between the beginnings of two writes to a shard' },
};
type Options = { readonly [Name in keyof typeof specs]: number };

type ShardFailover = {
  readonly kill: number;
  readonly killed: string;
  readonly shardId: number;
  /** Kill to first answer. */
  readonly tookMs: number;
  /** Kill to the beginning of the write that was answered first. */
  readonly begunAfterMs: number;
  readonly leader: string;
  /** Kill to the first `became leader` on another node, in whole milliseconds of the nodes' logs. */
  readonly ledAfterMs: number;
  /** 1: the first candidacy won. */
  readonly terms: number;
  readonly leaderships: number;
  /** Beginnings and ends of leaderships since the kill: `n2 leads 250 ms (term 7)`. */
  readonly course: readonly string[];
};

class Failovers {
  readonly shards: ShardFailover[] = [];
  /** From the start of the killed node: until it serves, and until everything is as before. */
  readonly servedMs: number[] = [];
  readonly returnedMs: number[] = [];
  /** The slowest write of every writer and kill. */
  readonly slowestWritesMs: number[] = [];
  readonly totals: WriteTotals = { acknowledged: 0, unknown: 0, failed: 0, codes: {} };
  private readonly writers = new Map<number, FailoverWriter>();

  constructor(
    private readonly stage: Stage<Options>,
    private readonly client: RingraftClient,
    private readonly tags: readonly string[],
  ) {}

  private writerOf(at: number): FailoverWriter {
    const { violations } = this.stage;
    const writer =
      this.writers.get(at) ?? new FailoverWriter(this.client, this.tags[at] as string, this.totals, violations);
    this.writers.set(at, writer);
    return writer;
  }

  /** One kill of a node of the settled cluster; the survey after it has settled again. */
  async kill(number: number, victim: string, before: Survey): Promise<Survey> {
    const { measured, say, options } = this.stage;
    const { logs } = measured;
    const led = before.map.shards.flatMap((_, at) => (homeOf(before.map, at) === victim ? [at] : []));
    const writers = led.map((at) => this.writerOf(at));
    for (const writer of writers) writer.start(options['interval-ms'], operationTimeoutMs);
    try {
      await sleep(logDelayMs);
      const seen = logs.leaderships.length;
      await sleep(steadyMs);
      if (logs.leaderships.length > seen) {
        this.stage.violations.add(
          `before kill ${number} a shard changed its leader: ${JSON.stringify(logs.leaderships.at(-1))}`,
        );
      }
      const [killedMs, wallMs] = [performance.now(), Date.now()];
      measured.kill(victim);
      for (const writer of writers) writer.arm(killedMs);
      const untilFirst = async (): Promise<void> => {
        const waiting = writers.filter(({ first }) => first === undefined);
        if (waiting.length > 0) throw new NotYet(`${waiting.length} of ${writers.length} shards take no writes`);
      };
      await measured.until(`all shards of ${victim} take writes again`, untilFirst, 20);
      await sleep(afterFirstMs);
      const terms = termsOf(before);
      const elected = logs.leaderships.slice(seen).filter(({ node, atMs }) => node !== victim && atMs >= wallMs);
      led.forEach((at, index) => {
        const first = writers[index]?.first;
        const shardId = before.map.shards[at]?.id ?? 0;
        const mine = elected.filter((one) => one.shardId === shardId).sort((a, b) => a.atMs - b.atMs);
        if (first === undefined) return;
        this.shards.push({
          kill: number,
          killed: victim,
          shardId,
          tookMs: first.answeredMs - killedMs,
          begunAfterMs: first.begunMs - killedMs,
          leader: mine[0]?.node ?? '?',
          ledAfterMs: (mine[0]?.atMs ?? Number.NaN) - wallMs,
          terms: (mine[0]?.term ?? Number.NaN) - (terms[at] ?? 0),
          leaderships: mine.length,
          course: courseOf(logs, shardId, wallMs),
        });
      });
    } finally {
      await Promise.all(writers.map((writer) => writer.stop()));
    }
    this.slowestWritesMs.push(...writers.map(({ slowestMs }) => slowestMs));
    await measured.untilEnded(victim);
    const { startedMs, servingMs } = measured.start(victim);
    const after = await measured.untilSettled(this.client);
    const servedMs = (await servingMs) - startedMs;
    this.servedMs.push(servedMs);
    this.returnedMs.push(performance.now() - startedMs);
    const times = this.shards.filter(({ kill }) => kill === number).map(({ tookMs }) => tookMs);
    const { p50, max } = summaryOf(times);
    say(
      `kill ${number} of ${options.kills}: ${victim}, ${times.length} shards, half after ${inMs(p50)}, all after ${inMs(max)}; ` +
        `it serves ${inSeconds(servedMs)} after its start, all settled after ${inSeconds(performance.now() - startedMs)}`,
    );
    return after;
  }

  /** Reads every write back; how many there were. */
  async verify(): Promise<number> {
    let written = 0;
    for (const writer of this.writers.values()) {
      await writer.verify();
      written += writer.written;
    }
    return written;
  }
}

async function measure(stage: Stage<Options>): Promise<Measurement> {
  const { options, measured, say } = stage;
  const client = await measured.startAll(operationTimeoutMs);
  let survey = await measured.untilSettled(client);
  say('every shard has its leader at home');
  const failovers = new Failovers(stage, client, await tagsOf(survey.map));
  for (let kill = 1; kill <= options.kills; kill++) {
    const victims = measured.nodeIds.filter((id) => survey.map.shards.some((_, at) => homeOf(survey.map, at) === id));
    survey = await failovers.kill(kill, victims[(kill - 1) % victims.length] as string, survey);
  }
  say('reading every write back');
  const written = await failovers.verify();
  return result(failovers, written);
}

function courseOf(logs: NodeLogs, shardId: number, sinceMs: number): string[] {
  const begun = logs.leaderships.map((one) => ({ ...one, what: 'leads' }));
  const ended = logs.ends.map((one) => ({ ...one, what: 'gives up' }));
  return [...begun, ...ended]
    .filter((one) => one.shardId === shardId && one.atMs >= sinceMs)
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ node, what, term, atMs }) => `${node} ${what} ${atMs - sinceMs} ms (term ${term})`);
}

const rowOf = (
  name: string | number,
  { count, p50, p99, max }: Summary,
  target = inMs(targetMs),
): (string | number)[] => [name, count, inMs(p50), inMs(p99), inMs(max), target];

function result({ shards, totals, servedMs, returnedMs, slowestWritesMs }: Failovers, written: number): Measurement {
  const kills = [...new Set(shards.map(({ kill }) => kill))];
  const perKill = summaryOf(
    kills.map((kill) => Math.max(...shards.filter((one) => one.kill === kill).map(({ tookMs }) => tookMs))),
  );
  const perShard = summaryOf(shards.map(({ tookMs }) => tookMs));
  const elections = summaryOf(shards.map(({ ledAfterMs }) => ledAfterMs).filter((ms) => !Number.isNaN(ms)));
  const answers = summaryOf(
    shards.map(({ tookMs, ledAfterMs }) => tookMs - ledAfterMs).filter((ms) => !Number.isNaN(ms)),
  );
  const byTerms = [...new Set(shards.map(({ terms }) => terms))]
    .sort((a, b) => a - b)
    .map((terms) => {
      return [terms, summaryOf(shards.filter((one) => one.terms === terms).map(({ tookMs }) => tookMs))] as const;
    });
  const slowestWrites = summaryOf(slowestWritesMs);
  const slowest = [...shards].sort((a, b) => b.tookMs - a.tookMs).slice(0, slowestShown);
  const contested = shards.filter(({ terms, leaderships }) => terms > 1 || leaderships > 1).length;
  const codes = Object.entries(totals.codes).map(([code, count]) => `${code} ${count}`);
  const sections: Section[] = [
    {
      title: 'SIGKILL of a leader to the first answer to a write begun after it',
      columns: ['', 'COUNT', 'P50', 'P99', 'MAX', 'TARGET'],
      rows: [
        rowOf('per shard', perShard),
        rowOf('per kill, its slowest shard', perKill),
        rowOf('of that: until another node leads', elections),
        rowOf('of that: from the new leader to the answer', answers, ''),
        rowOf('longest a write of a shard took', slowestWrites, ''),
      ],
    },
    {
      title: 'By the terms it took: 1 where the first candidate won',
      columns: ['TERMS', 'COUNT', 'P50', 'P99', 'MAX', 'TARGET'],
      rows: byTerms.map(([terms, times]) => rowOf(terms, times)),
    },
    {
      title: 'The slowest, times since the kill',
      columns: ['KILL', 'NODE', 'SHARD', 'NEW LEADER', 'LEADS AFTER', 'WRITE BEGUN', 'ANSWERED', 'TERMS', 'COURSE'],
      rows: slowest.map((one) => [
        one.kill,
        one.killed,
        one.shardId,
        one.leader,
        inMs(one.ledAfterMs),
        inMs(one.begunAfterMs),
        inMs(one.tookMs),
        one.terms,
        one.course.join(', '),
      ]),
    },
    {
      title: 'Checked',
      columns: ['', 'COUNT'],
      rows: [
        ['writes acknowledged, all read back', totals.acknowledged],
        ['writes of unknown outcome', totals.unknown],
        ['writes refused, none took effect', totals.failed],
        ['errors by code', codes.join(' ') || 0],
        ['failovers with more than one candidacy or leader', contested],
        ['start to serving, p50', inMs(summaryOf(servedMs).p50)],
        ['start to settled, p50', inMs(summaryOf(returnedMs).p50)],
      ],
    },
  ];
  const shown = ({ count, p50, p99, max }: Summary) => ({
    count,
    p50: rounded(p50),
    p99: rounded(p99),
    max: rounded(max),
  });
  const facts = {
    targetMs,
    perShardMs: shown(perShard),
    perKillMs: shown(perKill),
    untilLedMs: shown(elections),
    ledToAnswerMs: shown(answers),
    byTerms: byTerms.map(([terms, times]) => ({ terms, ...shown(times) })),
    slowestWriteMs: shown(slowestWrites),
    slowest,
    contested,
    writes: { ...totals, begun: written },
    failovers: shards.map((one) => ({ ...one, tookMs: rounded(one.tookMs), begunAfterMs: rounded(one.begunAfterMs) })),
    startToServingMs: servedMs.map((ms) => Math.round(ms)),
    startToSettledMs: returnedMs.map((ms) => Math.round(ms)),
  };
  return { sections, facts };
}

const program: Program<typeof specs> = {
  name: 'failover',
  summary: 'kills leaders under load; how long until their shards take writes again',
  specs,
  clusterOf: ({ shards }) => ({ shards }),
  measure,
};
main(program);
