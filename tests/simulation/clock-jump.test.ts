/**
 * Goal: a wall clock that jumps harms nothing but times to live. Method: stories in the simulated world: the leader's clock is
 * set forward by hours and back, at the moments when that would hurt most.
 */
import test from 'ava';
import { type Scenario, scenario } from './scenario.js';
import { scenarioBucket } from './scenario-client.js';
import type { SimNode } from './sim-node.js';

const hourMs = 3_600_000;

const jump = (node: SimNode, byMs: number): void => {
  node.clockFault.wallOffsetMs += byMs;
};

const counter = async (s: Scenario): Promise<string | undefined> => {
  const found = await s.wait(s.client.raw.get(scenarioBucket, 'counter'));
  return found?.value.toString();
};

for (const hours of [1, 24]) {
  test(
    `the leader's clock jumps ${hours} h forward while a client waits for an answer: its retry takes effect once`,
    scenario({ timeoutMs: 20_000 }, async (t, s) => {
      const other = s.newClient('c2');
      await s.wait(other.connect());
      await s.wait(s.client.raw.incr(scenarioBucket, 'counter', 1));
      const stopLosing = s.traffic.lose(({ to, lane }) => to === s.client.name && lane === 'client');
      const retried = s.client.raw.incr(scenarioBucket, 'counter', 1);
      await s.run(50);
      const leader = s.leader();
      jump(leader, hours * hourMs);
      // What happens to the shard meanwhile is all that it knows of time.
      for (let n = 0; n < 5; n++) await s.wait(other.put('a', String(n)));
      stopLosing();
      await s.wait(retried);
      t.is(await counter(s), '2');
      jump(leader, -hours * hourMs);
      t.is((await s.wait(s.client.raw.incr(scenarioBucket, 'counter', 1))).value, 3);
    }),
  );
}

test(
  'leaders whose clocks differ by an hour take turns: a retry over all of them takes effect once',
  scenario({ timeoutMs: 60_000 }, async (t, s) => {
    const other = s.newClient('c2');
    await s.wait(other.connect());
    jump(s.nodes[1] as SimNode, hourMs);
    const stopLosing = s.traffic.lose(({ to, lane }) => to === s.client.name && lane === 'client');
    const retried = s.client.raw.incr(scenarioBucket, 'counter', 1);
    for (let turn = 0; turn < 6; turn++) {
      const leader = s.leader();
      const [next] = s.followers();
      for (let n = 0; n < 3; n++) await s.wait(other.put('a', `${turn} ${n}`));
      s.isolate([leader.id]);
      await s.until(() => s.leaderOf(s.shard) !== leader && s.leaderOf(s.shard) !== undefined, 10_000, 'a new leader');
      t.truthy(next);
      s.mend();
    }
    stopLosing();
    await s.wait(retried);
    t.is(await counter(s), '1');
  }),
);

/** Takes the lock for five seconds, unless somebody has it. */
const lockOn =
  (s: Scenario) =>
  (owner: string): Promise<boolean> =>
    s.wait(
      s.client.raw.put(scenarioBucket, 'lock', Buffer.from(owner), { ifAbsent: true, ttlMs: 5000 }).then(
        () => true,
        () => false,
      ),
    );

test(
  "what a lock with a time to live keeps out, it keeps out after the leader's clock jumped an hour ahead and back",
  scenario({}, async (t, s) => {
    const lock = lockOn(s);
    const leader = s.leader();
    jump(leader, hourMs);
    await s.put('a', '1');
    jump(leader, -hourMs);
    t.true(await lock('one'));
    t.false(await lock('two'), 'it is held');
    const held = await s.wait(s.client.raw.get(scenarioBucket, 'lock'));
    t.is(held?.value.toString(), 'one', 'reads and conditions agree');
    await s.run(6000);
    t.is(await s.wait(s.client.raw.get(scenarioBucket, 'lock')), undefined);
    t.true(await lock('three'));
  }),
);

test(
  'a lock is kept by the next leader, whose clock is half a minute behind, and not much longer than it was to last',
  scenario({}, async (t, s) => {
    const lock = lockOn(s);
    const fast = s.leader();
    jump(fast, 30_000);
    await s.put('a', '1');
    fast.crash(true);
    await s.until(() => s.leaderOf(s.shard) !== undefined && s.leaderOf(s.shard) !== fast, 10_000, 'the next leader');
    t.true(await lock('one'));
    t.false(await lock('two'));
    await s.run(36_000);
    t.true(await lock('three'));
  }),
);
