/**
 * Goal: a move ends, where it should or where it began, whoever dies in the middle of it. Method: stories in the simulated
 * world (`cluster-scenario.ts`); nodes die at each phase of a move.
 */
import test from 'ava';
import { isRingraftError, type NodeId, type ShardId } from '../../src/base/index.js';
import { homesOf } from '../../src/meta/planning.js';
import { isJoint } from '../../src/raft/index.js';
import type { MovePhase } from '../../src/wire/index.js';
import { type ClusterScenario, clusterScenario } from './cluster-scenario.js';
import type { SimNode } from './sim-node.js';

type Move = { readonly shardId: ShardId; readonly from: NodeId; readonly to: NodeId };

const phases: readonly MovePhase[] = ['waiting', 'copying', 'swapping', 'cleaning'];

/** Of a shard that the manager's node does not lead, from one of its followers to the node that has none. */
function moveOf(s: ClusterScenario): Move {
  for (const shard of s.map.shards) {
    const homes = homesOf(shard);
    const to = s.map.nodes.find(({ id }) => !homes.includes(id))?.id;
    const from = homes.find((id) => id !== s.cluster.leaderOf(shard.id)?.id && id !== s.cluster.manager.id);
    if (to !== undefined && from !== undefined) return { shardId: shard.id, from, to };
  }
  throw new Error('no move is possible');
}

/** Where the shard's leader is with it. */
function phaseOf(s: ClusterScenario, { shardId, to }: Move): MovePhase | undefined {
  const leader = s.cluster.leaderOf(shardId);
  const group = [...(leader?.host?.replicas() ?? [])].find((one) => one.shardId === shardId);
  if (group === undefined || s.cluster.shardOf(shardId).leaving.length === 0) return undefined;
  const { configuration } = group.raft;
  if (isJoint(configuration)) return 'swapping';
  const [learner] = configuration.learners;
  if (learner !== undefined && group.nodes.get(learner) === to) return 'copying';
  return group.voterOn(to) === 0 ? 'waiting' : 'cleaning';
}

async function begin(s: ClusterScenario): Promise<Move> {
  await s.begin();
  await s.fill(20, 400);
  s.cluster.wasShardMoved = true;
  return moveOf(s);
}

async function reach(s: ClusterScenario, move: Move, phase: MovePhase): Promise<void> {
  s.order({ op: 'move', shard: move.shardId, from: move.from, to: move.to });
  await s.until(() => phaseOf(s, move) === phase, 10_000, `the move is ${phase}`);
  s.trace('test', `the move is ${phase}`);
}

const victims: Readonly<Record<string, (s: ClusterScenario, move: Move) => SimNode | undefined>> = {
  'the manager': (s) => s.cluster.leaderOf(0 as ShardId),
  "the shard's leader": (s, { shardId }) => s.cluster.leaderOf(shardId),
  'the source': (s, { from }) => s.node(from),
  'the target': (s, { to }) => s.node(to),
};

for (const phase of phases) {
  for (const [name, victimOf] of Object.entries(victims)) {
    for (const power of [false, true]) {
      const how = power ? 'loses power' : 'is killed';
      test(
        `a move that is ${phase} when ${name} ${how} ends all the same, and takes nothing with it`,
        clusterScenario({ founders: 4, shards: 2, seeds: [1] }, async (t, s) => {
          const move = await begin(s);
          await reach(s, move, phase);
          const victim = victimOf(s, move);
          victim?.crash(power);
          await s.run(700);
          victim?.start();
          await s.rest('the move is over');
          t.deepEqual(homesOf(s.cluster.shardOf(move.shardId)).includes(move.to), true);
          await s.expectFilled(t, 20, 400);
        }),
      );
    }
  }

  test(
    `a move that is ${phase} is stopped by order, or goes on: never both`,
    clusterScenario({ founders: 4, shards: 2, seeds: [1, 2, 3] }, async (t, s) => {
      const move = await begin(s);
      await reach(s, move, phase);
      const stopped = await s.ask({ op: 'cancelMove', shard: move.shardId }).then(
        () => true,
        (error: unknown) => {
          if (!isRingraftError(error, 'CONFLICT')) throw error;
          return false;
        },
      );
      await s.rest('nothing moves');
      const wasStopped = s.changesOf('moveCancelled').length > 0;
      t.false(wasStopped && !stopped);
      t.is(homesOf(s.cluster.shardOf(move.shardId)).includes(move.to), !wasStopped);
      await s.expectFilled(t, 20, 400);
    }),
  );
}

test(
  'a target that dies for good while its move is waiting is replaced by another node, and the move ends',
  clusterScenario({ founders: 5, shards: 4, management: { maxMoves: 1, downAfterMs: 2000 } }, async (t, s) => {
    const move = await begin(s);
    s.cluster.kill(s.node(move.to), false);
    await s.ask({ op: 'move', shard: move.shardId, from: move.from, to: move.to });
    await s.rest('the move ends elsewhere', 60_000, () => s.changesOf('moveDone').length > 0);
    t.false(homesOf(s.cluster.shardOf(move.shardId)).includes(move.to));
    await s.expectFilled(t, 20, 400);
  }),
);

test(
  'of many moves at most maxMoves are on their way at a time',
  clusterScenario({ spares: 2, shards: 12, management: { maxMoves: 2 }, seeds: [1] }, async (t, s) => {
    await s.begin();
    for (const node of s.cluster.spares) node.start();
    await s.rest('2 more nodes have their share', 60_000, () => s.map.nodes.length === 5);
    t.is(s.cluster.truth.mostMoves, 2);
    t.true(s.changesOf('moveDone').length >= 5);
  }),
);
