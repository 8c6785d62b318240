/** Goal: a cluster is founded once. Method: inquiries over a bus on a virtual clock, among nodes that answer as a test says. */
import test from 'ava';
import { isRingraftError, type NodeId, silentLogger } from '../../../src/base/index.js';
import { type Beginning, decideBeginning, type FoundingParts } from '../../../src/meta/founding.js';
import { checkConfiguration } from '../../../src/meta/founding-map.js';
import { adminSubject, type ClusterMap, type FoundingState, mapSubject } from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { usualTimings } from '../../support/maps.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { aMap, n1, n2, n3, n4, n5 } from './fake-system.js';

const five = [n1, n2, n3, n4, n5];
const foundingOf = (nodes: readonly NodeId[]): ClusterMap => aMap(2, nodes, { epoch: 0 });

class Place {
  readonly clock = new VirtualClock();
  readonly bus = new LocalBus(this.clock);
  readonly stopping = new AbortController();

  constructor(readonly nodes: readonly NodeId[]) {}

  ask(node: NodeId, reached: FoundingParts['reached'] = 'none'): Promise<Beginning> {
    const { clock, bus, nodes, stopping } = this;
    const founding = foundingOf(nodes);
    return decideBeginning({
      ...{ bus, clock, logger: silentLogger, nodeId: node, reached, founding },
      stopping: stopping.signal,
    });
  }

  /** A node that runs, and answers so. */
  answers(node: NodeId, founding: FoundingState): void {
    this.bus.subscribe('client', adminSubject('test', node), ({ replyTo }) => {
      if (replyTo !== undefined) this.bus.publish('client', replyTo, Buffer.from(JSON.stringify({ founding })));
    });
  }

  serves(map: ClusterMap): void {
    this.bus.subscribe('client', mapSubject('test'), ({ replyTo }) => {
      if (replyTo !== undefined) this.bus.publish('client', replyTo, Buffer.from(JSON.stringify({ map, leaders: [] })));
    });
  }

  /** What came of it within so long; undefined: nothing yet. */
  async within(ms: number, asked: Promise<Beginning>): Promise<Beginning | undefined> {
    let outcome: Beginning | undefined;
    void asked.then((beginning) => {
      outcome = beginning;
    });
    await this.clock.advance(ms);
    return outcome;
  }
}

test('nodes that are all new and all there found at once', async (t) => {
  const place = new Place(five);
  const asked = five.map((node) => place.ask(node));
  const outcomes = await Promise.all(asked.map((each) => place.within(500, each)));
  for (const outcome of outcomes) t.deepEqual(outcome, { map: foundingOf(five), mayFound: true });
});

test('a single founding node founds at once, where nobody has a map', async (t) => {
  const place = new Place([n1]);
  t.true((await place.within(200, place.ask(n1)))?.mayFound);
});

test('founding nodes that are all new begin empty when others, who joined later, have the cluster', async (t) => {
  const map = aMap(2, [n4, n5, n3], { epoch: 30 });
  for (const founders of [[n1], [n1, n2, n3]]) {
    const place = new Place(founders);
    place.serves(map);
    const asked = founders.map((node) => place.ask(node));
    for (const each of asked) t.deepEqual(await place.within(300, each), { map, mayFound: false });
  }
});

test('nobody founds while one founding node keeps silent, however long: it may be the only one that knows', async (t) => {
  const place = new Place(five);
  place.answers(n2, 'new');
  place.answers(n3, 'founding');
  place.answers(n4, 'founding');
  const asked = place.ask(n1);
  t.is(await place.within(60_000, asked), undefined, 'four of five');
  place.answers(n5, 'new');
  t.true((await place.within(500, asked))?.mayFound);
});

test('one word of an established cluster, and nobody founds; its map is begun with once it comes', async (t) => {
  const place = new Place(five);
  for (const node of [n2, n3, n4]) place.answers(node, 'new');
  place.answers(n5, 'established');
  const asked = place.ask(n1);
  t.is(await place.within(60_000, asked), undefined);
  const map = aMap(2, five, { epoch: 17 });
  place.serves(map);
  t.deepEqual(await place.within(500, asked), { map, mayFound: false });
});

test('a map of a founded cluster is enough; one that a node has from its configuration is nothing', async (t) => {
  const place = new Place(five);
  place.serves(foundingOf(five));
  const asked = place.ask(n1);
  t.is(await place.within(10_000, asked), undefined);
  const map = aMap(2, five, { epoch: 3 });
  const other = new Place(five);
  other.serves(map);
  t.deepEqual(await other.within(500, other.ask(n1)), { map, mayFound: false });
});

test('answers that do not read, errors and silence count for nothing', async (t) => {
  const place = new Place([n1, n2, n3]);
  for (const [node, text] of [
    [n2, '{'],
    [n3, '{"error":{"code":"NO_LEADER"}}'],
  ] as const) {
    place.bus.subscribe('client', adminSubject('test', node), ({ replyTo }) => {
      if (replyTo !== undefined) place.bus.publish('client', replyTo, Buffer.from(text));
    });
  }
  t.is(await place.within(20_000, place.ask(n1)), undefined);
});

test('a first start that was broken off is gone on with, and asks nobody', async (t) => {
  const place = new Place(five);
  t.deepEqual(await place.within(1, place.ask(n1, 'begun')), { map: foundingOf(five), mayFound: true });
  t.deepEqual(await place.within(1, place.ask(n1, 'done')), { map: foundingOf(five), mayFound: false });
  t.deepEqual(place.bus.published, []);
});

test('while it asks a node says that it is new, and serves nothing else', async (t) => {
  const place = new Place(five);
  const asked = place.ask(n1);
  await place.within(1, asked);
  const tell = async (payload: string): Promise<unknown> => {
    const answer = await place.clock.until(place.bus.request(adminSubject('test', n1), Buffer.from(payload)));
    return JSON.parse(answer.payload.toString());
  };
  t.deepEqual(await tell('{"op":"founding"}'), { founding: 'new' });
  for (const other of ['{"op":"status"}', '{', 'null']) t.like(await tell(other), { error: { code: 'NO_LEADER' } });
});

test('a node that is told to stop stops asking', async (t) => {
  const place = new Place(five);
  const asked = place.ask(n1);
  await place.within(1000, asked.catch(() => undefined) as Promise<Beginning>);
  place.stopping.abort();
  const failure = await place.clock.until(asked.catch((error: unknown) => error));
  t.true(isRingraftError(failure, 'CLOSED'));
  t.is(place.clock.armed, 0, 'and nothing is left behind');
});

test('a configuration is compared with what the cluster was founded with, not with what has changed since', (t) => {
  const founded = aMap(8, [n1, n2, n3], { epoch: 9 });
  const refusal = (own: ClusterMap, known = founded): string => {
    try {
      checkConfiguration(own, known);
      return 'accepted';
    } catch (error) {
      return isRingraftError(error, 'CONFIG') ? error.message : String(error);
    }
  };
  t.is(refusal(aMap(8, [n1, n2, n3], { epoch: 0 })), 'accepted');
  t.is(refusal(aMap(8, [n1, n2, n4], { epoch: 0, settings: { ...founded.settings, maxMoves: 99 } })), 'accepted');
  t.regex(refusal(aMap(5, [n1, n2, n3])), /shards: founded with 8, the configuration says 5/);
  t.regex(refusal({ ...founded, replication: 5 }), /replication: founded with 3, the configuration says 5/);
  const renamed = founded.buckets.map((bucket) => ({ ...bucket, name: 'other' }));
  t.is(refusal({ ...founded, buckets: renamed }), 'accepted', 'buckets come and go');
  t.regex(
    refusal({ ...founded, buckets: renamed }, { ...founded, epoch: 0 }),
    /buckets: founded with default \(1\), .* says other \(1\)/,
    'but the founders must agree',
  );
  for (const name of Object.keys(usualTimings)) {
    t.regex(refusal({ ...founded, raft: { ...usualTimings, [name]: 7 } }), new RegExp(`raft.${name}: .* says 7`));
  }
});
