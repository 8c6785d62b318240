/** Goal: the links between nodes carry what belongs to both of their lives, and nothing else. Method: two links, one bus. */
import test from 'ava';
import { type Clock, type NodeId, replicaId, type ShardId, silentLogger } from '../../../src/base/index.js';
import { Peers } from '../../../src/host/peers.js';
import type { Message } from '../../../src/raft/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const shard = 1 as ShardId;
const beat = (round: number): Message => ({
  type: 'HeartbeatRequest',
  from: replicaId(1),
  to: replicaId(2),
  term: 1,
  commitIndex: 0,
  round,
});

function setUp() {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  const start = (nodeId: string, incarnation: number, peer: string) => {
    const heard: number[] = [];
    const lost: NodeId[] = [];
    const peers = new Peers(
      bus,
      clock,
      { cluster: 'test', nodeId: nodeId as NodeId, incarnation, keepaliveMs: 1000, silentAfterMs: 5000 },
      {
        onMessage: (_from, _shard, message) => {
          if (message.type === 'HeartbeatRequest') heard.push(message.round);
        },
        onUnreachable: (node) => lost.push(node),
        onSuspicion: () => {},
      },
      silentLogger,
    );
    peers.add(peer as NodeId);
    peers.start();
    const say = (round: number): void => {
      peers.send(peer as NodeId, shard, beat(round));
      peers.flush(clock.nowMs());
    };
    return { peers, heard, lost, say };
  };
  return { clock, bus, start };
}

test('pitfall 23: a message to an earlier life of a node, or from one, is dropped', async (t) => {
  const { clock, bus, start } = setUp();
  const first = start('n1', 11, 'n2');
  const second = start('n2', 21, 'n1');
  first.say(1);
  second.say(1);
  await clock.advance(10);
  t.deepEqual([first.heard, second.heard], [[1], [1]], 'now each knows the life of the other');
  bus.delayMs = () => 500;
  first.say(2);
  second.peers.stop();
  const reborn = start('n2', 22, 'n1');
  await clock.advance(600);
  t.deepEqual(reborn.heard, [], 'round 2 was for the life that has ended');
  t.is(reborn.peers.messagesDropped, 1);
  second.say(3);
  bus.delayMs = () => 1;
  reborn.say(4);
  await clock.advance(600);
  t.deepEqual(first.heard, [1, 4], 'what the dead node said last came after its successor spoke');
  first.say(5);
  await clock.advance(10);
  t.deepEqual(reborn.heard, [5]);
});

test('a late word from a dead life, heard first after the living one, does not silence the living (simulation, seed 577)', async (t) => {
  const { clock, bus, start } = setUp();
  const dead = start('n2', 21, 'n1');
  bus.delayMs = () => 500;
  dead.say(1);
  dead.peers.stop();
  bus.delayMs = () => 1;
  const living = start('n2', 22, 'n1');
  const hearer = start('n1', 31, 'n2');
  living.say(2);
  await clock.advance(600);
  living.say(3);
  await clock.advance(10);
  t.deepEqual(hearer.heard, [2, 3]);
});

test('a peer without a listener is told of at once, and what is said while the bus is down is not kept', async (t) => {
  const { clock, bus, start } = setUp();
  const first = start('n1', 11, 'n2');
  first.say(1);
  await clock.advance(10);
  t.deepEqual(first.lost, ['n2']);
  const second = start('n2', 21, 'n1');
  bus.setConnected(false);
  first.say(2);
  bus.setConnected(true);
  first.say(3);
  await clock.advance(10);
  t.deepEqual(second.heard, [3]);
  t.is(first.peers.messagesDropped, 1);
});

test('a malformed envelope is dropped and the link lives on', async (t) => {
  const { clock, bus, start } = setUp();
  const first = start('n1', 11, 'n2');
  const second = start('n2', 21, 'n1');
  first.say(1);
  const { subject } = bus.published.at(-1) as { subject: string };
  bus.publish('raft', subject, Buffer.from('not an envelope'));
  bus.publish('raft', subject, Buffer.alloc(0));
  first.say(2);
  await clock.advance(10);
  t.deepEqual(second.heard, [1, 2]);
});

test('a node tells how long ago it heard each peer, and whom it thinks silent', async (t) => {
  const { clock, start } = setUp();
  const first = start('n1', 11, 'n2');
  const second = start('n2', 21, 'n1');
  t.deepEqual(first.peers.status(clock.nowMs()), [{ nodeId: 'n2' as NodeId, heardAgoMs: null, isSilent: false }]);
  second.say(1);
  await clock.advance(250);
  const [heard] = first.peers.status(clock.nowMs());
  t.true(heard?.isSilent === false && (heard.heardAgoMs ?? 0) >= 200 && (heard.heardAgoMs ?? 0) <= 250);
  await clock.advance(6000);
  first.peers.checkSilence(clock.nowMs());
  const [silent] = first.peers.status(clock.nowMs());
  t.true(silent?.isSilent === true && (silent.heardAgoMs ?? 0) > 6000);
});

test('no group is told a time that lies before one it was told already, when a silent peer is heard again', async (t) => {
  const { clock, bus, start } = setUp();
  // As real ones are: no two looks at it show the same time.
  let looks = 0;
  const moving: Clock = Object.assign(Object.create(clock) as Clock, { nowMs: () => clock.nowMs() + ++looks / 1000 });
  const times: number[] = [];
  const first = start('n1', 11, 'n2');
  const peers = new Peers(
    bus,
    moving,
    { cluster: 'test', nodeId: 'n2' as NodeId, incarnation: 21, keepaliveMs: 1000, silentAfterMs: 5000 },
    {
      onMessage: (_from, _shard, _message, nowMs) => times.push(nowMs),
      onUnreachable: () => {},
      onSuspicion: () => times.push(moving.nowMs()),
    },
    silentLogger,
  );
  peers.add('n1' as NodeId);
  peers.start();
  first.say(1);
  await clock.advance(6000);
  peers.checkSilence(moving.nowMs());
  first.say(2);
  await clock.advance(10);
  t.is(times.length, 4, 'a message, silence, its end, a message');
  t.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
});
