/**
 * Goal: a replica learns from the leader how far it must be for a read, with one message a node and turn, and is never told
 * that it may serve one when it may not. Method: two nodes over a bus in memory, groups that tests move by hand.
 */
import test from 'ava';
import { type NodeId, nodeId, type ShardId, shardId, silentLogger } from '../../../src/base/index.js';
import type { Group } from '../../../src/host/group.js';
import type { Confirmation } from '../../../src/host/pending.js';
import { ReadIndexes } from '../../../src/host/read-indexes.js';
import { LocalBus } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const [here, there] = [nodeId('n1'), nodeId('n2')];

type FakeGroup = {
  readonly shardId: ShardId;
  readonly raft: { readonly isLeader: boolean };
  readonly leaderNode: NodeId | undefined;
  isRemoved: boolean;
  readonly waiting: { index: number; confirmations: readonly Confirmation[] }[];
  addWaiting(waiting: FakeGroup['waiting'][number]): void;
};

function aGroup(shard: number, leaderNode: NodeId | undefined, on: NodeId): FakeGroup {
  const waiting: FakeGroup['waiting'] = [];
  return {
    shardId: shardId(shard),
    raft: { isLeader: leaderNode === on },
    leaderNode,
    isRemoved: false,
    waiting,
    addWaiting: (one) => void waiting.push(one),
  };
}

function fixture() {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  /** What the leader is asked, for the test to answer. */
  const rounds: { readonly shard: number; readonly confirm: Confirmation }[] = [];
  const nodeWith = (node: NodeId, groups: readonly FakeGroup[]): ReadIndexes => {
    const indexes = new ReadIndexes({
      bus,
      clock,
      logger: silentLogger,
      options: { cluster: 'test', nodeId: node } as never,
      groupOf: (id) => groups.find((group) => group.shardId === id) as unknown as Group | undefined,
      confirmRead: (group, confirm) => void rounds.push({ shard: group.shardId, confirm }),
      serveWaitingReads: () => {},
    });
    indexes.start();
    return indexes;
  };
  return { clock, bus, rounds, nodeWith };
}

/** Asks, and tells what came of it. */
function ask(indexes: ReadIndexes, group: FakeGroup): { readonly answers: boolean[] } {
  const answers: boolean[] = [];
  indexes.confirm(group as unknown as Group, (confirmed) => answers.push(confirmed));
  return { answers };
}

test('what is asked of a node in one turn is one message; each is served once it has applied the index', async (t) => {
  const { clock, bus, rounds, nodeWith } = fixture();
  const groups = [1, 2, 3].map((shard) => aGroup(shard, there, here));
  const [one, two] = groups as [FakeGroup, FakeGroup];
  const asking = nodeWith(here, groups);
  nodeWith(
    there,
    [1, 2, 3].map((shard) => aGroup(shard, there, there)),
  );
  const asked = [one, two, one].map((group) => ask(asking, group));
  await clock.advance(5);
  t.is(bus.published.length, 1);
  t.deepEqual(
    rounds.map(({ shard }) => shard),
    [1, 2],
  );
  rounds[1]?.confirm(20);
  rounds[0]?.confirm(10);
  await clock.advance(5);
  t.deepEqual(
    one.waiting.map(({ index }) => index),
    [10, 10],
  );
  t.deepEqual(
    two.waiting.map(({ index }) => index),
    [20],
  );
  t.deepEqual(
    asked.map(({ answers }) => answers),
    [[], [], []],
    'told, and not applied yet',
  );
  for (const { waiting } of [one, two]) for (const { index, confirmations } of waiting) confirmations[0]?.(index);
  t.deepEqual(
    asked.map(({ answers }) => answers),
    [[true], [true], [true]],
  );
  asking.sweep(clock.nowMs() + 10_000);
  t.deepEqual(
    asked.map(({ answers }) => answers),
    [[true], [true], [true]],
  );
});

test('a shard led here asks no other node', async (t) => {
  const { clock, bus, rounds, nodeWith } = fixture();
  const group = aGroup(1, here, here);
  const { answers } = ask(nodeWith(here, [group]), group);
  await clock.advance(5);
  t.is(bus.published.length, 0);
  rounds[0]?.confirm(7);
  t.deepEqual(answers, [true]);
});

test('no leader known, none there, one that does not lead, a replica given up: false', async (t) => {
  const { clock, rounds, nodeWith } = fixture();
  const [unknown, gone, moved, removed] = [
    aGroup(1, undefined, here),
    aGroup(2, nodeId('n9'), here),
    aGroup(3, there, here),
    aGroup(4, there, here),
  ];
  const asking = nodeWith(here, [unknown, gone, moved, removed]);
  nodeWith(
    there,
    [3, 4].map((shard) => aGroup(shard, there, there)),
  );
  const asked = [unknown, gone, moved, removed].map((group) => ask(asking, group));
  await clock.advance(5);
  t.deepEqual(
    asked.map(({ answers }) => answers),
    [[false], [false], [], []],
  );
  removed.isRemoved = true;
  rounds[0]?.confirm(undefined);
  rounds[1]?.confirm(5);
  await clock.advance(5);
  t.deepEqual(
    asked.map(({ answers }) => answers),
    [[false], [false], [false], [false]],
  );
  t.deepEqual(removed.waiting, []);
});

test('a replica that gives its state up while it waits: false', async (t) => {
  const { clock, rounds, nodeWith } = fixture();
  const group = aGroup(1, there, here);
  const asking = nodeWith(here, [group]);
  nodeWith(there, [aGroup(1, there, there)]);
  const { answers } = ask(asking, group);
  await clock.advance(5);
  rounds[0]?.confirm(5);
  await clock.advance(5);
  group.waiting[0]?.confirmations[0]?.(undefined);
  t.deepEqual(answers, [false]);
});

test('a lost question, a lost answer, a round without a majority, a replica that lags: false after a while, and once', async (t) => {
  const { clock, bus, rounds, nodeWith } = fixture();
  const groups = [1, 2, 3, 4].map((shard) => aGroup(shard, there, here));
  const asking = nodeWith(here, groups);
  nodeWith(
    there,
    [1, 2, 3, 4].map((shard) => aGroup(shard, there, there)),
  );
  const asked: { readonly answers: boolean[] }[] = [];
  for (const group of groups) {
    // Each in a message of its own.
    bus.filter = ({ subject }) => group.shardId !== 1 || !subject.includes('readindex');
    asked.push(ask(asking, group));
    await clock.advance(5);
  }
  t.deepEqual(
    rounds.map(({ shard }) => shard),
    [2, 3, 4],
  );
  bus.filter = () => false;
  rounds[0]?.confirm(5);
  bus.filter = () => true;
  rounds[2]?.confirm(5);
  await clock.advance(400);
  asking.sweep(clock.nowMs());
  t.deepEqual(
    asked.map(({ answers }) => answers),
    [[], [], [], []],
  );
  await clock.advance(100);
  asking.sweep(clock.nowMs());
  t.deepEqual(
    asked.map(({ answers }) => answers),
    [[false], [false], [false], [false]],
  );
  // Too late.
  rounds[1]?.confirm(5);
  groups[3]?.waiting[0]?.confirmations[0]?.(5);
  await clock.advance(5);
  t.deepEqual(
    asked.map(({ answers }) => answers),
    [[false], [false], [false], [false]],
  );
  t.deepEqual(groups[2]?.waiting, []);
});

test('bytes that are no question, and an answer that is none, harm nobody', async (t) => {
  const { clock, bus, nodeWith } = fixture();
  const group = aGroup(1, there, here);
  const asking = nodeWith(here, [group]);
  bus.publish('client', '_kv.test.readindex.n1', Buffer.from([0xff, 0xff]), { replyTo: 'nobody' });
  bus.subscribe('client', '_kv.test.readindex.n2', ({ replyTo }) => {
    bus.publish('client', replyTo as string, Buffer.from([0x0a, 0xff]));
  });
  const { answers } = ask(asking, group);
  await clock.advance(5);
  t.deepEqual(answers, [false]);
});
