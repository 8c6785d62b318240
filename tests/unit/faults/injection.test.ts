/**
 * Goal: a fault counts only when it was seen, stands in the ledger as long as anything of it is in force, and leaves nothing
 * behind. Method: a cluster of words, whose links can be told not to obey.
 */
import test from 'ava';
import { isRingraftError } from '../../../src/base/index.js';
import { type FaultSpec, faultKinds, healAll, injectFault, nodesOf, removeFault } from '../../../src/faults/index.js';
import { FakeGround } from '../../support/fault-ground.js';

const options = { seenTimeoutMs: 1000, mustShow: true };
const split: FaultSpec = { kind: 'split', groups: [['n1', 'n2'], ['n3']] };

test('a split is seen by messages that do not arrive any more, and gone when it is removed', async (t) => {
  const ground = new FakeGround(3);
  const injection = await injectFault(ground, split, options);
  t.is(injection.id, 'split-1');
  t.is(injection.description, 'split n1,n2 | n3');
  t.regex(injection.evidence ?? '', /nats-n1 -> nats-n3/);
  t.is((await ground.control.probe(1)).filter(({ reached }) => !reached).length, 4);
  t.deepEqual(
    ground.ledger.list().map(({ id }) => id),
    ['split-1'],
  );
  await removeFault(ground, { id: injection.id, spec: split });
  t.true((await ground.control.probe(1)).every(({ reached }) => reached));
  t.deepEqual(ground.ledger.list(), []);
});

test('a fault that cannot be shown is taken back, and the error says so', async (t) => {
  const ground = new FakeGround(3);
  ground.obeys = false;
  const error = await t.throwsAsync(injectFault(ground, split, options));
  t.true(isRingraftError(error, 'TIMEOUT'));
  t.regex(error.message, /split n1,n2 \| n3: tried, but nothing shows it/);
  t.deepEqual(ground.links, []);
  t.deepEqual(ground.ledger.list(), []);
});

test('where it need not show it stays in force', async (t) => {
  const ground = new FakeGround(3);
  ground.obeys = false;
  const { evidence } = await injectFault(ground, split, { ...options, mustShow: false });
  t.is(evidence, undefined);
  t.is(ground.links.length, 1);
});

test('a cut of links that are silent already proves nothing: CONFLICT', async (t) => {
  const ground = new FakeGround(3);
  await injectFault(ground, split, options);
  const error = await t.throwsAsync(injectFault(ground, { kind: 'isolate', node: 'n3' }, options));
  t.true(isRingraftError(error, 'CONFLICT'));
  t.is(ground.ledger.list().length, 1);
});

test('processes are killed, paused and restarted, and run again afterwards', async (t) => {
  const ground = new FakeGround(3);
  for (const spec of [
    { kind: 'kill', node: 'n1' },
    { kind: 'pause', node: 'n2' },
    { kind: 'broker-restart', node: 'n3' },
  ] as const) {
    const { id } = await injectFault(ground, spec, options);
    await removeFault(ground, { id, spec });
  }
  t.deepEqual(ground.done, ['SIGKILL n1', 'start n1', 'SIGSTOP n2', 'SIGCONT n2', 'SIGTERM nats-n3', 'start nats-n3']);
});

test('faults inside one node add up, and the end of one leaves the other', async (t) => {
  const ground = new FakeGround(3);
  const jump: FaultSpec = { kind: 'clock-jump', node: 'n1', offsetMs: 5000 };
  const { id } = await injectFault(ground, jump, options);
  const full: FaultSpec = { kind: 'disk-full', node: 'n1' };
  ground.pause = async () => void ground.refusedWrites++;
  t.regex((await injectFault(ground, full, options)).evidence ?? '', /writes of n1 were refused/);
  t.deepEqual(ground.told.get('n1'), { clockOffsetMs: 5000, disk: { full: true } });
  await removeFault(ground, { id, spec: jump });
  t.deepEqual(ground.told.get('n1'), { disk: { full: true } });
});

test('a delay is seen by a message that takes as long', async (t) => {
  const ground = new FakeGround(3);
  const flaky: FaultSpec = { kind: 'flaky', nodes: ['n1', 'n2'], lossShare: 0, delayMs: 80, jitterMs: 0 };
  t.regex((await injectFault(ground, flaky, options)).evidence ?? '', /nats-n1 -> nats-n2 took 81 ms/);
});

test('a slow consumer is one that its server dropped; one that gave up first counts only when the server does not', async (t) => {
  const spec: FaultSpec = { kind: 'slow-consumer', node: 'n1' };
  const patient = { seenTimeoutMs: 30_000, mustShow: true };
  const dropped = new FakeGround(3);
  dropped.control.inject = async () => {
    dropped.drops = { slow: 2, stale: 0, givenUp: 1 };
  };
  t.is((await injectFault(dropped, spec, patient)).evidence, 'nats-n1 dropped 2 connections of n1 as too slow');
  t.true(dropped.nowMs() < 1000);
  const quiet = new FakeGround(3);
  quiet.control.inject = async () => {
    quiet.drops = { slow: 0, stale: 0, givenUp: 1 };
  };
  t.is((await injectFault(quiet, spec, patient)).evidence, 'n1 heard nothing of nats-n1 and gave it up');
  t.true(quiet.nowMs() >= 10_000);
});

test('heal ends what another program left, the newest first, and tells what could not be undone', async (t) => {
  const ground = new FakeGround(3);
  await injectFault(ground, { kind: 'kill', node: 'n1' }, options);
  await injectFault(ground, split, options);
  t.deepEqual((await healAll(ground)).map(({ id }) => id).sort(), ['kill-1', 'split-1']);
  t.deepEqual([ground.links, ground.ledger.list()], [[], []]);
  await injectFault(ground, { kind: 'kill', node: 'n2' }, options);
  await injectFault(ground, split, options);
  ground.processes.start = () => Promise.reject(new Error('no such program'));
  const error = await t.throwsAsync(healAll(ground));
  t.regex(error.message, /kill-1: no such program/);
  t.deepEqual([ground.links, ground.ledger.list().map(({ id }) => id)], [[], ['kill-1']]);
});

test('what a cluster has not is refused before anything is done', async (t) => {
  const ground = new FakeGround(3);
  const unknown = await t.throwsAsync(injectFault(ground, { kind: 'kill', node: 'n9' }, options));
  t.regex(unknown.message, /there is no node n9 here; there are n1, n2, n3/);
  const single = Object.assign(new FakeGround(3), { control: undefined });
  const links = await t.throwsAsync(injectFault(single, split, options));
  t.regex(links.message, /--topology clustered/);
  ground.conditions.set('n1', 'ended');
  t.true(isRingraftError(await t.throwsAsync(injectFault(ground, { kind: 'pause', node: 'n1' }, options)), 'CONFLICT'));
  t.deepEqual([ground.done, ground.ledger.list()], [[], []]);
});

test('every kind is known by its name once, and names its nodes', (t) => {
  t.is(new Set(faultKinds).size, faultKinds.length);
  t.deepEqual(nodesOf(split), ['n1', 'n2', 'n3']);
  t.deepEqual(nodesOf({ kind: 'one-way', from: 'n1', to: 'n2' }), ['n1', 'n2']);
  t.deepEqual(nodesOf({ kind: 'majorities-ring' }), []);
});
