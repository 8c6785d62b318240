/**
 * Interleaved repeats: each system in turn is started, loaded, asked everything and stopped; then all of them again, in
 * another order. So what changes on the machine meanwhile, changes for all of them.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, pause, RingraftError, systemClock } from '../base/index.js';
import { Loaders, type Measured, type Setting } from './loaders.js';
import { writeBack } from './machine.js';
import type { Peer, Target } from './peer.js';
import type { ResultBook } from './results.js';
import { isRunning, residentMegabytes } from './server-processes.js';
import { bestSetting } from './setting.js';
import { isLoading, type Workload } from './workload.js';

export type SessionOptions = {
  readonly peers: readonly Peer[];
  readonly workloads: readonly Workload[];
  readonly repeats: number;
  readonly seconds: number;
  readonly warmupSeconds: number;
  /** Once for each cluster, before its first measurement: what compiles its code as it runs has done so then. */
  readonly settleSeconds: number;
  readonly trialSeconds: number;
  readonly mostProcesses: number;
  /** Where a workload does not say how many. */
  readonly shards: number;
  readonly directory: string;
  readonly keep: boolean;
  readonly say: (text: string) => void;
};

type Stage = { readonly shards: number; readonly workloads: readonly Workload[] };

/** Workloads that can share a cluster, in their order. */
export function stagesOf(workloads: readonly Workload[], usualShards: number): readonly Stage[] {
  const all = workloads.map((workload) => workload.shards ?? usualShards);
  return [...new Set(all)].map((shards) => ({
    shards,
    workloads: workloads.filter((_, at) => all[at] === shards),
  }));
}

/** Each begins once before any begins twice. */
export const rotated = <T>(values: readonly T[], by: number): readonly T[] => {
  const from = values.length === 0 ? 0 : by % values.length;
  return [...values.slice(from), ...values.slice(0, from)];
};

export class Session {
  private current: { readonly peer: Peer; loaders: Loaders | undefined } | undefined;
  /** Found in the first repeat, kept for the others. */
  private readonly settings = new Map<string, Setting>();
  private isStopped = false;

  constructor(
    private readonly options: SessionOptions,
    private readonly book: ResultBook,
  ) {}

  async run(): Promise<void> {
    const { repeats, peers, workloads, shards } = this.options;
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const stage of stagesOf(workloads, shards)) {
        for (const peer of rotated(peers, repeat)) await this.runPeer(peer, stage, repeat);
      }
    }
  }

  /** Ends what runs now, and nothing else begins. `run` may come to its end later. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.endCurrent();
  }

  private async endCurrent(): Promise<void> {
    const { current } = this;
    this.current = undefined;
    current?.loaders?.end();
    await current?.peer.stop();
  }

  /** The workloads that this system has at all. */
  private possible(peer: Peer, { workloads }: Stage): readonly Workload[] {
    return workloads.filter((workload) => {
      const isOnlyOurs = workload.shards !== undefined && peer.name !== 'ringraft';
      const why = isOnlyOurs ? 'has no shards' : peer.lacks(workload);
      if (why !== undefined && !isOnlyOurs) this.book.note(workload.name, `${peer.title} ${why}`);
      return why === undefined;
    });
  }

  private async runPeer(peer: Peer, stage: Stage, repeat: number): Promise<void> {
    const { say, repeats, directory: parent, keep } = this.options;
    const workloads = this.possible(peer, stage);
    if (workloads.length === 0 || this.isStopped) return;
    writeBack();
    const directory = join(parent, `${peer.name}-${stage.shards}-${repeat + 1}`);
    mkdirSync(directory, { recursive: true });
    this.current = { peer, loaders: undefined };
    say(`${peer.title}: starting (${repeat + 1} of ${repeats})`);
    try {
      const target = await peer.start({ directory, shards: stage.shards });
      await this.runWorkloads(peer, target, workloads, repeat);
    } catch (error) {
      if (this.isStopped) return;
      const text = `${peer.title}: ${messageOf(error)}`;
      say(text);
      for (const { name } of workloads) this.book.note(name, text.split('\n')[0] as string);
    } finally {
      await this.endCurrent();
      if (!keep) rmSync(directory, { recursive: true, force: true });
    }
  }

  private async runWorkloads(
    peer: Peer,
    target: Target,
    workloads: readonly Workload[],
    repeat: number,
  ): Promise<void> {
    const { say } = this.options;
    const loaded = new Set<string>();
    const measuring = new Measuring(this.options, peer, target, (loaders) => {
      if (this.current !== undefined) this.current.loaders = loaders;
    });
    for (const workload of workloads) {
      try {
        const measured = await measuring.measure(workload, repeat, loaded, this.settings);
        if (measured.perSecond === 0) throw new RingraftError('TIMEOUT', `answered nothing${failuresIn(measured)}`);
        const servers = peer.servers().map((server) => [server.name, Math.round(residentMegabytes(server))] as const);
        const residentMb = Object.fromEntries(servers);
        this.book.add(workload.name, peer.name, { ...measured, residentMb }, peer.remark(workload));
        say(`${peer.title}: ${workload.name} ${shown(measured)}`);
      } catch (error) {
        if (this.isStopped) return;
        say(`${peer.title}: ${workload.name}: ${messageOf(error)}`);
        this.book.note(workload.name, `${peer.title}: ${messageOf(error).split('\n')[0]}`);
        await measuring.reset();
      }
      const dead = peer.servers().find((server) => !isRunning(server));
      if (this.isStopped) return;
      if (dead !== undefined) throw new Error(`${dead.name} has ended by itself`);
    }
  }
}

const failuresIn = ({ errors }: Measured): string =>
  Object.entries(errors)
    .map(([code, count]) => `, ${count} times ${code}`)
    .join('');

function shown(measured: Measured): string {
  const { perSecond, p50Ms, p99Ms, clientBusy, setting, missed } = measured;
  const unseen = missed > 0 ? `, ${missed} reads found nothing` : '';
  const how = `${setting.route}, ${setting.processes} client ${setting.processes === 1 ? 'process' : 'processes'}`;
  const busy = `${Math.round(100 * clientBusy)} % busy`;
  const rate = Math.round(perSecond).toLocaleString('en-US');
  return `${rate}/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms (${how} ${busy}${failuresIn(measured)}${unseen})`;
}

/** In flight while a cluster settles, at least. */
const settlingInFlight = 64;

/** Workloads against one cluster that runs. */
class Measuring {
  private loaders: Loaders | undefined;
  private hasSettled = false;

  constructor(
    private readonly options: SessionOptions,
    private readonly peer: Peer,
    private readonly target: Target,
    private readonly onLoaders: (loaders: Loaders) => void,
  ) {}

  /** After something went wrong: what is asked next is asked by others. */
  async reset(): Promise<void> {
    this.loaders?.end();
    this.loaders = undefined;
    await pause(systemClock, 1000);
  }

  private async connected(): Promise<Loaders> {
    if (this.loaders !== undefined) return this.loaders;
    this.loaders = await Loaders.connect(this.target, () => this.peer.servers());
    this.onLoaders(this.loaders);
    return this.loaders;
  }

  async measure(
    workload: Workload,
    repeat: number,
    loaded: Set<string>,
    settings: Map<string, Setting>,
  ): Promise<Measured> {
    const { warmupSeconds, seconds, trialSeconds, mostProcesses, say } = this.options;
    const loaders = await this.connected();
    const { dataset, inFlight } = workload;
    const route = loaders.routes[0] as string;
    if (isLoading(workload) || !loaded.has(dataset.prefix)) {
      let keys = 0;
      const measured = await loaders.load(dataset, { route, processes: 1 }, (more) => {
        keys += more;
        if (keys % 100_000 === 0) say(`${this.peer.title}: ${keys.toLocaleString('en-US')} keys loaded`);
      });
      loaded.add(dataset.prefix);
      writeBack();
      if (isLoading(workload)) return measured;
    }
    const key = `${this.peer.name} ${workload.name}`;
    const setting =
      settings.get(key) ??
      (await bestSetting(loaders.routes, inFlight, mostProcesses, (tried) =>
        loaders.run(workload, tried, trialSeconds / 4, trialSeconds, repeat * 1000 + 1),
      ));
    settings.set(key, setting);
    await this.settle(loaders, workload, setting);
    const measured = await loaders.run(workload, setting, warmupSeconds, seconds, repeat * 1000 + 2);
    writeBack();
    return measured;
  }

  private async settle(loaders: Loaders, workload: Workload, setting: Setting): Promise<void> {
    if (this.hasSettled) return;
    this.hasSettled = true;
    const busy = { ...workload, inFlight: Math.max(workload.inFlight, settlingInFlight) };
    await loaders.run(busy, setting, 0, this.options.settleSeconds, 3);
  }
}
