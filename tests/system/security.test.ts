/**
 * Goal: NATS lets each user do what it is for, and nothing else.
 * Method: `kvctl init --secure` writes it all, `kvctl up --secure` runs it, and the users are plain clients of the `nats`
 * package. Every refusal stands beside the same request of a user who may.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Msg, type NatsConnection, nkeyAuthenticator } from 'nats';
import t from 'tap';
import { readState } from '../../src/cli/local/state.js';
import { loadConfig } from '../../src/config/index.js';
import { connectNats } from '../../src/transport/index.js';
import { kvctlPath, type RunResult, runProgram } from '../support/cluster.js';
import { hangGuardMs } from '../support/hang-guard.js';
import { freePort } from '../support/nats-server.js';

t.setTimeout(hangGuardMs);

const root = mkdtempSync(join(tmpdir(), 'ringraft secure '));
const directory = join(root, 'keys and all');
const stateDirectory = join(root, 'state');
const port = await freePort();
const connections: NatsConnection[] = [];

const kvctl = (...args: string[]): Promise<RunResult> =>
  runProgram(kvctlPath, ['--state-dir', stateDirectory, ...args], { cwd: root, env: { NO_COLOR: '1' } });
/** `cluster` is the one of the nodes. */
const configOf = (user: string): string => join(directory, `${user}.config.json`);
const as = (user: string, ...args: string[]): Promise<RunResult> => kvctl('-c', configOf(user), ...args);

/** A plain client with the configuration that was written for the user. */
async function client(user: string): Promise<NatsConnection> {
  const { nats } = loadConfig(configOf(user));
  const connection = await connect({
    servers: [...nats.servers],
    tls: { caFile: nats.tls?.caFile ?? '' },
    authenticator: nkeyAuthenticator(Buffer.from(readFileSync(nats.nkeySeedFile ?? '', 'utf8').trim())),
    inboxPrefix: nats.inboxPrefix ?? '',
    reconnect: false,
  });
  connections.push(connection);
  return connection;
}

const timeout = 20_000;
const ask = (user: NatsConnection, subject: string, body = ''): Promise<Msg> =>
  user.request(subject, body, { timeout });
const textOf = ({ data }: Msg): string => Buffer.from(data).toString();
const refused = { code: 'PERMISSIONS_VIOLATION' };

/** What the server says of a message or a subscription, in the order of the connection. */
async function verdict(user: NatsConnection, act: () => void): Promise<string> {
  const statuses = user.status()[Symbol.asyncIterator]();
  let said = 'permitted';
  const listening = statuses.next().then(({ value }) => {
    said = `${value?.data} ${value?.permissionContext?.operation} ${value?.permissionContext?.subject}`;
  });
  act();
  await user.flush();
  await new Promise((resolve) => setImmediate(resolve));
  void listening;
  return said;
}

const publishVerdict = (user: NatsConnection, subject: string): Promise<string> =>
  verdict(user, () => user.publish(subject, 'x'));

const subscribeVerdict = (user: NatsConnection, subject: string, queue = ''): Promise<string> =>
  verdict(user, () => void user.subscribe(subject, { callback: () => {}, ...(queue === '' ? {} : { queue }) }));

t.before(async () => {
  const apps = ['--app', 'shop:orders', '--app', 'web:carts.web.>', '--app', 'leaver:orders'];
  const made = await kvctl('init', '--secure', directory, ...apps, '--port', String(port));
  if (made.code !== 0) throw new Error(made.stderr);
  const up = await kvctl('up', '--secure', directory);
  if (up.code !== 0) throw new Error(up.stderr);
});

t.test('an administrator uses kvctl with its configuration, and without: the local cluster knows it', async (t) => {
  t.equal((await as('admin', 'put', 'k', 'v')).code, 0);
  t.equal((await as('admin', 'get', 'k')).stdout.toString(), 'v');
  t.equal((await as('admin', '-b', 'carts', 'put', 'web.1', 'mine')).code, 0);
  t.equal((await as('admin', '-b', 'carts', 'put', 'office.1', 'secret')).code, 0);
  for (const command of [
    ['shard', 'ls'],
    ['cluster', 'status'],
    ['node', 'ls'],
    ['status'],
    ['scan'],
    ['metrics', 'n1'],
  ]) {
    const { code, stderr } = await as('admin', ...command);
    t.equal(code, 0, `${command.join(' ')} ${stderr}`);
  }
  t.equal((await kvctl('get', 'k')).stdout.toString(), 'v');
});

t.test('an application reads and writes its own bucket, in both forms, and no other', async (t) => {
  const shop = await client('app-shop');
  await ask(shop, 'kv.put.orders.a', 'one');
  t.equal(textOf(await ask(shop, 'kv.get.orders.a')), 'one');
  t.match(JSON.parse(textOf(await ask(shop, 'kv.put.orders', '{"key":"b","value":"two"}'))), { key: 'b' });
  t.match(JSON.parse(textOf(await ask(shop, 'kv.get.orders', '{"key":"b"}'))), { value: 'two' });
  const { items } = JSON.parse(textOf(await ask(shop, 'kv.scan.orders', '{}')));
  t.strictSame(
    items.map(({ key }: { key: string }) => key),
    ['a', 'b'],
  );

  const admin = await client('admin');
  t.equal(textOf(await ask(admin, 'kv.get.default.k')), 'v', 'it is there');
  for (const [subject, body] of [
    ['kv.get.default.k', ''],
    ['kv.get.default', '{"key":"k"}'],
    ['kv.scan.default', '{}'],
    ['kv.put.default.k', 'other'],
    ['kv.put.default', '{"key":"k","value":"other"}'],
    ['kv.del.default.k', ''],
    ['kv.get.carts.web.1', ''],
  ] as const) {
    await t.rejects(ask(shop, subject, body), refused, subject);
  }
  t.equal(textOf(await ask(admin, 'kv.get.default.k')), 'v', 'and nobody changed it');
});

t.test('an application with a key prefix has the keys below it, and no body that could name another', async (t) => {
  const web = await client('app-web');
  await ask(web, 'kv.put.carts.web.2', 'own');
  t.equal(textOf(await ask(web, 'kv.get.carts.web.1')), 'mine');
  const { items } = JSON.parse(textOf(await ask(web, 'kv.scan.carts.web.2')));
  t.strictSame(
    items.map(({ key }: { key: string }) => key),
    ['web.2'],
  );
  for (const subject of [
    'kv.get.carts.office.1',
    'kv.put.carts.office.1',
    'kv.scan.carts.office',
    'kv.scan.carts.web',
  ]) {
    await t.rejects(ask(web, subject), refused, subject);
  }
  for (const operation of ['get', 'put', 'del', 'cas', 'scan']) {
    await t.rejects(ask(web, `kv.${operation}.carts`, '{"key":"office.1","value":"x"}'), refused, operation);
  }
  t.equal((await as('admin', '-b', 'carts', 'get', 'office.1')).stdout.toString(), 'secret');
});

t.test('what nodes say to each other, nobody else may say', async (t) => {
  const [shop, admin, node] = [await client('app-shop'), await client('admin'), await client('cluster')];
  const inside = ['raft.n1', 'snap.n1.1', 'gossip.n1', 'gossip', 'mapchange'].map((rest) => `_kv.main.${rest}`);
  const asked = ['node.n1', 'admin.n1', 'scan.n1', 'manager', 'map'].map((rest) => `_kv.main.${rest}`);
  for (const subject of [...inside, ...asked]) {
    t.equal(await publishVerdict(shop, subject), `PERMISSIONS_VIOLATION publish ${subject}`);
    t.equal(await publishVerdict(node, subject.replace('n1', 'n9')), 'permitted', `a node: ${subject}`);
  }
  for (const subject of inside)
    t.match(await publishVerdict(admin, subject), 'PERMISSIONS_VIOLATION', `admin: ${subject}`);
  for (const subject of asked) t.equal(await publishVerdict(admin, subject), 'permitted', `admin: ${subject}`);
  t.match(JSON.parse(textOf(await ask(admin, '_kv.main.map'))), { map: { cluster: 'main' } });
});

t.test('an application listens to its own inbox and to nothing else', async (t) => {
  const [shop, admin, node] = [await client('app-shop'), await client('admin'), await client('cluster')];
  t.equal(await subscribeVerdict(shop, '_INBOX.app.shop.x.*'), 'permitted');
  const others = ['_INBOX.>', '_INBOX.app.>', '_INBOX.app.web.>', '_INBOX.admin.>', '_INBOX.node.>', '_INBOX.*'];
  const all = ['>', '*.>', '_kv.>', '_kv.main.mapchange', 'kv.>', 'kv.get.orders.>', '$SRV.>', '$SYS.>'];
  for (const subject of [...others, ...all]) {
    t.equal(await subscribeVerdict(shop, subject), `PERMISSIONS_VIOLATION subscription ${subject}`);
    t.match(await subscribeVerdict(admin, subject === '_INBOX.admin.>' ? '_INBOX.node.>' : subject), 'PERMISSIONS');
  }
  t.match(await subscribeVerdict(shop, 'kv.get.orders.>', 'kv'), 'PERMISSIONS_VIOLATION', 'nor takes requests over');
  t.equal(await subscribeVerdict(admin, '_INBOX.admin.>'), 'permitted');
  for (const subject of ['_INBOX.node.>', '_kv.main.>', 'kv.>']) {
    t.equal(await subscribeVerdict(node, subject), 'permitted', `a node: ${subject}`);
  }
});

t.test('two applications do not hear each other, not even when one names the inbox of the other', async (t) => {
  const [shop, web] = [await client('app-shop'), await client('app-web')];
  const heard: string[] = [];
  const wanted = shop.subscribe('_INBOX.app.shop.>', { callback: (_, message) => heard.push(textOf(message)) });
  t.match(await subscribeVerdict(web, '_INBOX.app.shop.>'), 'PERMISSIONS_VIOLATION');
  const spied: string[] = [];
  web.subscribe('_INBOX.app.web.>', { callback: (_, message) => spied.push(textOf(message)) });
  await ask(shop, 'kv.put.orders.private', 'for shop only');
  for (let at = 0; at < 10; at++) t.equal(textOf(await ask(shop, 'kv.get.orders.private')), 'for shop only');
  await ask(web, 'kv.get.carts.web.1');
  await web.flush();
  t.equal(heard.filter((text) => text === 'for shop only').length, 10, 'its own inbox carries them');
  t.strictSame(
    spied.filter((text) => text === 'for shop only'),
    [],
  );
  wanted.unsubscribe();
});

t.test('no answer goes to an internal subject, so that no node speaks for an application', async (t) => {
  const [shop, node] = [await client('app-shop'), await client('cluster')];
  const order = '{"op":"status","from":"an application"}';
  await ask(shop, 'kv.put.orders.order', order);
  const heard: string[] = [];
  node.subscribe('_kv.main.>', { callback: (_, message) => heard.push(textOf(message)) });
  await node.flush();
  node.publish('_kv.main.admin.n9', 'a sign of life');
  for (let at = 0; at < 20; at++) {
    shop.publish('kv.get.orders.order', '', { reply: '_kv.main.admin.n9' });
    shop.publish('kv.get.orders.order', '', { reply: '_kv.main.raft.n9' });
    // Behind it in the queue of whichever node: when this is answered, so would be the other.
    t.equal(textOf(await ask(shop, 'kv.get.orders.order')), order);
  }
  const sleepless = await Promise.all(Array.from({ length: 50 }, () => ask(shop, 'kv.get.orders.order')));
  t.ok(sleepless.every((answer) => textOf(answer) === order));
  await node.flush();
  t.ok(heard.includes('a sign of life'), 'it would have been heard');
  t.notOk(heard.some((text) => text.includes('an application')));
});

t.test('discovery is open, the statistics of others are not', async (t) => {
  const [shop, admin] = [await client('app-shop'), await client('admin')];
  t.match(JSON.parse(textOf(await ask(shop, '$SRV.PING.ringraft'))), { name: 'ringraft' });
  t.match(JSON.parse(textOf(await ask(admin, '$SRV.STATS.ringraft'))), { name: 'ringraft' });
  await t.rejects(ask(shop, '$SRV.STATS.ringraft'), refused);
});

t.test('nobody gets in without a key, with another, without TLS, or trusts another server', async (t) => {
  const { nats } = loadConfig(configOf('app-shop'));
  const { nkeySeedFile, ...anonymous } = nats;
  const options = { name: 'test', connectTimeoutMs: 2000 };
  const bus = await connectNats({ ...nats, ...options }, ['client']);
  await bus.close();
  await t.rejects(connectNats({ ...anonymous, ...options }, ['client']), { code: 'DENIED' }, 'anonymous');
  await t.rejects(connectNats({ ...anonymous, ...options, user: 'admin', password: '' }, ['client']), {
    code: 'DENIED',
  });
  const other = join(root, 'other');
  t.equal((await kvctl('init', '--secure', other)).code, 0);
  const strangers = loadConfig(join(other, 'admin.config.json')).nats;
  const stranger = { ...nats, ...options, nkeySeedFile: strangers.nkeySeedFile };
  await t.rejects(connectNats(stranger, ['client']), { code: 'DENIED' }, 'a key of another cluster');
  const mistrust = { ...nats, ...options, connectTimeoutMs: 300, tls: strangers.tls };
  await t.rejects(connectNats(mistrust, ['client']), { code: 'UNREACHABLE', message: /cannot trust NATS/ });

  const { said, tlsRequired } = await speakPlainly('CONNECT {"verbose":true}\r\nPING\r\nSUB > 1\r\nPING\r\n');
  t.equal(tlsRequired, true);
  t.notMatch(said, /PONG|\+OK/);
});

/** What the server says to somebody who does not begin TLS, until it hangs up. */
function speakPlainly(words: string): Promise<{ readonly said: string; readonly tlsRequired: boolean }> {
  return new Promise((resolve) => {
    const socket = connectSocket(port, '127.0.0.1');
    let heard = '';
    let hasSpoken = false;
    socket.on('data', (bytes) => {
      heard += bytes.toString();
      if (hasSpoken || !heard.includes('\r\n')) return;
      hasSpoken = true;
      socket.write(words);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      const [info = ''] = heard.split('\r\n');
      const { tls_required: tlsRequired } = JSON.parse(info.slice('INFO '.length)) as { tls_required: boolean };
      resolve({ said: heard.slice(info.length), tlsRequired });
    });
  });
}

t.test('kvctl as an application says DENIED with exit code 7, and does not wait for its time-out', async (t) => {
  for (const args of [
    ['get', 'k'],
    ['-b', 'orders', 'get', 'a'],
    ['shard', 'ls'],
    ['cluster', 'status'],
  ]) {
    const { code, stderr } = await as('app-shop', '-t', '10m', ...args);
    t.equal(code, 7, args.join(' '));
    t.match(stderr, 'DENIED: NATS refuses this user the publish to _kv.main.map');
  }
  const lost = join(directory, 'lost.config.json');
  writeFileSync(lost, readFileSync(configOf('admin'), 'utf8').replace('_INBOX.admin', '_INBOX.lost'));
  const { code, stderr } = await kvctl('-c', lost, '-t', '10m', 'get', 'k');
  t.equal(code, 7, 'nor when it may ask and not hear the answer');
  t.match(stderr, 'DENIED: NATS refuses this user the subscription to _INBOX.lost.');
});

t.test('a further node joins, with replicas that are sent to it', async (t) => {
  const added = await kvctl('node', 'add', 'n4', '--zone', 'z4', '--wait', '-o', 'json');
  t.equal(added.code, 0, added.stderr);
  t.ok(JSON.parse(added.stdout.toString()).replicas > 0);
  t.equal((await kvctl('get', 'k')).stdout.toString(), 'v');
});

t.test('an application that is added gets in, one that is taken out is thrown out', async (t) => {
  const leaver = await client('app-leaver');
  t.equal(textOf(await ask(leaver, 'kv.get.orders.a')), 'one');
  const stays = await client('app-shop');
  const changed = await kvctl('init', '--secure', directory, '--add-app', 'comer:orders', '--remove-app', 'leaver');
  t.equal(changed.code, 0, changed.stderr);
  const [broker] = readState(stateDirectory)?.brokers ?? [];
  if (broker === undefined) throw new Error('no nats-server runs');
  process.kill(broker.pid, 'SIGHUP');
  await leaver.closed();
  t.equal(textOf(await ask(stays, 'kv.get.orders.a')), 'one');
  const comer = await client('app-comer');
  t.equal(textOf(await ask(comer, 'kv.get.orders.a')), 'one');
});

t.test('no user of ours was refused anything', (t) => {
  for (const id of ['n1', 'n2', 'n3', 'n4']) {
    const log = readFileSync(join(stateDirectory, 'logs', `${id}.log`), 'utf8');
    t.match(log, 'serving');
    t.notMatch(log, 'DENIED', id);
  }
  t.end();
});

// A test and no teardown: tap begins that when nothing keeps the process alive any more, and connections do.
t.test('what was started is stopped', async (t) => {
  await Promise.all(connections.map((connection) => connection.close()));
  const { code, stderr } = await kvctl('down');
  t.equal(code, 0);
  t.match(stderr, 'stopped 5 processes');
  rmSync(root, { recursive: true });
});
