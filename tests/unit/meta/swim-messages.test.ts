/**
 * Goal: what comes in can be anything, and stops nobody; what goes out is bounded and readable. Method: fast-check,
 * against the codec and against a running node.
 */
import test from 'ava';
import fc from 'fast-check';
import { type Clock, isNodeId, type Logger, type NodeId, seededRandom, silentLogger } from '../../../src/base/index.js';
import { FailureDetector, type FailureDetectorOptions } from '../../../src/meta/index.js';
import {
  decodeMessage,
  encodeHeartbeat,
  encodeMessage,
  encodeRecord,
  gossipTypes,
} from '../../../src/meta/swim/message.js';
import { type MemberRecord, memberStates } from '../../../src/meta/swim/record.js';
import { mostMembers } from '../../../src/meta/swim/roster.js';
import { gossipAllSubject, gossipSubject } from '../../../src/wire/index.js';
import { LocalBus } from '../../support/local-bus.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { factsOf, namesOf } from './gossip-cluster.js';

const own = 'n1' as NodeId;
const subject = gossipSubject('test', own);

function setUp(options: Partial<FailureDetectorOptions> = {}) {
  const clock = new VirtualClock();
  const bus = new LocalBus(clock);
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (_fields, text) => void warnings.push(text) };
  const parts = { bus, clock, random: seededRandom(1), logger };
  const detector = new FailureDetector(parts, { cluster: 'test', nodeId: own, life: 5, ...options });
  detector.setFacts(factsOf());
  detector.start([]);
  return { clock, bus, warnings, detector };
}

const recordOf = (changes: Partial<MemberRecord> = {}): MemberRecord => ({
  nodeId: 'n2' as NodeId,
  life: 1,
  refutation: 0,
  state: 'alive',
  accusers: [],
  heartbeat: 1,
  factsVersion: 0,
  facts: undefined,
  ...changes,
});
const head = { type: 'ping', sequence: 7, target: undefined } as const;
const wireOf = (changes: Record<string, unknown>): Buffer => {
  const plain = JSON.parse(encodeMessage(head, recordOf(), 1).toString()) as object;
  return Buffer.from(JSON.stringify({ ...plain, ...changes }));
};

test('a message is read as it was written', (t) => {
  const sender = recordOf({ life: 9, refutation: 3, heartbeat: 77 });
  const news = [
    recordOf({ nodeId: 'n3' as NodeId, state: 'suspect', accusers: namesOf(4) }),
    recordOf({ nodeId: 'n4' as NodeId, state: 'dead', life: 0 }),
    recordOf({ nodeId: 'n5' as NodeId, factsVersion: 4, facts: factsOf({ diskFreeBytes: null, zone: 'Zürich' }) }),
  ];
  const payload = encodeMessage(
    { type: 'ack', sequence: 7, target: 'n3' as NodeId },
    sender,
    12,
    news.map((record) => encodeRecord(record, true)),
    [encodeHeartbeat(recordOf({ heartbeat: 8 }))],
  );
  t.deepEqual(decodeMessage(payload), {
    type: 'ack',
    sequence: 7,
    target: 'n3' as NodeId,
    sender,
    mapEpoch: 12,
    news,
    heartbeats: [{ nodeId: 'n2' as NodeId, life: 1, heartbeat: 8 }],
  });
});

test('fields of a later version are passed over', (t) => {
  t.not(decodeMessage(wireOf({ later: { a: 1 } })), undefined);
});

test('what does not fit is no message', (t) => {
  const bad: readonly [string, unknown][] = [
    ['v', 2],
    ['type', 'shout'],
    ['type', 'ack'],
    ['sequence', -1],
    ['sequence', 1.5],
    ['mapEpoch', '1'],
    ['mapEpoch', 2 ** 60],
    ['target', 'N 1'],
    ['target', null],
    ['sender', null],
    ['sender', []],
    ['sender', { ...recordOf(), nodeId: 'a.b' }],
    ['sender', { ...recordOf(), nodeId: '__proto__' }],
    ['sender', { ...recordOf(), life: 0 }],
    ['sender', { ...recordOf(), state: 'dead' }],
    ['sender', { ...recordOf(), refutation: 2 ** 41 }],
    ['news', {}],
    ['news', [null]],
    ['news', [{ ...recordOf(), state: 'unknown' }]],
    ['news', [{ ...recordOf(), life: 0 }]],
    ['news', [{ ...recordOf(), accusers: ['n1', 'n2', 'n3', 'n4', 'n5'] }]],
    ['news', [{ ...recordOf(), factsVersion: 1 }]],
    ['news', [{ ...recordOf(), facts: factsOf() }]],
    ['news', [{ ...recordOf(), factsVersion: 1, facts: { ...factsOf(), zone: 'x'.repeat(129) } }]],
    ['news', [{ ...recordOf(), factsVersion: 1, facts: { ...factsOf(), weight: -1 } }]],
    ['news', Array.from({ length: 4097 }, () => recordOf())],
    ['heartbeats', [['n1', 1]]],
    ['heartbeats', [['n1', 0, 1]]],
    ['heartbeats', [{ nodeId: 'n1' }]],
  ];
  t.not(decodeMessage(wireOf({})), undefined);
  for (const [field, value] of bad) t.is(decodeMessage(wireOf({ [field]: value })), undefined, `${field}: ${value}`);
  for (const text of ['', 'null', '[]', '{}', '{"v":1}', '['.repeat(100_000)]) {
    t.is(decodeMessage(Buffer.from(text)), undefined);
  }
  t.is(decodeMessage(Buffer.alloc(2 * 1024 * 1024, ' ')), undefined);
});

test('malformed messages are counted, told of once a period, and change nothing', async (t) => {
  const { clock, bus, warnings, detector } = setUp();
  await clock.advance(10);
  const before = detector.members();
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(Buffer.from)), async (bytes) => {
      bus.publish('raft', subject, Buffer.from(bytes));
      bus.publish('raft', gossipAllSubject('test'), Buffer.from(bytes));
      await clock.advance(1);
    }),
    { numRuns: 100 },
  );
  t.is(detector.counters.messagesMalformed, 200);
  t.is(warnings.length, 1);
  t.deepEqual(
    detector.members().map(({ nodeId, state, life }) => [nodeId, state, life]),
    before.map(({ nodeId, state, life }) => [nodeId, state, life]),
  );
});

const someCount = fc.oneof(fc.nat(6), fc.constantFrom(Number.MAX_SAFE_INTEGER, 2 ** 40, 2 ** 40 - 1));
const hostileRecord = (state: fc.Arbitrary<string>) =>
  fc.record({
    nodeId: fc.constantFrom('n1', 'n2', 'n3', 'constructor', 'toString'),
    life: someCount,
    refutation: someCount,
    state,
    heartbeat: someCount,
    accusers: fc.subarray(['n1', 'n2', 'n3', 'n4']),
  });
const hostileMessage = fc.record({
  v: fc.constant(1),
  type: fc.constantFrom(...gossipTypes),
  mapEpoch: someCount,
  sequence: someCount,
  target: fc.constantFrom('n1', 'n2', 'n9'),
  sender: hostileRecord(fc.constantFrom('alive', 'left')),
  news: fc.array(hostileRecord(fc.constantFrom(...memberStates)), { maxLength: 5 }),
  heartbeats: fc.array(fc.tuple(fc.constantFrom('n1', 'n2', 'n5'), someCount, someCount), { maxLength: 5 }),
});

test('well-formed lies stop nobody: the node stays alive in its life, and what it sends stays readable', async (t) => {
  const { clock, bus, detector } = setUp();
  let understood = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(hostileMessage, { minLength: 1, maxLength: 10 }), async (messages) => {
      for (const message of messages) {
        const payload = Buffer.from(JSON.stringify(message));
        if (decodeMessage(payload) !== undefined) understood++;
        bus.publish('raft', subject, payload);
      }
      bus.published.length = 0;
      await clock.advance(700);
      for (const { payload } of bus.published) t.not(decodeMessage(payload), undefined, payload.toString());
      const self = detector.members().find(({ nodeId }) => nodeId === own);
      t.is(self?.state, 'alive');
      t.is(self?.life, 5);
    }),
    { numRuns: 200 },
  );
  t.true(understood > 50);
  t.true(detector.members().length <= 8);
});

test('a node contradicts what is said of its life, and nothing said of another', async (t) => {
  const { clock, bus, detector } = setUp();
  const say = async (changes: Partial<MemberRecord>): Promise<number | undefined> => {
    const news = encodeRecord(recordOf({ nodeId: own, life: 5, ...changes }), false);
    bus.publish('raft', subject, encodeMessage(head, recordOf(), 0, [news]));
    await clock.advance(5);
    return detector.members().find(({ nodeId }) => nodeId === own)?.refutation;
  };
  t.is(await say({ state: 'suspect' }), 1);
  t.is(await say({ state: 'suspect' }), 1, 'answered already');
  t.is(await say({ state: 'dead', refutation: 6 }), 7);
  t.is(await say({ state: 'left', refutation: 7 }), 8);
  t.is(await say({ state: 'dead', life: 4, refutation: 20 }), 8);
  t.is(await say({ state: 'dead', life: 6 }), 8);
  t.is(detector.counters.refutations, 3);
});

test('only an answer to this very probe ends it', async (t) => {
  for (const wrong of [1, 0]) {
    const { clock, bus, detector } = setUp();
    const other = 'n2' as NodeId;
    bus.publish('raft', subject, encodeMessage({ ...head, type: 'state' }, recordOf(), 0));
    bus.subscribe('raft', gossipSubject('test', other), ({ payload }) => {
      const ping = decodeMessage(payload);
      if (ping?.type !== 'ping') return;
      const ack = { type: 'ack', sequence: ping.sequence + wrong, target: other } as const;
      bus.publish('raft', subject, encodeMessage(ack, recordOf(), 0));
    });
    await clock.advance(1700);
    t.true(detector.counters.probes >= 3);
    t.is(detector.counters.probesFailed, wrong === 0 ? 0 : detector.counters.probes - 1);
  }
});

test('whom a node suspects it asks in every period', async (t) => {
  const { clock, bus, detector } = setUp();
  const silent = 'n2' as NodeId;
  const others = namesOf(20);
  let pings = 0;
  bus.subscribe('raft', gossipSubject('test', silent), () => pings++);
  for (const nodeId of others) {
    bus.subscribe('raft', gossipSubject('test', nodeId), ({ payload }) => {
      const ping = decodeMessage(payload);
      if (ping?.type !== 'ping') return;
      const ack = { type: 'ack', sequence: ping.sequence, target: nodeId } as const;
      bus.publish('raft', subject, encodeMessage(ack, recordOf({ nodeId }), 0));
    });
  }
  const news = others.map((nodeId) => encodeRecord(recordOf({ nodeId }), false));
  bus.publish('raft', subject, encodeMessage({ ...head, type: 'state' }, recordOf(), 0, news));
  while (detector.stateOf(silent) !== 'suspect') await clock.advance(10);
  const before = pings;
  await clock.advance(5 * 500);
  t.is(detector.stateOf(silent), 'suspect');
  t.true(pings - before >= 5);
});

test('a node whose timers come late suspects nobody whom it had no time to ask others for', async (t) => {
  const clock = new VirtualClock();
  const late: Clock = {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    defer: (action) => clock.defer(action),
    after: (delayMs, action) => clock.after(delayMs + 100, action),
  };
  const bus = new LocalBus(clock);
  const parts = { bus, clock: late, random: seededRandom(1), logger: silentLogger };
  const detector = new FailureDetector(parts, { cluster: 'test', nodeId: own, life: 1, pingTimeoutMs: 450 });
  bus.subscribe('raft', gossipSubject('test', 'n2' as NodeId), () => {});
  detector.start(['n2' as NodeId]);
  // Something comes in all the time: the link is not to blame.
  for (let at = 0; at < 200; at++) {
    bus.publish('raft', subject, encodeMessage({ ...head, type: 'echo' }, recordOf({ nodeId: own }), 0));
    await clock.advance(100);
  }
  t.true(detector.counters.probesFailed > 20);
  t.is(detector.counters.timesAway, 0);
  t.is(detector.stateOf('n2' as NodeId), 'unknown');
});

test('a timer that fires a fraction early is not set again and again', async (t) => {
  const clock = new VirtualClock();
  let timers = 0;
  const early: Clock = {
    nowMs: () => clock.nowMs() - clock.nowMs() * 1e-15,
    wallMs: () => clock.wallMs(),
    defer: (action) => clock.defer(action),
    after: (delayMs, action) => {
      if (++timers > 1000) throw new Error('time stands still');
      return clock.after(delayMs < 1e-9 ? 0 : delayMs, action);
    },
  };
  const parts = { bus: new LocalBus(clock), clock: early, random: seededRandom(1), logger: silentLogger };
  const detector = new FailureDetector(parts, { cluster: 'test', nodeId: own, life: 1 });
  detector.start(['n2' as NodeId]);
  await clock.advance(60_000);
  t.true(detector.counters.periods > 100);
});

test('more members than there can be are not taken in', async (t) => {
  const { clock, bus, detector } = setUp();
  for (let at = 0; at < mostMembers + 20; at++) {
    bus.publish('raft', subject, encodeMessage(head, recordOf({ nodeId: `x${at}` as NodeId }), 0));
  }
  await clock.advance(3);
  t.is(detector.members().length, mostMembers + 1);
  t.is(detector.counters.membersRefused, 20);
});

test('a full exchange of 1,000 members comes in parts that the bus takes', async (t) => {
  const { clock, bus, detector } = setUp();
  const names = Array.from({ length: 1000 }, (_, at) => `x${at}` as NodeId);
  for (const nodeId of names) {
    const news = encodeRecord(recordOf({ nodeId, factsVersion: 1, facts: factsOf() }), true);
    bus.publish('raft', subject, encodeMessage(head, recordOf({ nodeId }), 0, [news]));
  }
  await clock.advance(3);
  bus.published.length = 0;
  const asking = encodeMessage({ ...head, type: 'sync' }, recordOf({ nodeId: names[0] as NodeId }), 0);
  bus.publish('raft', subject, asking);
  await clock.advance(3);
  const parts = bus.published
    .filter((message) => message.subject === gossipSubject('test', names[0] as NodeId))
    .flatMap(({ payload }) => {
      t.true(payload.length <= 32 * 1024);
      const message = decodeMessage(payload);
      return message?.type === 'state' ? [message] : [];
    });
  const told = new Set(parts.flatMap(({ news }) => news.map(({ nodeId }) => nodeId)));
  t.is(told.size, 1001);
  t.true([...told].every(isNodeId));
  t.true(parts.length > 5);
  t.is(detector.members().length, 1001);
});

test('facts that no node would read are refused where they are set', (t) => {
  const { detector } = setUp();
  t.throws(() => detector.setFacts(factsOf({ zone: 'x'.repeat(200) })), { message: /facts that no node would read/ });
  t.throws(() => detector.setFacts(factsOf({ weight: Number.NaN })));
  t.throws(() => setUp({ pingTimeoutMs: 500, periodMs: 500 }), { message: /time out in its period/ });
  t.throws(() => setUp({ life: 0 }));
});
