/**
 * Goal: every partition shape is the shape it is called. Method: fast-check over host lists; what a host sees is worked
 * out from the effects alone.
 */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { isRingraftError } from '../../../src/base/index.js';
import {
  bridge,
  type FaultPlan,
  flaky,
  isolate,
  majoritiesRing,
  oneWay,
  slowConsumer,
  split,
  throttle,
} from '../../../src/faults/plan.js';
import { brokerOf } from '../../../src/faults/types.js';

const hostLists = (least: number, most = 12): fc.Arbitrary<string[]> =>
  fc.integer({ min: least, max: most }).map((count) => Array.from({ length: count }, (_, at) => `n${at + 1}`));

const isCut = ({ effects }: FaultPlan, from: string, to: string): boolean =>
  effects.some((each) => each.from === brokerOf(from) && each.to === brokerOf(to) && each.effect.cut === true);

/** Whom it hears and who hears it, itself counted. */
const seenBy = (plan: FaultPlan, hosts: readonly string[], host: string): readonly string[] =>
  hosts.filter((other) => other === host || (!isCut(plan, host, other) && !isCut(plan, other, host)));

const pairsOf = (hosts: readonly string[]): readonly (readonly [string, string])[] =>
  hosts.flatMap((a) => hosts.filter((b) => b !== a).map((b) => [a, b] as const));

const checkSymmetric = (t: ExecutionContext, plan: FaultPlan, hosts: readonly string[]): void => {
  for (const [a, b] of pairsOf(hosts)) t.is(isCut(plan, a, b), isCut(plan, b, a), `${a} ${b}`);
};

test('a split cuts exactly the pairs of different groups, both ways and once', (t) => {
  const groupings = hostLists(2).chain((hosts) =>
    fc.tuple(
      fc.constant(hosts),
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: hosts.length, maxLength: hosts.length }),
    ),
  );
  fc.assert(
    fc.property(groupings, ([hosts, groupOf]) => {
      const groups = [0, 1, 2, 3].map((group) => hosts.filter((_, at) => groupOf[at] === group));
      fc.pre(groups.filter(({ length }) => length > 0).length >= 2);
      const plan = split(groups);
      checkSymmetric(t, plan, hosts);
      for (const [a, b] of pairsOf(hosts)) {
        t.is(isCut(plan, a, b), groupOf[hosts.indexOf(a)] !== groupOf[hosts.indexOf(b)]);
      }
      t.is(plan.effects.length, pairsOf(hosts).filter(([a, b]) => isCut(plan, a, b)).length);
    }),
  );
});

test('an isolated host sees nobody, the others see each other', (t) => {
  fc.assert(
    fc.property(hostLists(2), fc.nat(), (hosts, pick) => {
      const alone = hosts[pick % hosts.length] as string;
      const plan = isolate(hosts, alone);
      checkSymmetric(t, plan, hosts);
      for (const host of hosts) {
        t.deepEqual(seenBy(plan, hosts, host), host === alone ? [alone] : hosts.filter((each) => each !== alone));
      }
    }),
  );
});

test('the bridge sees all, the halves see themselves and it and differ by one host at most', (t) => {
  fc.assert(
    fc.property(hostLists(3), fc.nat(), (hosts, pick) => {
      const middle = hosts[pick % hosts.length] as string;
      const plan = bridge(hosts, middle);
      checkSymmetric(t, plan, hosts);
      t.deepEqual(seenBy(plan, hosts, middle), hosts);
      const others = hosts.filter((host) => host !== middle);
      const left = seenBy(plan, hosts, others[0] as string).filter((host) => host !== middle);
      const right = others.filter((host) => !left.includes(host));
      t.true(right.length > 0 && Math.abs(left.length - right.length) <= 1);
      for (const host of others) {
        const half = left.includes(host) ? left : right;
        t.deepEqual(
          seenBy(plan, hosts, host),
          hosts.filter((each) => each === middle || half.includes(each)),
        );
      }
    }),
  );
});

test('in a ring of majorities every host sees a majority, and no two see the same', (t) => {
  fc.assert(
    fc.property(hostLists(3, 40), (hosts) => {
      const plan = majoritiesRing(hosts);
      checkSymmetric(t, plan, hosts);
      const views = hosts.map((host) => seenBy(plan, hosts, host));
      for (const view of views) t.true(view.length > hosts.length / 2);
      t.is(new Set(views.map((view) => view.join())).size, hosts.length);
    }),
  );
});

test('of five hosts each sees its two neighbours', (t) => {
  const hosts = ['n1', 'n2', 'n3', 'n4', 'n5'];
  const plan = majoritiesRing(hosts);
  t.deepEqual(seenBy(plan, hosts, 'n1'), ['n1', 'n2', 'n5']);
  t.deepEqual(seenBy(plan, hosts, 'n3'), ['n2', 'n3', 'n4']);
});

test('single links: one way, flaky, throttled, a node that does not read', (t) => {
  t.deepEqual(oneWay('a', 'b'), {
    description: 'a -> b cut',
    effects: [{ from: 'nats-a', to: 'nats-b', effect: { cut: true } }],
  });
  const effect = { lossShare: 0.05, delayMs: 20, jitterMs: 5 };
  t.deepEqual(flaky('a', 'b', effect), {
    description: 'a - b loses 5 %, 20 ms late, give or take 5 ms',
    effects: [
      { from: 'nats-a', to: 'nats-b', effect },
      { from: 'nats-b', to: 'nats-a', effect },
    ],
  });
  t.deepEqual(
    throttle('a', 'b', 1000).effects.map(({ effect }) => effect),
    [{ bytesPerSecond: 1000 }, { bytesPerSecond: 1000 }],
  );
  t.deepEqual(slowConsumer('a').effects, [{ from: 'nats-a', to: 'a', effect: { cut: true } }]);
});

test('shapes that hosts cannot take are refused', (t) => {
  const refused = [
    () => split([['a', 'b']]),
    () => split([['a'], ['b', 'a']]),
    () => split([['a'], []]),
    () => isolate(['a', 'b'], 'c'),
    () => bridge(['a', 'b'], 'a'),
    () => majoritiesRing(['a', 'b']),
    () => oneWay('a', 'a'),
  ];
  for (const make of refused) t.true(isRingraftError(t.throws(make), 'BAD_REQUEST'), String(make));
});
