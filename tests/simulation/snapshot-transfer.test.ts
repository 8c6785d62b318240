/**
 * Goal: a follower that is too far behind gets the state as a snapshot, whatever the lane loses and whoever dies in the
 * middle, and heartbeats do not suffer from it. Method: stories in the simulated world (`scenario.ts`).
 */
import test from 'ava';
import { stepHeaders, stepOf } from '../../src/host/snapshot-transfer.js';
import { hasCaughtUp, untilCaughtUp } from './catching-up.js';
import type { Passage } from './network.js';
import { type Scenario, scenario } from './scenario.js';
import type { SimNode } from './sim-node.js';

/** The log is let go of at once, so that whoever was away for some writes needs a snapshot. */
const options = { limits: { retainedLogBytes: 0, trimEveryBytes: 2000 }, segmentBytes: 64 * 1024 };

const kindOf = ({ message }: Passage): string | undefined => message.headers?.['Snap-Kind'];
const sequenceOf = ({ message }: Passage): number => Number(message.headers?.['Snap-Seq']);
const chunks = 10;

/** A follower is away while a state of about ten chunks is written and the log of it is trimmed. */
async function leaveBehind(s: Scenario, nodes: readonly SimNode[]): Promise<void> {
  for (const node of nodes) node.crash(true);
  const { raft } = s.group(s.leader(), s.shard);
  const lastHeld = raft.lastIndex;
  await s.fill(chunks, 30_000);
  await s.until(() => raft.firstIndex > lastHeld + 1, 5000, 'the log is trimmed');
}

const installed = (s: Scenario): number => s.logged('installed a snapshot');

test(
  'a follower is away until the log is trimmed: it gets the state as a snapshot',
  scenario(options, async (t, s) => {
    const node = s.follower();
    await leaveBehind(s, [node]);
    node.start();
    await untilCaughtUp(s, node);
    t.is(installed(s), 1);
    t.is(s.logged('sent a snapshot'), 1);
  }),
);

/** Gives every node a map that differs in this setting. */
function setBandwidth(s: Scenario, epoch: number, snapshotBytesPerSecond: number): void {
  const map = { ...s.map, epoch, settings: { ...s.map.settings, snapshotBytesPerSecond } };
  for (const node of s.nodes) node.life?.run(() => node.host?.adoptMap(map));
}

/** Of a state of about ten chunks of 30 KB. */
const slowBytesPerSecond = 65_536;

test(
  'a snapshot takes as long as the bandwidth in the cluster map lets it',
  scenario(options, async (t, s) => {
    const node = s.follower();
    await leaveBehind(s, [node]);
    setBandwidth(s, 2, slowBytesPerSecond);
    node.start();
    const tookMs = await untilCaughtUp(s, node);
    t.is(installed(s), 1);
    t.true(tookMs > 3500 && tookMs < 7000, `${tookMs} ms`);
  }),
);

test(
  'another bandwidth holds at once, for a snapshot that is under way',
  scenario(options, async (t, s) => {
    const node = s.follower();
    await leaveBehind(s, [node]);
    setBandwidth(s, 2, slowBytesPerSecond);
    node.start();
    await s.run(1500);
    t.is(installed(s), 0);
    setBandwidth(s, 3, 1000 * slowBytesPerSecond);
    const tookMs = await untilCaughtUp(s, node);
    t.true(tookMs < 500, `${tookMs} ms`);
    // The last answer is on its way yet.
    await s.run(100);
    t.is(s.logged('sent a snapshot'), 1);
  }),
);

/** What is lost of one transfer, once each. */
const losses: Readonly<Record<string, (passage: Passage) => boolean>> = {
  'the offer': (passage) => kindOf(passage) === 'begin',
  'the first chunk': (passage) => kindOf(passage) === 'chunk' && sequenceOf(passage) === 1,
  'a chunk in the middle': (passage) => kindOf(passage) === 'chunk' && sequenceOf(passage) === 5,
  'the end': (passage) => kindOf(passage) === 'end',
  'the first answer': ({ lane, message }) => lane === 'snapshot' && message.payload.toString() === '{"ack":0}',
  'an answer in the middle': ({ lane, message }) => lane === 'snapshot' && message.payload.toString() === '{"ack":5}',
};

for (const [what, isIt] of Object.entries(losses)) {
  test(
    `${what} of a snapshot is lost once: it is sent again, and the snapshot arrives`,
    scenario(options, async (t, s) => {
      const node = s.follower();
      await leaveBehind(s, [node]);
      let lost = 0;
      s.traffic.lose((passage) => isIt(passage) && lost++ === 0);
      node.start();
      await untilCaughtUp(s, node);
      t.true(lost > 0);
      t.is(installed(s), 1);
      t.is(s.logged('a snapshot did not arrive'), 0);
    }),
  );
}

test(
  'the last answer of a snapshot is lost for good: it is installed all the same, and appends go on behind it',
  scenario(options, async (t, s) => {
    const node = s.follower();
    await leaveBehind(s, [node]);
    let last = Number.POSITIVE_INFINITY;
    s.traffic.lose((passage) => {
      if (kindOf(passage) === 'end') last = sequenceOf(passage);
      return passage.lane === 'snapshot' && passage.message.payload.toString() === `{"ack":${last}}`;
    });
    node.start();
    await untilCaughtUp(s, node);
    await s.put('a', 'after');
    await untilCaughtUp(s, node, 200);
    t.true(Number.isFinite(last));
    t.is(installed(s), 1);
  }),
);

for (const every of [3, 4, 7]) {
  test(
    `every ${every}. message of the snapshot lane is lost: the snapshot arrives`,
    scenario(options, async (t, s) => {
      const node = s.follower();
      await leaveBehind(s, [node]);
      let count = 0;
      let lost = 0;
      s.traffic.lose(({ lane }) => {
        const isLost = lane === 'snapshot' && ++count % every === 0;
        if (isLost) lost++;
        return isLost;
      });
      node.start();
      await untilCaughtUp(s, node, 60_000);
      t.true(lost > 1, `${lost} lost`);
      t.true(installed(s) >= 1);
    }),
  );
}

test(
  'half of the messages of the snapshot lane are lost: the snapshot arrives',
  scenario(options, async (t, s) => {
    const node = s.follower();
    await leaveBehind(s, [node]);
    s.traffic.lose(({ lane }) => lane === 'snapshot' && s.world.chance(0.5));
    node.start();
    await untilCaughtUp(s, node, 300_000);
    t.true(installed(s) >= 1);
  }),
);

test(
  'the lane loses, doubles, delays and reorders: the snapshot arrives whole',
  scenario({ ...options, seeds: [1, 2, 3, 4, 5, 6] }, async (t, s) => {
    const node = s.follower();
    await leaveBehind(s, [node]);
    Object.assign(s.network.weather, { loss: 0.1, duplication: 0.3, reorder: 0.3, jitterMs: 20 });
    node.start();
    await untilCaughtUp(s, node, 60_000);
    t.true(installed(s) >= 1);
  }),
);

test(
  'a third of what nodes say to each other comes with a bit changed: it counts as lost, and nobody stops',
  scenario({ ...options, seeds: [1, 2, 3, 4, 5, 6] }, async (t, s) => {
    const node = s.follower();
    await leaveBehind(s, [node]);
    s.network.weather.damage = 0.33;
    node.start();
    await untilCaughtUp(s, node, 60_000);
    await s.put('a', 'after');
    s.network.weather.damage = 0;
    t.true(s.network.counts.damaged > 10, `${s.network.counts.damaged} damaged`);
    t.true(s.logged('dropped a malformed envelope') > 0);
    t.true(s.logged('dropped a damaged step of a snapshot') > 0);
    t.true(installed(s) >= 1);
    t.true(node.isUp);
  }),
);

test(
  'a snapshot that arrives as it was sent and is not whole is refused before it is installed, and comes again',
  scenario(options, async (t, s) => {
    const node = s.follower();
    await leaveBehind(s, [node]);
    let changed = 0;
    s.traffic.lose(({ message }) => {
      const step = stepOf(message);
      if (changed > 0 || step?.kind !== 'chunk' || step.sequence !== 5) return false;
      changed++;
      step.body[step.body.length - 1] = (step.body.at(-1) as number) ^ 1;
      Object.assign(message.headers as object, stepHeaders(step));
      return false;
    });
    node.start();
    await untilCaughtUp(s, node, 60_000);
    t.is(changed, 1);
    t.is(s.logged('a snapshot could not be staged'), 1);
    t.is(s.logged('a snapshot did not arrive'), 1);
    t.is(installed(s), 1);
    t.true(node.isUp);
  }),
);

test(
  'the leader dies in the middle of a snapshot: what was staged is abandoned, the next leader sends it again',
  scenario(options, async (t, s) => {
    const node = s.follower();
    const leader = s.leader();
    const held = s.group(node, s.shard).raft.lastIndex;
    await leaveBehind(s, [node]);
    const stop = s.traffic.lose((passage) => {
      if (kindOf(passage) === 'chunk' && sequenceOf(passage) === 5) {
        stop();
        s.world.at(0.5, () => leader.crash(true));
      }
      return false;
    });
    node.start();
    await s.until(() => !leader.isUp, 5000, 'the leader dies');
    t.is(installed(s), 0);
    t.true(s.group(node, s.shard).raft.appliedIndex <= held, 'what is in use was not touched');
    await untilCaughtUp(s, node);
    t.false(leader.isUp);
    t.is(installed(s), 1);
  }),
);

test(
  'two of 5 replicas get a snapshot at once while writes go on: both catch up',
  scenario({ ...options, nodes: 5 }, async (t, s) => {
    const nodes = s.followers().slice(0, 2);
    await leaveBehind(s, nodes);
    const work = s.startWorkload({ keys: 8, concurrency: 4 });
    let atOnce = 0;
    const sending = s.group(s.leader(), s.shard).sendingSnapshots;
    s.traffic.lose((passage) => {
      if (kindOf(passage) === 'chunk') atOnce = Math.max(atOnce, sending.size);
      return false;
    });
    for (const node of nodes) node.start();
    await s.until(() => installed(s) >= 2, 20_000, 'both are installed');
    t.is(atOnce, 2);
    for (const node of nodes) await untilCaughtUp(s, node);
    await s.until(() => work.counts.ok > 5, 5000, 'writes go on');
  }),
);

/** Moments of an installation at which the receiver dies. */
const moments: Readonly<Record<string, (s: Scenario, node: SimNode, dies: () => void) => void>> = {
  'half of it is staged': (s, _node, dies) => {
    const stop = s.traffic.lose((passage) => {
      if (kindOf(passage) === 'chunk' && sequenceOf(passage) === 5) {
        stop();
        s.world.at(0.5, dies);
      }
      return false;
    });
  },
  'all of it is staged': (s, _node, dies) => {
    const stop = s.traffic.lose((passage) => {
      if (kindOf(passage) === 'end') {
        stop();
        s.world.at(0.6, dies);
      }
      return false;
    });
  },
  'it is being installed': (s, node, dies) => {
    const isThere = (): void => {
      if (s.groupOf(node, s.shard)?.installing === true) s.world.at(0.05, dies);
      else s.world.at(0.01, isThere);
    };
    isThere();
  },
  'it is installed and the log does not say so yet': (s, _node, dies) => s.when('installed a snapshot', dies),
};

for (const [moment, arm] of Object.entries(moments)) {
  for (const power of [false, true]) {
    test(
      `the receiver of a snapshot ${power ? 'loses power' : 'is killed'} when ${moment}: no loss, equal bytes`,
      scenario(options, async (t, s) => {
        const node = s.follower();
        await s.put('before', '1');
        await leaveBehind(s, [node]);
        let died = 0;
        node.start();
        arm(s, node, () => {
          died++;
          node.crash(power);
          s.world.at(500, () => node.start());
        });
        await s.until(() => died === 1, 10_000, moment);
        await s.put('a', 'meanwhile');
        await s.until(() => node.isServing && hasCaughtUp(s, node), 20_000, 'it catches up');
        t.is(died, 1);
      }),
    );
  }
}

test(
  'the receiver of a snapshot dies at every 0.1 ms of its installation: it always comes back with equal bytes',
  scenario({ ...options, seeds: [1] }, async (t, s) => {
    const node = s.follower();
    let survived = 0;
    for (let ms = 0.1; ms <= 2.5; ms += 0.1) {
      await leaveBehind(s, [node]);
      const before = installed(s);
      node.start();
      await s.until(() => s.groupOf(node, s.shard)?.installing === true, 20_000, 'an installation begins');
      await s.run(ms);
      if (installed(s) > before) survived++;
      node.crash(s.world.chance(0.5));
      node.start();
      await s.until(() => node.isServing && hasCaughtUp(s, node), 20_000, 'it catches up');
    }
    t.true(survived > 0 && survived < 25, `installed in time: ${survived}`);
  }),
);

test(
  'pitfall 37: the snapshot lane is blocked for 30 s: no heartbeat is late, no election, writes go on, and then it arrives',
  scenario(options, async (t, s) => {
    const node = s.follower();
    await leaveBehind(s, [node]);
    const elections = s.checks.elections;
    const unblock = s.traffic.lose(({ lane }) => lane === 'snapshot');
    let lastMs = s.world.nowMs;
    let longestMs = 0;
    s.traffic.onRaft = ({ to, message }) => {
      if (to !== s.followers()[1]?.id || message.type !== 'HeartbeatRequest') return;
      longestMs = Math.max(longestMs, s.world.nowMs - lastMs);
      lastMs = s.world.nowMs;
    };
    node.start();
    for (let n = 0; n < 30; n++) {
      t.true((await s.put('a', `${n}`)) < 50);
      await s.run(1000);
    }
    s.traffic.onRaft = () => {};
    t.is(s.checks.elections, elections);
    t.true(longestMs < 100, `${longestMs} ms between heartbeats`);
    t.is(installed(s), 0);
    unblock();
    await untilCaughtUp(s, node);
    t.true(installed(s) >= 1);
  }),
);
