/** Goal: flags win over the environment, the environment over the file, the file over the defaults. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { loadConfig } from '../../../src/config/index.js';

const directory = mkdtempSync(join(tmpdir(), 'ringraft-config-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, 'cluster.config.json');
const nodes = [{ id: 'n1' }, { id: 'n2' }, { id: 'n3' }];
writeFileSync(
  path,
  JSON.stringify({ cluster: 'c', nodes, raft: { leaseMs: 120 }, nats: { servers: ['nats://file:1'] } }),
);

test('flags, then environment, then file, then defaults', (t) => {
  const env = { KVD_RAFT__LEASE_MS: '110', KVD_SHARDS: '8' };
  t.is(loadConfig(path).raft.voteHoldMs, 150);
  t.is(loadConfig(path).raft.leaseMs, 120);
  t.is(loadConfig(path, { env }).raft.leaseMs, 110);
  t.is(loadConfig(path, { env, overrides: ['raft.leaseMs=100'] }).raft.leaseMs, 100);
  t.is(loadConfig(path, { env, overrides: ['raft.leaseMs=100', 'raft.leaseMs=90'] }).raft.leaseMs, 90);
  t.is(loadConfig(path, { env, overrides: ['raft.leaseMs=100'] }).shards, 8);
});

test('NATS_URL replaces the servers; KVD_NODE and KVD_CONFIG are no settings', (t) => {
  const env = { NATS_URL: 'nats://a:1, nats://b:2', KVD_NODE: 'n1', KVD_CONFIG: 'x', HOME: '/' };
  t.deepEqual(loadConfig(path, { env }).nats.servers, ['nats://a:1', 'nats://b:2']);
  t.deepEqual(loadConfig(path).nats.servers, ['nats://file:1']);
});

test('an override may be JSON or text, may name what is new, and must have a path', (t) => {
  const config = loadConfig(path, {
    overrides: ['nats.servers=["nats://x:1"]', 'log.level=debug', 'buckets=[{"name":"a","id":2}]'],
  });
  t.deepEqual(config.nats.servers, ['nats://x:1']);
  t.is(config.log.level, 'debug');
  const usual = {
    mode: 'consistent',
    defaultLevel: 'linearizable',
    ttlMs: 0,
    maxValueBytes: 0,
    cacheShare: 0,
  } as const;
  t.deepEqual(config.buckets, [{ name: 'a', id: 2, ...usual }]);
  t.throws(() => loadConfig(path, { overrides: ['shards'] }), { message: /--set takes path=value/ });
  t.throws(() => loadConfig(path, { overrides: ['=1'] }), { message: /--set takes path=value/ });
  t.throws(() => loadConfig(path, { overrides: ['shrads=4'] }), {
    message: /shrads: unknown setting; did you mean shards/,
  });
  t.throws(() => loadConfig(path, { env: { KVD_SHRADS: '4' } }), { message: /shrads: unknown setting/ });
});

test('the data directory is beside the configuration, and nothing can be changed afterwards', (t) => {
  const config = loadConfig(path);
  t.is(config.dataDirectory, join(directory, '.ringraft', 'data'));
  t.is(loadConfig(path, { overrides: ['dataDirectory=/var/lib/kv'] }).dataDirectory, '/var/lib/kv');
  t.true(Object.isFrozen(config) && Object.isFrozen(config.raft) && Object.isFrozen(config.nodes[0]));
});

test('an override cannot reach the prototype of objects', (t) => {
  for (const override of ['__proto__.polluted=1', 'constructor.prototype.polluted=1', 'raft.__proto__.polluted=1']) {
    t.throws(() => loadConfig(path, { overrides: [override] }), { code: 'CONFIG' }, override);
    t.is(({} as Record<string, unknown>).polluted, undefined, override);
  }
});

test('the configuration that ships is without mistakes', (t) => {
  t.true(loadConfig(join(process.cwd(), 'cluster.config.json')).nodes.length >= 3);
});

test('files of the connection are relative to the configuration, wherever the program was started', (t) => {
  const nats = { nkeySeedFile: 'node.nk', inboxPrefix: '_INBOX.node', tls: { caFile: '../ca.pem', keyFile: '/k.pem' } };
  const overrides = [`nats=${JSON.stringify({ ...nats, credentialsFile: 'a.creds', user: 'node.nk' })}`];
  t.like(loadConfig(path, { overrides }).nats, {
    nkeySeedFile: join(directory, 'node.nk'),
    credentialsFile: join(directory, 'a.creds'),
    inboxPrefix: '_INBOX.node',
    user: 'node.nk',
    tls: { caFile: join(directory, '..', 'ca.pem'), keyFile: '/k.pem' },
  });
  t.is(loadConfig(path).nats.tls, undefined);
  for (const wrong of ['_INBOX.>', '_INBOX.*', '_INBOX.', 'a b']) {
    t.throws(() => loadConfig(path, { overrides: [`nats.inboxPrefix=${wrong}`] }), { code: 'CONFIG' }, wrong);
  }
});
