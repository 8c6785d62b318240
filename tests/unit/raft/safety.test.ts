/**
 * Goal: Raft Figure 3 holds under any schedule of faults, and the group recovers when they stop. Method: fast-check
 * chooses a seed and a sequence of events; the harness checks after every step.
 */
import test from 'ava';
import fc from 'fast-check';
import { replicaId } from '../../../src/base/index.js';
import { Cluster } from './harness.js';

type Event =
  | { kind: 'run'; ms: number }
  | { kind: 'propose'; on: number }
  | { kind: 'crash' | 'restart' | 'isolate' | 'unreachable' | 'read'; on: number }
  | { kind: 'transfer'; to: number }
  | { kind: 'configure'; without: number }
  | { kind: 'deliver'; count: number }
  | { kind: 'persist'; on: number }
  | { kind: 'heal' };

const member = fc.integer({ min: 1, max: 5 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('run' as const), ms: fc.integer({ min: 10, max: 1500 }) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('propose' as const), on: member }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('crash' as const, 'restart' as const), on: member }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('isolate' as const, 'unreachable' as const, 'read' as const),
      on: member,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('transfer' as const), to: member }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('configure' as const), without: member }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 20 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('persist' as const), on: member }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('heal' as const) }) },
);

function perform(cluster: Cluster, one: Event): void {
  const { nowMs, send } = cluster;
  switch (one.kind) {
    case 'run':
      cluster.run(one.ms);
      break;
    case 'propose': {
      const { raft, isUp } = cluster.get(one.on);
      if (isUp) raft.propose(Buffer.from(`${one.on}@${nowMs}`));
      break;
    }
    case 'crash':
      cluster.get(one.on).crash();
      break;
    case 'restart': {
      const replica = cluster.get(one.on);
      if (!replica.isUp) replica.restart(nowMs);
      break;
    }
    case 'isolate':
      cluster.isolate(one.on);
      break;
    case 'unreachable':
      cluster.get(one.on).raft.leaderUnreachable(nowMs);
      break;
    case 'read':
      cluster.get(one.on).raft.readIndex({ at: nowMs });
      break;
    case 'transfer':
      cluster.leader()?.raft.transferLeadership(replicaId(one.to), nowMs);
      break;
    case 'configure': {
      const ids = cluster.all.map(({ id }) => id);
      const voters = ids.filter((id) => id !== one.without);
      cluster.leader()?.raft.proposeConfiguration({ voters, learners: ids.filter((id) => id === one.without) });
      break;
    }
    case 'deliver':
      for (let at = 0; at < one.count && cluster.network.length > 0; at++) cluster.deliverOne();
      break;
    case 'persist': {
      const replica = cluster.get(one.on);
      if (!replica.isUp) break;
      replica.drain(send);
      replica.persistOne(send);
      break;
    }
    case 'heal':
      cluster.heal();
      break;
  }
}

test('the five safety properties hold under any schedule, and the group recovers', (t) => {
  const schedule = fc.tuple(fc.integer({ min: 1, max: 2 ** 31 }), fc.array(event, { minLength: 10, maxLength: 60 }));
  fc.assert(
    fc.property(schedule, ([seed, events]) => {
      const cluster = new Cluster(5, seed);
      cluster.faults = { drop: 0.05, double: 0.05, reorder: 0.1 };
      for (const one of events) {
        perform(cluster, one);
        cluster.check();
      }
      cluster.faults = { drop: 0, double: 0, reorder: 0 };
      cluster.heal();
      for (const replica of cluster.all) if (!replica.isUp) replica.restart(cluster.nowMs);
      cluster.elect();
      cluster.run(3000);
      const leader = cluster.leader();
      const proposed = leader?.raft.propose(Buffer.from('after'));
      if (leader === undefined || proposed === undefined || typeof proposed === 'string') return false;
      cluster.run(3000);
      cluster.checkLogMatching();
      return cluster.all.every(({ raft }) => raft.commitIndex >= proposed.index);
    }),
    { numRuns: 300, verbose: 0 },
  );
  t.pass();
});
