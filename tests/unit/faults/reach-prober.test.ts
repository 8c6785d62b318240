/** Goal: the matrix says who hears whom, no more. Method: one bus for each broker, joined by a table of open links. */
import test from 'ava';
import { RingraftError, seededRandom } from '../../../src/base/index.js';
import { ReachProber } from '../../../src/faults/reach-prober.js';
import type { Reach } from '../../../src/faults/types.js';
import type { Bus } from '../../../src/transport/index.js';
import { LocalBus, type Published } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const endpoints = ['nats-n1', 'nats-n2', 'nats-n3'];

/** Brokers with a route for each pair: what is published at one is published at the others, unless the link is cut. */
class Brokers {
  readonly clock = new VirtualClock();
  readonly buses = new Map(endpoints.map((endpoint) => [endpoint, new LocalBus(this.clock)]));
  readonly cut = new Set<string>();
  readonly held: (() => void)[] = [];
  isHolding = false;
  /** How often a connection is refused first. */
  refusals = 0;
  readonly prober: ReachProber;

  constructor() {
    for (const [from, bus] of this.buses) bus.filter = (message) => this.spread(from, message);
    this.prober = new ReachProber(endpoints, (endpoint) => this.connect(endpoint), this.clock, seededRandom(3));
  }

  private async connect(endpoint: string): Promise<Bus> {
    if (this.refusals-- > 0) throw new RingraftError('UNREACHABLE', 'not yet');
    return this.buses.get(endpoint) as Bus;
  }

  private readonly routed = new Set<Buffer>();

  private spread(from: string, { subject, payload }: Published): boolean {
    if (this.routed.has(payload)) return true;
    for (const [to, bus] of this.buses) {
      if (to === from) continue;
      const copy = Buffer.from(payload);
      this.routed.add(copy);
      const send = (): void => bus.publish('client', subject, copy);
      if (!this.cut.has(`${from}>${to}`)) send();
      else if (this.isHolding) this.held.push(send);
    }
    return true;
  }

  probe(timeoutMs = 100): Promise<readonly Reach[]> {
    return this.clock.until(this.prober.probe(timeoutMs));
  }
}

const unheard = (reach: readonly Reach[]): string[] =>
  reach.filter(({ reached }) => !reached).map(({ from, to }) => `${from}>${to}`);

async function joined(): Promise<Brokers> {
  const brokers = new Brokers();
  brokers.prober.start();
  await brokers.clock.advance(0);
  return brokers;
}

test('all pairs are heard, and the probe ends before its time', async (t) => {
  const brokers = await joined();
  const reach = await brokers.probe(60_000);
  t.is(reach.length, 6);
  t.deepEqual(unheard(reach), []);
  t.true(brokers.clock.nowMs() < 60_000);
  // Messages may be under way still.
  await brokers.clock.advance(10);
  t.is(brokers.clock.armed, 0);
});

test('exactly the cut directions are missing', async (t) => {
  const brokers = await joined();
  brokers.cut.add('nats-n1>nats-n2').add('nats-n3>nats-n1');
  t.deepEqual(unheard(await brokers.probe()), ['nats-n1>nats-n2', 'nats-n3>nats-n1']);
});

test('what a cut held back counts for no later probe', async (t) => {
  const brokers = await joined();
  brokers.cut.add('nats-n1>nats-n2');
  brokers.isHolding = true;
  t.deepEqual(unheard(await brokers.probe()), ['nats-n1>nats-n2']);
  brokers.isHolding = false;
  const late = brokers.prober.probe(100);
  for (const send of brokers.held) send();
  t.deepEqual(unheard(await brokers.clock.until(late)), ['nats-n1>nats-n2']);
});

test('probes at the same time each hear their own', async (t) => {
  const brokers = await joined();
  const both = Promise.all([brokers.prober.probe(100), brokers.prober.probe(200)]);
  t.deepEqual((await brokers.clock.until(both)).map(unheard), [[], []]);
});

test('brokers that start later are found; until then nobody hears them', async (t) => {
  const brokers = new Brokers();
  brokers.refusals = 3;
  brokers.prober.start();
  await brokers.clock.advance(0);
  t.is(brokers.prober.joined, 0);
  t.is(unheard(await brokers.probe(10)).length, 6);
  await brokers.clock.advance(100);
  t.is(brokers.prober.joined, 3);
  t.deepEqual(unheard(await brokers.probe()), []);
});

test('closing ends probes that wait, and every connection', async (t) => {
  const brokers = await joined();
  brokers.cut.add('nats-n1>nats-n2');
  const waiting = brokers.prober.probe(60_000);
  await brokers.clock.advance(10);
  await brokers.prober.close();
  t.deepEqual(unheard(await waiting), ['nats-n1>nats-n2']);
  t.true([...brokers.buses.values()].every(({ closed }) => closed));
  t.is(brokers.clock.armed, 0);
});
