/**
 * Goal: kvctl init writes what a cluster can be started from, secrets that nobody else can read, and changes only what it
 * was told to. Method: the command in this process, real files, certificates looked at with Node's own parser.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadConfig } from '../../../src/config/index.js';
import { hastyClock, kvctl, type Ran } from '../../support/fake-client.js';

type Told = {
  readonly files: readonly string[];
  readonly users: readonly { readonly name: string; readonly publicKey: string; readonly publish: readonly string[] }[];
};

function place(t: ExecutionContext) {
  const root = mkdtempSync(join(tmpdir(), 'ringraft-init-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const directory = join(root, 'secure');
  const config = join(root, 'cluster.config.json');
  writeFileSync(config, JSON.stringify({ cluster: 'main', nodes: [{ id: 'n1' }, { id: 'n2' }, { id: 'n3' }] }));
  const path = (name: string): string => join(directory, name);
  const read = (name: string): string => readFileSync(path(name), 'utf8');
  const run = (...argv: string[]): Promise<Ran> =>
    kvctl(['init', '-c', config, '--secure', directory, ...argv, '-o', 'json'], { clock: hastyClock() });
  const init = async (...argv: string[]): Promise<Told> => {
    const { code, err, out } = await run(...argv);
    t.is(code, 0, err);
    return JSON.parse(out.toString()) as Told;
  };
  return { root, config, directory, path, read, run, init };
}

const usersIn = (told: Told): Readonly<Record<string, string>> =>
  Object.fromEntries(told.users.map(({ name, publicKey }) => [name, publicKey]));

test('every user has a seed of its own, a configuration that loads, and its public key with the server', async (t) => {
  const { directory, path, read, init } = place(t);
  const { files, users } = await init('--app', 'shop:orders,carts', '--app', 'web:carts.web.>');
  t.deepEqual(readdirSync(directory).sort(), [...files].sort());
  t.deepEqual(
    users.map(({ name }) => name),
    ['node', 'admin', 'app-shop', 'app-web'],
  );
  t.is(new Set(users.map(({ publicKey }) => publicKey)).size, 4);
  const server = read('nats-server.conf');
  for (const { name, publicKey } of users) {
    t.true(server.includes(`nkey: ${publicKey}\n`), name);
    t.regex(read(`${name}.nk`), /^SU[A-Z2-7]{56}\n$/, name);
    const file = name === 'node' ? 'cluster.config.json' : `${name}.config.json`;
    const { nats, cluster, nodes } = loadConfig(path(file));
    t.is(cluster, 'main');
    t.is(nodes.length, 3);
    t.deepEqual(nats.servers, ['tls://127.0.0.1:4222']);
    t.is(nats.nkeySeedFile, path(`${name}.nk`));
    t.is(nats.tls?.caFile, path('ca.pem'));
    t.is(nats.inboxPrefix, `_INBOX.${name.replace('app-', 'app.')}`);
  }
  const buckets = loadConfig(path('cluster.config.json')).buckets.map(({ name }) => name);
  t.deepEqual(buckets, ['default', 'orders', 'carts']);
  t.notRegex(read('app-shop.config.json'), /carts/, 'no other buckets');
});

test('nobody else can read keys and seeds', async (t) => {
  const { directory, path, init } = place(t);
  const { files } = await init('--app', 'shop:orders');
  const mode = (file: string): number => statSync(file).mode & 0o777;
  t.is(mode(directory), 0o700);
  for (const name of files) t.is(mode(path(name)), /\.nk$|-key\.pem$/.test(name) ? 0o600 : 0o644, name);
});

test('the certificate is by the authority, for all hosts and for this machine', async (t) => {
  const { read, init } = place(t);
  await init('--host', 'nats.example.org', '--host', '10.0.0.7', '--host', '::1', '--port', '4333');
  const authority = new X509Certificate(read('ca.pem'));
  const certificate = new X509Certificate(read('server.pem'));
  t.true(certificate.checkIssued(authority));
  t.true(certificate.verify(authority.publicKey));
  t.true(authority.ca);
  t.false(certificate.ca);
  for (const host of ['nats.example.org', 'localhost']) t.is(certificate.checkHost(host), host);
  for (const address of ['10.0.0.7', '127.0.0.1', '::1']) t.is(certificate.checkIP(address), address);
  t.is(certificate.checkHost('example.org'), undefined);
  t.regex(read('nats-server.conf'), /^listen: "0\.0\.0\.0:4333"$/m);
  t.deepEqual(JSON.parse(read('admin.config.json')).nats.servers, [
    'tls://nats.example.org:4333',
    'tls://10.0.0.7:4333',
    'tls://[::1]:4333',
  ]);
  const yearsOf = ({ validFrom, validTo }: X509Certificate): number =>
    Math.round((Date.parse(validTo) - Date.parse(validFrom)) / 31_557_600_000);
  t.is(yearsOf(authority), 10);
  t.is(yearsOf(certificate), 2);
});

test('a directory that holds something is left alone without --force, and with it every key is another', async (t) => {
  const { path, read, run, init } = place(t);
  const before = usersIn(await init('--app', 'shop:orders'));
  const authority = read('ca.pem');
  const { code, err } = await run('--app', 'web:orders');
  t.is(code, 4);
  t.regex(err, /not empty/);
  t.is(read('ca.pem'), authority);
  const after = usersIn(await init('--app', 'web:orders', '--force'));
  t.not(read('ca.pem'), authority);
  t.not(after.node, before.node);
  t.false(existsSync(path('app-shop.nk')));
});

test('a change keeps the keys it does not name', async (t) => {
  const { path, read, run, init } = place(t);
  const first = usersIn(await init('--app', 'shop:orders', '--app', 'old:orders'));
  const certificate = read('server.pem');
  const added = await init('--add-app', 'web:carts.web.>', '--remove-app', 'old');
  const { 'app-old': _, ...kept } = first;
  const { 'app-web': web, ...rest } = usersIn(added);
  t.deepEqual(rest, kept);
  t.true(read('nats-server.conf').includes(web as string));
  t.false(read('nats-server.conf').includes(first['app-old'] as string));
  t.false(existsSync(path('app-old.nk')) || existsSync(path('app-old.config.json')));

  const other = await init('--add-app', 'shop:carts');
  t.is(usersIn(other)['app-shop'], first['app-shop'], 'other buckets, the same key');
  t.true(other.users.find(({ name }) => name === 'app-shop')?.publish.includes('kv.*.carts'));
  t.false(other.users.find(({ name }) => name === 'app-shop')?.publish.includes('kv.*.orders'));

  const rotated = usersIn(await init('--rotate-key', 'shop', '--rotate-key', 'admin'));
  t.not(rotated['app-shop'], first['app-shop']);
  t.not(rotated.admin, first.admin);
  t.is(rotated.node, first.node);
  t.is(read('server.pem'), certificate);

  await init('--renew-certificate', '--host', 'nats.example.org');
  t.is(new X509Certificate(read('server.pem')).checkHost('nats.example.org'), 'nats.example.org');
  t.true(new X509Certificate(read('server.pem')).checkIssued(new X509Certificate(read('ca.pem'))));
  const files = ['nats-server.conf', 'security.json', 'admin.config.json', 'server.pem', 'admin.nk'];
  const all = (): string[] => files.map(read);
  const unchanged = all();
  for (const wrong of [
    ['--remove-app', 'nobody'],
    ['--rotate-key', 'nobody'],
    ['--add-app', 'web:carts', '--port', '4333'],
    ['--add-app', 'web:carts', '--app', 'x:y'],
    ['--add-app', 'web'],
  ]) {
    t.not((await run(...wrong)).code, 0, wrong.join(' '));
    t.deepEqual(all(), unchanged, wrong.join(' '));
  }
});

test('the cluster of a configuration is secured with its names, settings and data', async (t) => {
  const { root, config, path, init } = place(t);
  const known = {
    cluster: 'demo',
    subjectPrefix: 'store',
    shards: 4,
    replication: 1,
    nodes: [{ id: 'a' }],
    buckets: [{ name: 'orders', id: 9 }],
    nats: { servers: ['nats://elsewhere:4222'] },
    dataDirectory: 'data',
  };
  writeFileSync(config, JSON.stringify(known));
  const { users } = await init('--app', 'shop:orders,carts');
  t.true(users.some(({ publish }) => publish.includes('store.*.carts')));
  const secured = loadConfig(path('cluster.config.json'));
  t.like(secured, { cluster: 'demo', subjectPrefix: 'store', shards: 4, dataDirectory: join(root, 'data') });
  t.deepEqual(
    secured.buckets.map(({ name, id }) => ({ name, id })),
    [
      { name: 'orders', id: 9 },
      { name: 'carts', id: 10 },
    ],
  );
});

test('without --secure it is one plain file, which is not written over', async (t) => {
  const { root } = place(t);
  const path = join(root, 'plain.config.json');
  const init = (...argv: string[]): Promise<Ran> => kvctl(['init', '-c', path, ...argv]);
  t.is((await init('--nodes', '5', '--cluster', 'demo')).code, 0);
  t.like(loadConfig(path), { cluster: 'demo', replication: 3, nats: { servers: ['nats://127.0.0.1:4222'] } });
  t.is(loadConfig(path).nodes.length, 5);
  t.is((await init()).code, 4);
  t.is((await init('--nodes', 'a,b', '--force')).code, 0);
  t.deepEqual(
    loadConfig(path).nodes.map(({ id }) => id),
    ['a', 'b'],
  );
});

test('what is wrong is said before anything is written', async (t) => {
  const { directory, run } = place(t);
  for (const argv of [
    ['--app', 'shop'],
    ['--app', 'shop:*'],
    ['--host', 'a b'],
    ['--port', '0'],
    ['--port', '70000'],
    ['--nodes', 'N1'],
    ['--cluster', 'Main'],
    ['--add-app', 'shop:orders'],
    ['--secure'],
  ]) {
    t.is((await run(...argv)).code, 2, argv.join(' '));
    t.false(existsSync(directory), argv.join(' '));
  }
  t.is((await kvctl(['init', '--app', 'shop:orders'])).code, 2);
});
