/** A client, a cluster of fake nodes and a bus, all on one virtual clock. */
import { seededRandom } from '../../src/base/index.js';
import { type ConnectOptions, connectClient, type RingraftClient } from '../../src/client/index.js';
import { initHash } from '../../src/ring/index.js';
import { FakeCluster } from './fake-cluster.js';
import { LocalBus } from './local-bus.js';
import { VirtualClock } from './virtual-clock.js';

export type Fixture = {
  readonly clock: VirtualClock;
  readonly bus: LocalBus;
  readonly cluster: FakeCluster;
  readonly client: RingraftClient;
};

export type FixtureOptions = Partial<ConnectOptions> & {
  readonly nodes?: number;
  readonly shards?: number;
  readonly maxPayloadBytes?: number;
  readonly seed?: number;
};

export async function startFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const { nodes, shards, maxPayloadBytes, seed, ...clientOptions } = options;
  const clock = new VirtualClock();
  const bus = new LocalBus(clock, maxPayloadBytes === undefined ? {} : { maxPayloadBytes });

  await initHash();
  const cluster = new FakeCluster(bus, {
    ...(nodes === undefined ? {} : { nodes }),
    ...(shards === undefined ? {} : { shards }),
  });
  const random = seededRandom(seed ?? 1);
  const client = await clock.until(connectClient(bus, { cluster: 'test', clock, random, ...clientOptions }));
  return { clock, bus, cluster, client };
}

/** What the promise was rejected with; throws when it was not. */
export async function rejection(clock: VirtualClock, promise: Promise<unknown>): Promise<unknown> {
  const outcome = await clock.until(
    promise.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    ),
  );
  if ('value' in outcome) throw new Error(`resolved with ${JSON.stringify(outcome.value)}`);
  return outcome.error;
}
