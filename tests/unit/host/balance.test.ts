import test from 'ava';
import { type ReplicaId, replicaId } from '../../../src/base/index.js';
import { balanceLeaders } from '../../../src/host/balance.js';
import type { Group } from '../../../src/host/group.js';
import { HandOverTries } from '../../../src/host/hand-over-tries.js';

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A leader whose preferred replica answers heartbeats; what it was asked, and when. */
class Leader {
  readonly asked: number[] = [];
  nowMs = 0;
  readonly group = {
    shardId: 1,
    replicaId: replicaId(1),
    preferredLeader: replicaId(2),
    preferredNode: 'n2',
    handOverTries: new HandOverTries(),
    raft: {
      isLeader: true,
      lastIndex: 100,
      currentTerm: 7,
      progressOf: () => ({ state: 'replicate', matchIndex: 90, isActive: true }),
      isResponsive: () => true,
      transferLeadership: (_to: ReplicaId, nowMs: number) => {
        this.asked.push(nowMs);
        return 'started';
      },
    },
  };

  /** Looks ten times a second, as a node does. */
  run(untilMs: number): void {
    for (; this.nowMs < untilMs; this.nowMs += 100) {
      balanceLeaders([this.group as unknown as Group], this.nowMs, silent as never);
    }
  }
}

test('a preferred replica that does not take over, its disk being full, is asked less and less often', (t) => {
  const leader = new Leader();
  leader.run(400_000);
  t.deepEqual(leader.asked.slice(0, 5), [0, 5000, 15_000, 35_000, 75_000]);
  t.is(leader.asked.length, 4 + Math.ceil((400_000 - 75_000) / 60_000));
});

test('in another term the preferred replica is asked at once', (t) => {
  const leader = new Leader();
  leader.run(20_000);
  t.deepEqual(leader.asked, [0, 5000, 15_000]);
  leader.group.raft.currentTerm = 9;
  leader.run(20_100);
  t.is(leader.asked.at(-1), 20_000);
});
