/**
 * `npm run chaos`: a real cluster, clients beside every node, faults drawn from a seed, and a verdict on what the clients
 * saw. Everything it starts it stops.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  isRingraftError,
  messageOf,
  packageRoot,
  pause,
  RingraftError,
  seededRandom,
  systemClock,
  systemRandom,
} from '../base/index.js';
import { colorsFor, exitCodes } from '../cli/index.js';
import type { RingraftClient } from '../client/index.js';
import { type FaultKind, type FaultSpec, healAll, type Injection } from '../faults/index.js';
import { writeBallast } from './ballast.js';
import { ChaosCluster, chaosBucket } from './cluster.js';
import { type FaultWatch, Nemesis, type NemesisOptions } from './nemesis.js';
import { type ChaosFlags, chaosUsage, parseChaosFlags } from './options.js';
import { type ChaosResult, summaryOf } from './report.js';
import { ChaosRun, defaultRates } from './run.js';
import { sidesOf } from './sides.js';

const clientTimeoutMs = 10_000;
const recoveryTimeoutMs = 30_000;
const statusTimeoutMs = 1000;
/** Of operations: what a fault must have met, or it proved nothing. */
const leastOk = 20;
/** What a fault takes beside the time it is held: to be seen, to be healed, to recover from. */
const aroundMs = 2500;

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** Every kind gets its turn in the time there is. */
function timesOf({ seconds, kinds }: ChaosFlags): NemesisOptions {
  const turnMs = (1000 * seconds) / kinds.length;
  const most = Math.round(Math.min(10_000, Math.max(1500, turnMs - aroundMs)));
  return { kinds, holdMs: [Math.round(most / 2), most], restMs: [200, Math.min(2000, Math.max(300, most / 4))] };
}

type Verdict = {
  readonly result: ChaosResult;
  readonly problems: readonly string[];
  /** Kinds of faults that this machine cannot do. */
  readonly skipped: readonly FaultKind[];
};

/** One run from the first process to the verdict. */
class Session {
  private readonly problems: string[] = [];
  private cluster: ChaosCluster | undefined;
  private readonly ended = new Set<string>();
  /** Kinds that this machine cannot do. */
  private readonly skipped = new Set<FaultKind>();
  private readonly startedMs = systemClock.nowMs();

  constructor(
    private readonly flags: ChaosFlags,
    private readonly directory: string,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<Verdict> {
    const { seed, nodes, broken } = this.flags;
    this.say(`seed ${seed}; ${nodes} nodes, each with a nats-server; ${this.directory}`);
    if (broken !== undefined) breakBuild(broken);
    const cluster = await ChaosCluster.start({ ...this.flags, directory: this.directory });
    this.cluster = cluster;
    try {
      const result = await this.work(cluster);
      return { result, problems: this.problems, skipped: [...this.skipped] };
    } finally {
      await cluster.stop();
    }
  }

  /** Nothing is read back any more. */
  async end(): Promise<void> {
    await this.cluster?.stop();
  }

  private async work(cluster: ChaosCluster): Promise<ChaosResult> {
    const { seed, workloads, probeRate } = this.flags;
    const random = seededRandom(seed);
    const run = new ChaosRun({
      clock: systemClock,
      random,
      seed,
      directory: this.directory,
      hosts: cluster.ground.nodes,
      connect: (host) => cluster.connect(host, clientTimeoutMs),
      bucket: chaosBucket,
      workloads,
      rates: { probe: { ...defaultRates.probe, writesPerSecond: probeRate } },
      leastOk: () => leastOk,
      onViolation: ({ workload, what }) => this.say(`VIOLATION ${workload}: ${what}`),
    });
    await run.start();
    const unserved = await run.untilServed(recoveryTimeoutMs);
    if (unserved !== undefined) throw new RingraftError('UNREACHABLE', `the cluster does not serve: ${unserved}`);
    this.say('clients work');
    await this.harm(cluster, run, seededRandom(random.nextU32()));
    this.say('faults are over; clients stop');
    await healAll(cluster.ground);
    await run.stop();
    this.reportEnded(cluster);
    this.say('everything is read back');
    return run.finish();
  }

  private async harm(cluster: ChaosCluster, run: ChaosRun, random: ReturnType<typeof seededRandom>): Promise<void> {
    const { signal } = this;
    const ballast = await cluster.connect(undefined, clientTimeoutMs);
    const nemesis = new Nemesis(
      {
        ground: cluster.ground,
        random,
        signal,
        begins: (spec, description) => this.watch(run, cluster, spec, description),
        // Buffers run full only when there is much to say.
        underLoad: async (spec, work) => {
          const done = new AbortController();
          const writing =
            spec.kind === 'slow-consumer' || spec.kind === 'disk-full'
              ? writeBallast(ballast, chaosBucket, await run.keysFollowedBy(spec.node), systemClock, done.signal)
              : undefined;
          try {
            return await work();
          } finally {
            done.abort();
            await writing;
          }
        },
        untilRecovered: async () =>
          (await untilAllAnswer(cluster.ground.nodes, ballast, signal)) ??
          (await run.untilServed(recoveryTimeoutMs, signal)),
      },
      timesOf(this.flags),
    );
    const endMs = systemClock.nowMs() + 1000 * this.flags.seconds;
    while (!signal.aborted && systemClock.nowMs() < endMs) {
      await nemesis.step();
      this.reportEnded(cluster);
    }
    await ballast.close();
  }

  /** All that was ended by a fault was started again. */
  private reportEnded(cluster: ChaosCluster): void {
    for (const endpoint of cluster.ended()) {
      if (this.ended.has(endpoint)) continue;
      this.ended.add(endpoint);
      this.problem(`${endpoint} has ended by itself; its log says why`);
    }
  }

  private watch(run: ChaosRun, cluster: ChaosCluster, spec: FaultSpec, description: string): FaultWatch {
    const sides = sidesOf(spec, cluster.ground.nodes);
    const window = run.faultBegins({ kind: spec.kind, description, sides });
    const beganMs = systemClock.nowMs();
    const seconds = (): string => ((systemClock.nowMs() - beganMs) / 1000).toFixed(1);
    return {
      seen: ({ evidence }: Injection) => {
        window.seen();
        this.say(`${description}: ${evidence} (${seconds()} s)`);
      },
      healed: () => {
        window.ends();
        const { ok, failed, unknown } = run.progress();
        this.say(`  healed after ${seconds()} s; so far ${ok} ok, ${failed} failed, ${unknown} unknown`);
      },
      skipped: (reason) => {
        window.drop();
        this.skipped.add(spec.kind);
        this.say(`SKIPPED ${description}: ${reason}`);
      },
      failed: (reason) => {
        window.ends();
        this.problem(`${description}: ${reason}`);
      },
    };
  }

  private problem(text: string): void {
    this.problems.push(text);
    this.say(`PROBLEM ${text}`);
  }

  private say(text: string): void {
    say(`${((systemClock.nowMs() - this.startedMs) / 1000).toFixed(1).padStart(7)} s  ${text}`);
  }
}

/** A node that was started again has to be there before the next fault meets it. */
async function untilAllAnswer(
  nodes: readonly string[],
  client: RingraftClient,
  signal: AbortSignal,
): Promise<string | undefined> {
  const deadlineMs = systemClock.nowMs() + recoveryTimeoutMs;
  let left = nodes;
  while (left.length > 0 && !signal.aborted) {
    if (systemClock.nowMs() > deadlineMs) return `${left.join(', ')} do not answer`;
    const asked = await Promise.allSettled(left.map((node) => client.nodeStatus(node, statusTimeoutMs)));
    left = left.filter((_, at) => asked[at]?.status === 'rejected');
    if (left.length > 0) await pause(systemClock, 50);
  }
  return undefined;
}

/** From here on every kvd that is started is broken so. */
function breakBuild(name: string): void {
  const loaded = pathToFileURL(join(packageRoot(), 'dist', 'tests', 'chaos', 'broken.js')).href;
  process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --import=${loaded}`.trim();
  process.env.KV_BROKEN = name;
  // The bundled program has the classes that are to be broken within itself.
  process.env.RINGRAFT_KVD = join(packageRoot(), 'dist', 'src', 'main.js');
}

async function main(): Promise<number> {
  const flags = parseChaosFlags(process.argv.slice(2), () => systemRandom.nextU32());
  if (flags === undefined) {
    process.stdout.write(chaosUsage);
    return exitCodes.ok;
  }
  const stopping = new AbortController();
  const directory = flags.directory ?? mkdtempSync(join(tmpdir(), 'ringraft-chaos-'));
  const session = new Session(flags, directory, stopping.signal);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // The first ends the faults, and what was seen is judged; the second ends it all.
      if (stopping.signal.aborted) void session.end().finally(() => process.exit(exitCodes.interrupted));
      stopping.abort();
    });
  }
  const verdict = await session.run();
  const { problems, skipped } = verdict;
  const passed = verdict.result.passed && problems.length === 0;
  const result = { ...verdict.result, passed };
  const neverDrawn = flags.kinds.filter((kind) => result.faults[kind] === undefined && !skipped.includes(kind));
  const closing = { ...result, problems, skipped, neverDrawn };
  process.stdout.write(
    flags.json ? `${JSON.stringify(closing)}\n` : summaryOf(result, colorsFor(process.stdout, process.env)),
  );
  for (const problem of problems) say(`PROBLEM ${problem}`);
  if (skipped.length > 0) say(`not possible on this machine: ${skipped.join(', ')}`);
  if (neverDrawn.length > 0) say(`too short for: ${neverDrawn.join(', ')}`);
  const isKept = flags.keep || flags.directory !== undefined || !passed;
  if (isKept) say(`history, logs and pictures are in ${directory}`);
  if (!flags.keep && passed) rmSync(join(directory, 'cluster'), { recursive: true, force: true });
  if (!isKept) rmSync(directory, { recursive: true, force: true });
  if (stopping.signal.aborted) return exitCodes.interrupted;
  return passed ? exitCodes.ok : exitCodes.error;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const isUsage = isRingraftError(error, 'BAD_REQUEST');
    say(
      isRingraftError(error) ? `${(error as RingraftError).code}: ${messageOf(error)}` : String((error as Error).stack),
    );
    if (isUsage) say('npm run chaos -- --help shows how it is used');
    process.exit(isUsage ? exitCodes.usage : exitCodes.error);
  },
);
