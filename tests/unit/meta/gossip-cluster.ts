/**
 * Failure detectors of many nodes in the simulated world: one virtual clock, one seed, links that can be cut or lose
 * messages one direction at a time. After every timer set: no node has a second one.
 */
import { type Clock, type NodeId, nodeId, silentLogger } from '../../../src/base/index.js';
import {
  FailureDetector,
  type FailureDetectorOptions,
  type Member,
  type MemberState,
} from '../../../src/meta/index.js';
import type { NodeFacts } from '../../../src/wire/index.js';
import { Life } from '../../simulation/life.js';
import { type Endpoint, Network } from '../../simulation/network.js';
import { World } from '../../simulation/world.js';

export const periodMs = 500;
export const cluster = 'test';

export const namesOf = (count: number): readonly NodeId[] =>
  Array.from({ length: count }, (_, at) => nodeId(`n${String(at + 1).padStart(3, '0')}`));

export const factsOf = (changes: Partial<NodeFacts> = {}): NodeFacts => ({
  version: '0.1.0',
  zone: 'z1',
  weight: 1,
  groups: 16,
  leaders: 5,
  diskFreeBytes: 123_456_789_012,
  diskUsedBytes: 12_345_678_901,
  mapEpoch: 1,
  startedAtMs: 1_700_000_000_000,
  ...changes,
});

/** One node saw another's state change. */
export type Sighting = {
  readonly period: number;
  readonly observer: NodeId;
  readonly nodeId: NodeId;
  readonly before: MemberState | undefined;
  readonly state: MemberState;
  readonly life: number;
};

export type GossipNode = {
  readonly id: NodeId;
  readonly life: Life;
  readonly endpoint: Endpoint;
  readonly detector: FailureDetector;
};

export class GossipCluster {
  readonly world: World;
  readonly network: Network;
  readonly nodes = new Map<NodeId, GossipNode>();
  readonly sightings: Sighting[] = [];
  readonly mapEpochs: { readonly period: number; readonly observer: NodeId; readonly epoch: number }[] = [];
  largestMessageBytes = 0;
  private readonly lives = new Map<NodeId, number>();
  private readonly loss = new Map<string, number>();

  constructor(
    readonly seed: number,
    readonly names: readonly NodeId[],
    private readonly options: Partial<FailureDetectorOptions> = {},
  ) {
    this.world = new World(seed);
    this.network = new Network(this.world);
    this.network.watch = ({ from, to, message }) => {
      this.largestMessageBytes = Math.max(this.largestMessageBytes, message.payload.length);
      return from === to || !this.world.chance(this.loss.get(`${from}>${to}`) ?? 0);
    };
  }

  /** All of them, each told the names of all. */
  static async started(
    seed: number,
    count: number,
    options: Partial<FailureDetectorOptions> = {},
  ): Promise<GossipCluster> {
    const made = new GossipCluster(seed, namesOf(count), options);
    for (const name of made.names) made.start(name);
    await made.periods(6);
    return made;
  }

  get period(): number {
    return this.world.nowMs / periodMs;
  }

  at(id: NodeId): GossipNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`${id} does not run`);
    return node;
  }

  start(id: NodeId, seeds: readonly NodeId[] = this.names): GossipNode {
    const number = (this.lives.get(id) ?? 0) + 1;
    this.lives.set(id, number);
    const life = new Life(id, this.world, { rate: 1, wallOffsetMs: 0 });
    const endpoint = this.network.connect(id, life);
    const parts = { bus: endpoint, clock: oneTimer(life.clock), random: this.world.fork(), logger: silentLogger };
    const detector = new FailureDetector(parts, { cluster, nodeId: id, life: number, periodMs, ...this.options });
    const node = { id, life, endpoint, detector };
    this.nodes.set(id, node);
    detector.onChange((member, before) => this.saw(id, member, before));
    detector.onMapEpoch((epoch) => this.mapEpochs.push({ period: this.period, observer: id, epoch }));
    life.run(() => {
      detector.setFacts(factsOf());
      detector.start(seeds);
    });
    return node;
  }

  private saw(observer: NodeId, { nodeId, state, life }: Member, before: MemberState | undefined): void {
    this.sightings.push({ period: this.period, observer, nodeId, before, state, life });
    this.world.note(Math.round(this.world.nowMs * 1000) + state.length);
  }

  /** The process is gone: NATS says so to whoever asks. */
  crash(id: NodeId): void {
    const { life, endpoint } = this.at(id);
    life.end();
    void endpoint.close();
    this.nodes.delete(id);
  }

  /** What reaches `id`, or comes of it, is lost at this rate. */
  loseAround(id: NodeId, rate: number): void {
    for (const other of this.names) {
      this.loss.set(`${id}>${other}`, rate);
      this.loss.set(`${other}>${id}`, rate);
    }
  }

  /** Both ways; `noticed`: the NATS servers say that nobody listens, instead of saying nothing. */
  cutBetween(some: readonly NodeId[], others: readonly NodeId[], noticed = false): void {
    for (const one of some) {
      for (const other of others) {
        this.network.cut(one, other, noticed ? 0 : Number.POSITIVE_INFINITY);
        this.network.cut(other, one, noticed ? 0 : Number.POSITIVE_INFINITY);
      }
    }
  }

  async periods(count: number, isDone?: () => boolean): Promise<void> {
    await this.world.runUntil(this.world.nowMs + count * periodMs, isDone);
  }

  /** Periods until it holds; throws when that takes more than `most`. */
  async periodsUntil(most: number, isDone: () => boolean, what: string): Promise<number> {
    const start = this.period;
    await this.periods(most, isDone);
    if (!isDone()) throw new Error(`seed ${this.seed}: not within ${most} periods: ${what}`);
    return this.period - start;
  }

  /** Whether every running node, or each of `observers`, takes `id` to be in this state. */
  allSee(id: NodeId, state: MemberState, observers: Iterable<NodeId> = this.nodes.keys()): boolean {
    return [...observers].every((observer) => observer === id || this.at(observer).detector.stateOf(id) === state);
  }

  allSeeAll(state: MemberState): boolean {
    return this.names.every((name) => this.allSee(name, state));
  }

  deathsSince(period: number): readonly Sighting[] {
    return this.sightings.filter((sighting) => sighting.state === 'dead' && sighting.period >= period);
  }

  sum(count: (node: FailureDetector) => number): number {
    return [...this.nodes.values()].reduce((total, { detector }) => total + count(detector), 0);
  }
}

/** A clock that refuses a second timer. */
function oneTimer(clock: Clock): Clock {
  let armed = 0;
  return {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    defer: (action) => clock.defer(action),
    after: (delayMs, action) => {
      if (++armed > 1) throw new Error('a second timer');
      let isOver = false;
      const end = (): void => {
        if (!isOver) armed--;
        isOver = true;
      };
      const timer = clock.after(delayMs, () => {
        end();
        action();
      });
      return {
        cancel: () => {
          end();
          timer.cancel();
        },
      };
    },
  };
}
