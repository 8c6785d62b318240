/**
 * Draws faults from a seed and puts them in force, one after the other, while clients work. A fault counts only once it
 * was seen to be in force; one that cannot be shown is reported.
 */
import { isRingraftError, messageOf, type Random, randomBetween } from '../base/index.js';
import {
  describeFault,
  type FaultGround,
  type FaultKind,
  type FaultSpec,
  type Injection,
  injectFault,
  removeFault,
} from '../faults/index.js';
import { Deck, drawFault } from './draw.js';

/** What becomes of one fault, told to whoever keeps the record. */
export type FaultWatch = {
  /** It was seen, so much later. */
  seen(injection: Injection): void;
  healed(): void;
  /** This cluster or this machine cannot do it; nothing was done. */
  skipped(reason: string): void;
  /** It could not be shown, or not be undone. */
  failed(reason: string): void;
};

export type NemesisOptions = {
  readonly kinds: readonly FaultKind[];
  /** How long a fault stays in force once it was seen. */
  readonly holdMs: readonly [least: number, most: number];
  /** Between a fault and the next. */
  readonly restMs: readonly [least: number, most: number];
};

export type NemesisPorts = {
  readonly ground: FaultGround;
  readonly random: Random;
  readonly signal: AbortSignal;
  begins(spec: FaultSpec, description: string): FaultWatch;
  /** Does the work while there is the load that the fault needs to show. */
  underLoad<T>(spec: FaultSpec, work: () => Promise<T>): Promise<T>;
  /** Resolves when the cluster serves all shards again, or with a reason when it does not in time. */
  untilRecovered(): Promise<string | undefined>;
};

/** Some show only once what stands in buffers has run full. */
const seenTimeoutMs = 30_000;

export class Nemesis {
  private readonly deck: Deck;

  constructor(
    private readonly ports: NemesisPorts,
    private readonly options: NemesisOptions,
  ) {
    this.deck = new Deck(ports.random, options.kinds);
  }

  /** One fault from its draw to the recovery after it. */
  async step(): Promise<void> {
    const { ground, random, begins } = this.ports;
    const spec = drawFault(random, this.deck.next(), ground.nodes);
    // Drawn before anything can fail, so that a seed means the same whatever happens.
    const [holdMs, restMs] = [this.options.holdMs, this.options.restMs].map(([least, most]) =>
      randomBetween(random, least, most),
    ) as [number, number];
    const watch = begins(spec, describeFault(spec));
    await this.ports.underLoad(spec, () => this.hold(spec, holdMs, watch));
    const reason = await this.ports.untilRecovered();
    if (reason !== undefined) watch.failed(`no recovery: ${reason}`);
    await this.pause(restMs);
  }

  private async hold(spec: FaultSpec, holdMs: number, watch: FaultWatch): Promise<void> {
    const injection = await this.inject(spec, watch);
    if (injection === undefined) return;
    watch.seen(injection);
    await this.pause(holdMs);
    try {
      await removeFault(this.ports.ground, injection);
      watch.healed();
    } catch (error) {
      watch.failed(`not undone: ${messageOf(error)}`);
    }
  }

  private async inject(spec: FaultSpec, watch: FaultWatch): Promise<Injection | undefined> {
    const { ground, signal } = this.ports;
    try {
      return await injectFault(ground, spec, { seenTimeoutMs, mustShow: true, signal });
    } catch (error) {
      if (isRingraftError(error, 'BAD_REQUEST')) watch.skipped(messageOf(error));
      else if (!signal.aborted) watch.failed(messageOf(error));
      return undefined;
    }
  }

  /** Ends early when the run is to end. */
  private async pause(ms: number): Promise<void> {
    const { ground, signal } = this.ports;
    const deadlineMs = ground.nowMs() + ms;
    while (!signal.aborted && ground.nowMs() < deadlineMs) {
      await ground.pause(Math.min(50, Math.max(1, deadlineMs - ground.nowMs())));
    }
  }
}
