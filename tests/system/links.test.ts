/**
 * Goal: links between real brokers, and between a node and its broker, are what the fault server says they are, and no
 * route goes round it. Method: three nats-servers joined through its proxies; the reach matrix and the brokers' own lists
 * of routes are compared with the plan.
 */
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { bridge, oneWay, slowConsumer, split } from '../../src/faults/index.js';
import { connectNats } from '../../src/transport/index.js';
import { BrokerCluster, nodes, planned, timed, unheard, until } from '../support/broker-cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

t.setTimeout(hangGuardMs);

const cluster = await BrokerCluster.proxied();
const { control, config } = cluster;
t.teardown(() => cluster.stop());

t.test('brokers that start after the fault server find each other, and all hear all', async (t) => {
  await cluster.untilWhole();
  t.equal((await cluster.probe()).length, 6);
  t.equal(statSync(config.controlSocket).mode & 0o777, 0o600, 'only this user may tell the server');
});

t.test('one way cut: exactly that direction is gone', async (t) => {
  await control.inject({ id: 'one', ...oneWay('n1', 'n2') });
  t.same(unheard(await cluster.probe()), ['nats-n1>nats-n2']);
  t.match(await control.list(), [{ id: 'one', description: 'n1 -> n2 cut' }]);
  t.equal(await control.remove('one'), true);
  t.equal(await control.remove('one'), false);
  t.comment(`whole again after ${await cluster.untilWhole()} ms`);
});

t.test('a fault whose id is taken, or that names no link, is refused and changes nothing', async (t) => {
  await control.inject({ id: 'same', ...oneWay('n3', 'n1') });
  await t.rejects(control.inject({ id: 'same', ...oneWay('n1', 'n3') }), { code: 'CONFLICT' });
  await t.rejects(control.inject({ id: 'other', ...oneWay('n1', 'n9') }), { code: 'BAD_REQUEST', message: /nats-n9/ });
  t.same(unheard(await cluster.probe()), ['nats-n3>nats-n1']);
  t.equal(await control.heal(), 1);
  await cluster.untilWhole();
});

t.test('a reset ends each connection of the links once, and the brokers dial again', async (t) => {
  const both = [
    { from: 'nats-n1', to: 'nats-n2' },
    { from: 'nats-n2', to: 'nats-n1' },
  ];
  t.equal(await control.reset(both), 1);
  t.comment(`whole again after ${await cluster.untilWhole()} ms`);
  t.equal(await control.reset([...both, { from: 'nats-n1', to: 'nats-n3' }]), 2);
  await cluster.untilWhole();
});

t.test('split 1 | 2: exactly the pairs across are gone, until it heals', async (t) => {
  const plan = split([['n1'], ['n2', 'n3']]);
  await control.inject({ id: 'split', ...plan });
  t.same(unheard(await cluster.probe()), planned(plan));
  await control.heal();
  await cluster.untilWhole();
});

t.test('a cut longer than pings wait: a third broker gossips, and no route goes round the proxies', async (t) => {
  const plan = bridge(nodes, 'n3');
  await control.inject({ id: 'bridge', ...plan });
  const givenUpMs = await timed(() =>
    until(
      () => cluster.dialledPorts(),
      ({ length }) => length === 2,
    ),
  );
  t.comment(`the brokers gave the cut route up after ${givenUpMs} ms`);
  // Who connects anew is told to the others, who dial it.
  for (const from of ['nats-n1', 'nats-n2']) {
    await control.reset([{ from, to: 'nats-n3' }]);
    await until(
      () => cluster.probe(),
      (reach) => unheard(reach).join() === planned(plan).join(),
    );
  }
  // Dials by gossip follow at once; a second more is for what is tried again.
  await sleep(1000);
  t.same(unheard(await cluster.probe()), planned(plan));
  await control.heal();
  t.comment(`whole again ${await cluster.untilWhole()} ms after healing`);
  const proxied = config.pairs.map(({ listenPort }) => listenPort).sort();
  t.same(await cluster.dialledPorts(), proxied, 'every route goes by its proxy');
});

t.test('a node whose broker link is cut hears nothing, until it heals', async (t) => {
  const [, node] = config.nodes;
  const connect = (name: string, port: number | undefined) =>
    connectNats({ servers: [`nats://127.0.0.1:${port}`], name }, ['client']);
  const far = await connect('far', config.hosts[0]?.clientPort);
  const near = await connect('n2', node?.listenPort);
  t.teardown(() => Promise.all([far.close(), near.close()]));
  const heard: string[] = [];
  near.subscribe('client', 'words', ({ payload }) => heard.push(payload.toString()));
  await near.flush('client');
  const say = async (word: string): Promise<readonly string[]> => {
    far.publish('client', 'words', Buffer.from(word));
    await far.flush('client');
    return heard;
  };
  await until(
    () => say('before'),
    (words) => words.includes('before'),
  );
  await control.inject({ id: 'slow', ...slowConsumer('n2') });
  await say('held');
  t.same(unheard(await cluster.probe()), [], 'the brokers still hear each other');
  t.notOk(heard.includes('held'));
  await control.heal();
  await until(
    () => say('after'),
    (words) => words.includes('after'),
  );
  t.ok(heard.includes('held'), 'TCP held it');
});

t.test('a broker that was killed and started again is heard, and hears, again', async (t) => {
  await cluster.restartBroker(1);
  t.comment(`whole again ${await cluster.untilWhole()} ms after its start`);
  await control.inject({ id: 'again', ...oneWay('n2', 'n1') });
  t.same(unheard(await cluster.probe()), ['nats-n2>nats-n1']);
  t.equal(await control.heal(), 1);
});

t.test('told to end, the server ends, and says no more', async (t) => {
  t.equal(await cluster.stopServer(), 0);
  t.throws(() => statSync(config.controlSocket));
  await t.rejects(control.list(), { code: 'UNREACHABLE', message: /no fault server answers on/ });
});
