/**
 * Goal: the nemesis draws from its seed alone, gives every kind its turn, and counts no fault that was not seen. Method: a
 * cluster of words; properties over seeds.
 */
import test from 'ava';
import fc from 'fast-check';
import { seededRandom } from '../../../src/base/index.js';
import { Deck, drawFault, type FaultWatch, Nemesis, sidesOf } from '../../../src/chaos/index.js';
import { type FaultSpec, faultKinds, nodesOf } from '../../../src/faults/index.js';
import { FakeGround } from '../../support/fault-ground.js';

const nodes = ['n1', 'n2', 'n3', 'n4', 'n5'];

test('in as many draws as there are kinds, each comes once', (t) => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const deck = new Deck(seededRandom(seed), faultKinds);
      for (let round = 0; round < 3; round++) {
        const drawn = new Set(faultKinds.map(() => deck.next()));
        if (drawn.size !== faultKinds.length) return false;
      }
      return true;
    }),
  );
  t.pass();
});

test('what is drawn names nodes there are, none of them twice, and is the same for the same seed', (t) => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(...faultKinds), (seed, kind) => {
      const spec = drawFault(seededRandom(seed), kind, nodes);
      const named = nodesOf(spec);
      const isSame = JSON.stringify(spec) === JSON.stringify(drawFault(seededRandom(seed), kind, nodes));
      return isSame && named.every((node) => nodes.includes(node)) && new Set(named).size === named.length;
    }),
  );
  t.pass();
});

function watched(ground: FakeGround, seed: number) {
  const events: string[] = [];
  const stop = new AbortController();
  const nemesis = new Nemesis(
    {
      ground,
      random: seededRandom(seed),
      signal: stop.signal,
      begins: (spec: FaultSpec): FaultWatch => {
        events.push(`begins ${spec.kind}`);
        return {
          seen: ({ id }) => events.push(`seen ${id}`),
          healed: () => events.push('healed'),
          skipped: (reason) => events.push(`skipped ${reason}`),
          failed: (reason) => events.push(`failed ${reason}`),
        };
      },
      underLoad: (_, work) => work(),
      untilRecovered: async () => undefined,
    },
    { kinds: ['split'], holdMs: [1000, 2000], restMs: [100, 200] },
  );
  return { nemesis, events, stop };
}

test('a step begins a fault, sees it, heals it, and leaves nothing in force', async (t) => {
  const ground = new FakeGround(5);
  const { nemesis, events } = watched(ground, 1);
  await nemesis.step();
  t.deepEqual(events, ['begins split', 'seen split-1', 'healed']);
  t.deepEqual([ground.links, ground.ledger.list()], [[], []]);
  t.true(ground.nowMs() >= 1100);
});

test('a fault that does not show is told as failed, never as seen', async (t) => {
  const ground = new FakeGround(5);
  ground.obeys = false;
  const { nemesis, events } = watched(ground, 1);
  await nemesis.step();
  t.is(events.length, 2);
  t.regex(events[1] as string, /^failed split .* nothing shows it/);
});

test('what this cluster cannot do is skipped: it is no failure, and no fault that was seen', async (t) => {
  const ground = Object.assign(new FakeGround(5), { control: undefined });
  const { nemesis, events } = watched(ground, 1);
  await nemesis.step();
  t.is(events.length, 2);
  t.regex(events[1] as string, /^skipped split needs a cluster with a nats-server for each node/);
});

test('told to stop, it heals at once what it holds', async (t) => {
  const ground = new FakeGround(5);
  const { nemesis, events, stop } = watched(ground, 1);
  const { pause } = ground;
  ground.pause = async (ms) => {
    if (ground.links.length > 0) stop.abort();
    await pause(ms);
  };
  await nemesis.step();
  t.deepEqual(events, ['begins split', 'seen split-1', 'healed']);
  t.true(ground.nowMs() < 1000);
  t.deepEqual(ground.links, []);
});

test('sides are those of who hears a majority and is heard by it', (t) => {
  const side = (spec: FaultSpec): string =>
    Object.entries(sidesOf(spec, nodes))
      .filter(([, which]) => which === 'minority')
      .map(([node]) => node)
      .join(' ');
  t.is(
    side({
      kind: 'split',
      groups: [
        ['n1', 'n2'],
        ['n3', 'n4', 'n5'],
      ],
    }),
    'n1 n2',
  );
  t.is(side({ kind: 'isolate', node: 'n4' }), 'n4');
  t.is(side({ kind: 'bridge', node: 'n3' }), '');
  t.is(side({ kind: 'majorities-ring' }), '');
  t.is(side({ kind: 'broker-restart', node: 'n2' }), 'n2');
  t.is(side({ kind: 'kill', node: 'n2' }), '');
  t.is(side({ kind: 'one-way', from: 'n1', to: 'n2' }), '');
});
