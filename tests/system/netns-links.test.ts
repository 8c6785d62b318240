/**
 * Goal: network namespaces shape the links of real brokers as proxies do, and leave nothing behind. Method: three
 * nats-servers, each in its namespace, and the fault server outside. Skipped without root, `ip netns` or iptables.
 */
import t from 'tap';
import { systemRandom } from '../../src/base/index.js';
import {
  flaky,
  type NetnsPlan,
  oneWay,
  prepareNetns,
  runCommand,
  setUpNetns,
  slowConsumer,
  split,
  tearDownNetns,
  throttle,
} from '../../src/faults/index.js';
import { connectNats } from '../../src/transport/index.js';
import { BrokerCluster, nodes, planned, timed, unheard, until } from '../support/broker-cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';

t.setTimeout(hangGuardMs);

/** Makes the namespaces; a text: why this machine cannot. */
async function make(): Promise<NetnsPlan | string> {
  if (process.getuid?.() !== 0) return 'takes root';
  try {
    const plan = await prepareNetns(nodes, systemRandom);
    await setUpNetns(plan);
    return plan;
  } catch (error) {
    return String(error);
  }
}

async function run(plan: NetnsPlan): Promise<void> {
  const cluster = await BrokerCluster.inNamespaces(plan);
  const { control } = cluster;
  t.teardown(async () => {
    await cluster.stop();
    await tearDownNetns(plan);
  });

  await t.test('brokers in namespaces are reached from this machine, and all hear all', async (t) => {
    t.comment(`whole after ${await cluster.untilWhole()} ms`);
    t.equal((await cluster.probe()).length, 6);
  });

  await t.test('one way cut: exactly that direction is gone, until it heals', async (t) => {
    await control.inject({ id: 'one', ...oneWay('n1', 'n2') });
    t.same(unheard(await cluster.probe()), ['nats-n1>nats-n2']);
    t.equal(await control.heal(), 1);
    t.comment(`whole again after ${await cluster.untilWhole()} ms`);
  });

  await t.test('a split longer than pings wait cuts exactly the pairs across', async (t) => {
    const plan = split([['n1'], ['n2', 'n3']]);
    await control.inject({ id: 'split', ...plan });
    t.same(unheard(await cluster.probe()), planned(plan));
    const givenUp = () =>
      until(
        () => cluster.dialledPorts(),
        ({ length }) => length === 1,
      );
    t.comment(`the brokers gave the cut routes up after ${await timed(givenUp)} ms`);
    t.same(unheard(await cluster.probe()), planned(plan));
    await control.heal();
    t.comment(`whole again ${await cluster.untilWhole()} ms after healing`);
  });

  await t.test('a reset ends each connection of the links once, and the brokers dial again', async (t) => {
    const link = { from: 'nats-n1', to: 'nats-n2' };
    t.equal(await control.reset([link, { from: link.to, to: link.from }]), 1);
    t.comment(`whole again after ${await cluster.untilWhole()} ms`);
  });

  await t.test('loss and a narrow link still let everybody hear everybody', async (t) => {
    await control.inject({ id: 'loss', ...flaky('n1', 'n2', { lossShare: 0.2 }) });
    await control.inject({ id: 'narrow', ...throttle('n1', 'n3', 20_000) });
    const rules = await runCommand(['ip', 'netns', 'exec', plan.router, 'iptables-legacy-save']);
    if (rules.code === 0) t.match(rules.stdout, /-m statistic --mode random --probability 0\.2/);
    const classes = await runCommand(['tc', '-n', plan.router, 'class', 'show', 'dev', 'host2']);
    t.match(classes.stdout, /class htb 1:10 root prio 0 rate 160Kbit/);
    await cluster.untilWhole();
    t.equal(await control.heal(), 2);
    t.equal((await runCommand(['tc', '-n', plan.router, 'class', 'show', 'dev', 'host2'])).stdout, '');
  });

  await t.test('delay is done, or refused with the reason', async (t) => {
    const trial = ['tc', '-n', plan.router, 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms'];
    const hasNetem = (await runCommand(trial)).code === 0;
    if (hasNetem) await runCommand(['tc', '-n', plan.router, 'qdisc', 'delete', 'dev', 'lo', 'root']);
    const injected = control.inject({ id: 'late', ...flaky('n1', 'n2', { delayMs: 20, jitterMs: 5 }) });
    if (hasNetem) {
      await injected;
      await cluster.untilWhole();
      t.equal(await control.heal(), 1);
    } else {
      await t.rejects(injected, { code: 'BAD_REQUEST', message: /lacks netem/ });
      t.same(await control.list(), []);
    }
  });

  await t.test('a node can be cut from its broker, one way, and nothing else can be done to it', async (t) => {
    await control.inject({ id: 'slow', ...slowConsumer('n2') });
    const lo = await runCommand(['ip', 'netns', 'exec', `rr-${plan.id}-n2`, 'iptables-legacy-save']);
    if (lo.code === 0) t.match(lo.stdout, /-A INPUT -i lo -p tcp -m tcp --sport 4222 -j DROP/);
    t.same(unheard(await cluster.probe()), [], 'brokers, and this machine, are not concerned');
    const effects = [{ from: 'n2', to: 'nats-n2', effect: { bytesPerSecond: 1000 } }];
    await t.rejects(control.inject({ id: 'narrow', description: 'x', effects }), { code: 'BAD_REQUEST' });
    t.equal(await control.heal(), 1);
  });

  await t.test('afterwards nothing is left', async (t) => {
    const bus = await connectNats({ servers: [`nats://${cluster.config.hosts[0]?.address}:4222`], name: 'last' }, [
      'client',
    ]);
    await bus.close();
    await cluster.stop();
    await tearDownNetns(plan);
    await tearDownNetns(plan);
    t.notMatch((await runCommand(['ip', 'netns'])).stdout, plan.id);
    t.notMatch((await runCommand(['ip', 'link'])).stdout, plan.rootDevice);
    t.notMatch((await runCommand(['ip', 'route'])).stdout, plan.subnet);
  });
}

const made = await make();
if (typeof made === 'string') t.pass(`network namespaces are not tested here: ${made}`, { skip: made });
else await run(made);
