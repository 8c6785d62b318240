/**
 * Goal: links between real brokers, and between a node and its broker, are what the fault server says they are, and no
 * route goes round it. Method: three nats-servers joined through its proxies; the reach matrix and the brokers' own lists
 * of routes are compared with the plan.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import {
  brokerConfig,
  brokerOf,
  connectFaultControl,
  type FaultControl,
  type ProxyServerConfig,
  type Reach,
} from '../../src/faults/index.js';
import { bridge, type FaultPlan, oneWay, slowConsumer, split } from '../../src/faults/plan.js';
import { connectNats } from '../../src/transport/index.js';
import { findNatsBinary, freePort } from '../support/nats-server.js';

t.setTimeout(60_000);

const nodes = ['n1', 'n2', 'n3'];
const probeMs = 400;
const serverPath = fileURLToPath(new URL('../../src/faults/main.js', import.meta.url));

const directory = mkdtempSync(join(tmpdir(), 'ringraft-links-'));
const started: ChildProcess[] = [];

function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: 'ignore' });
  started.push(child);
  return child;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.kill(signal);
  await closed;
  return child.exitCode;
}

t.teardown(async () => {
  await Promise.all(started.map((child) => stop(child, 'SIGKILL')));
  rmSync(directory, { recursive: true, force: true });
});

async function ports(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = await freePort();
    if (!found.includes(port)) found.push(port);
  }
  return found;
}

/** Waits for a fact; what it is waiting for shows in the time-out of the file. */
async function until<T>(look: () => Promise<T>, isDone: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (isDone(seen)) return seen;
    await sleep(20);
  }
}

const cutIn = (reach: readonly Reach[]): string[] =>
  reach
    .filter(({ reached }) => !reached)
    .map(({ from, to }) => `${from}>${to}`)
    .sort();

const cutPairs = ({ effects }: FaultPlan): string[] => effects.map(({ from, to }) => `${from}>${to}`).sort();

const isWhole = (reach: readonly Reach[]): boolean => cutIn(reach).length === 0;

type Setup = {
  readonly control: FaultControl;
  readonly config: ProxyServerConfig;
  readonly monitorPorts: readonly number[];
  readonly server: ChildProcess;
};

async function setup(): Promise<Setup> {
  const [clientPorts, routePorts, pairPorts, nodePorts, monitorPorts] = await ports(15).then((all) =>
    [0, 3, 6, 9, 12].map((from) => all.slice(from, from + 3)),
  );
  const port = (list: readonly number[] | undefined, at: number): number => list?.[at] as number;
  const pairs = [
    [0, 1],
    [0, 2],
    [1, 2],
  ].map(([from = 0, to = 0], at) => ({
    from: brokerOf(nodes[from] as string),
    to: brokerOf(nodes[to] as string),
    listenPort: port(pairPorts, at),
    targetPort: port(routePorts, to),
  }));
  const config: ProxyServerConfig = {
    backEnd: 'proxy',
    controlSocket: join(directory, 'faults.sock'),
    hosts: nodes.map((node, at) => ({ node, address: '127.0.0.1', clientPort: port(clientPorts, at) })),
    pairs,
    nodes: nodes.map((node, at) => ({ node, listenPort: port(nodePorts, at), targetPort: port(clientPorts, at) })),
  };
  const configPath = join(directory, 'faults.json');
  writeFileSync(configPath, JSON.stringify(config));
  const server = start(process.execPath, [serverPath, configPath]);
  const control = connectFaultControl(config.controlSocket);
  await until(
    () => control.list().catch(() => undefined),
    (list) => list !== undefined,
  );
  nodes.forEach((node, at) => {
    const text = brokerConfig({
      name: brokerOf(node),
      clusterName: 'links',
      host: '127.0.0.1',
      clientPort: port(clientPorts, at),
      routePort: port(routePorts, at),
      routes: pairs.filter(({ from }) => from === brokerOf(node)).map(({ listenPort }) => `127.0.0.1:${listenPort}`),
      writeDeadlineMs: 2000,
      maxPendingBytes: 8 * 1024 * 1024,
    });
    const path = join(directory, `${node}.conf`);
    writeFileSync(path, text);
    start(findNatsBinary(), ['-c', path, '-m', String(port(monitorPorts, at)), '-l', join(directory, `${node}.log`)]);
  });
  return { control, config, monitorPorts: monitorPorts ?? [], server };
}

type Routes = { readonly routes: readonly { readonly port: number; readonly did_solicit: boolean }[] };

/** The ports a broker's own routes go to. */
async function dialledPorts(monitorPort: number): Promise<readonly number[]> {
  const response = await fetch(`http://127.0.0.1:${monitorPort}/routez`);
  const { routes } = (await response.json()) as Routes;
  return routes.filter((route) => route.did_solicit).map((route) => route.port);
}

const { control, config, monitorPorts, server } = await setup();
const probe = (): Promise<readonly Reach[]> => control.probe(probeMs);

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const startedMs = performance.now();
  await work();
  return Math.round(performance.now() - startedMs);
};

t.test('brokers that start after the fault server find each other, and all hear all', async (t) => {
  const reach = await until(probe, isWhole);
  t.equal(reach.length, 6);
  t.equal(statSync(config.controlSocket).mode & 0o777, 0o600, 'only this user may tell the server');
});

t.test('one way cut: exactly that direction is gone, and comes back with what TCP held', async (t) => {
  await control.inject({ id: 'one', ...oneWay('n1', 'n2') });
  t.same(cutIn(await probe()), ['nats-n1>nats-n2']);
  t.match(await control.list(), [{ id: 'one', description: 'n1 -> n2 cut' }]);
  t.equal(await control.remove('one'), true);
  t.equal(await control.remove('one'), false);
  t.comment(`whole again after ${await timed(() => until(probe, isWhole))} ms`);
});

t.test('a fault whose id is taken, or that names no link, is refused and changes nothing', async (t) => {
  await control.inject({ id: 'same', ...oneWay('n3', 'n1') });
  await t.rejects(control.inject({ id: 'same', ...oneWay('n1', 'n3') }), { code: 'CONFLICT' });
  await t.rejects(control.inject({ id: 'other', ...oneWay('n1', 'n9') }), { code: 'BAD_REQUEST', message: /nats-n9/ });
  t.same(cutIn(await probe()), ['nats-n3>nats-n1']);
  t.equal(await control.heal(), 1);
  await until(probe, isWhole);
});

t.test('a reset ends each connection of the links once, and the brokers dial again', async (t) => {
  const both = [
    { from: 'nats-n1', to: 'nats-n2' },
    { from: 'nats-n2', to: 'nats-n1' },
  ];
  t.equal(await control.reset(both), 1);
  t.comment(`whole again after ${await timed(() => until(probe, isWhole))} ms`);
  t.equal(await control.reset([...both, { from: 'nats-n1', to: 'nats-n3' }]), 2);
  await until(probe, isWhole);
});

t.test('split 1 | 2: exactly the pairs across are gone, until it heals', async (t) => {
  const plan = split([['n1'], ['n2', 'n3']]);
  await control.inject({ id: 'split', ...plan });
  t.same(cutIn(await probe()), cutPairs(plan));
  await control.heal();
  await until(probe, isWhole);
});

t.test('a cut longer than pings wait: a third broker gossips, and no route goes round the proxies', async (t) => {
  const plan = bridge(nodes, 'n3');
  await control.inject({ id: 'bridge', ...plan });
  const routeCount = async (): Promise<number> =>
    (await Promise.all(monitorPorts.map(dialledPorts))).reduce((sum, each) => sum + each.length, 0);
  const givenUpMs = await timed(() => until(routeCount, (count) => count === 2));
  t.comment(`the brokers gave the cut route up after ${givenUpMs} ms`);
  // Who connects anew is told to the others, who dial it.
  for (const [from, to] of [
    ['nats-n1', 'nats-n3'],
    ['nats-n2', 'nats-n3'],
  ] as const) {
    await control.reset([{ from, to }]);
    await until(probe, (reach) => cutIn(reach).join() === cutPairs(plan).join());
  }
  // Dials by gossip follow at once; a second more is for what is tried again.
  await sleep(1000);
  t.same(cutIn(await probe()), cutPairs(plan));
  await control.heal();
  t.comment(`whole again ${await timed(() => until(probe, isWhole))} ms after healing`);
  const proxied = config.pairs.map(({ listenPort }) => listenPort).sort();
  t.same((await Promise.all(monitorPorts.map(dialledPorts))).flat().sort(), proxied, 'every route goes by its proxy');
});

t.test('a node whose broker link is cut hears nothing, until it heals', async (t) => {
  const [, node] = config.nodes;
  const far = await connectNats({ servers: [`nats://127.0.0.1:${config.hosts[0]?.clientPort}`], name: 'far' }, [
    'client',
  ]);
  const near = await connectNats({ servers: [`nats://127.0.0.1:${node?.listenPort}`], name: 'n2' }, ['client']);
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
    ({ length }) => length > 0,
  );
  await control.inject({ id: 'slow', ...slowConsumer('n2') });
  await say('held');
  t.same(cutIn(await probe()), [], 'the brokers still hear each other');
  t.notOk(heard.includes('held'));
  await control.heal();
  await until(
    () => say('after'),
    (words) => words.includes('after'),
  );
  t.ok(heard.includes('held'), 'TCP held it');
});

t.test('told to end, the server ends, and says no more', async (t) => {
  t.equal(await stop(server, 'SIGTERM'), 0);
  t.throws(() => statSync(config.controlSocket));
  await t.rejects(control.list(), { code: 'UNREACHABLE', message: /no fault server answers on/ });
});
