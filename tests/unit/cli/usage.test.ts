/** Goal: what goes wrong ends in one line on standard error and the right exit code, before anything is sent. */
import test from 'ava';
import { type ErrorCode, RingraftError } from '../../../src/base/index.js';
import { FakeClient, kvctl } from '../../support/fake-client.js';

test('a command line that is wrong ends with exit code 2, and no command runs', async (t) => {
  for (const argv of [
    [],
    ['gett', 'k'],
    ['get'],
    ['get', 'k', 'too-many'],
    ['get', 'k', '--nonsense'],
    ['get', 'k', '--output', 'xml'],
    ['get', 'k', '--consistency', 'sometimes'],
    ['get', 'k', '--key-encoding', 'rot13'],
    ['get', 'k', '--timeout', 'soon'],
    ['get', 'k', '--timeout', '0'],
    ['put'],
    ['put', 'k', 'v', '--ttl', '0'],
    ['put', 'k', 'v', '--from-file'],
    ['put', 'k', 'v', '--ttl', 'never'],
    ['scan', '--limit', '0'],
    ['scan', '--limit', 'ten'],
    ['import', '--format', 'xml'],
    ['shard'],
    ['shard', 'transfer-leader', 'seven', 'n2'],
    ['shard', 'transfer-leader', '7'],
    ['shard', 'transfer-leader', '7', 'n2', '--to', 'n3'],
    ['shard', 'transfer-leader', '0', '--to', 'n2'],
    ['shard', 'ls', '7'],
    ['shard', 'ls', '--node'],
    ['shard', 'info'],
    ['shard', 'info', 'seven'],
    ['node'],
    ['node', 'ls', 'n1'],
    ['shard', 'rebuild', '7'],
    ['shard', 'rebuild', '--node', 'n2'],
    ['shard', 'rebuild', 'seven', '--node', 'n2'],
    ['shard', 'rebuild', '0', '--node', 'n2'],
    ['shard', 'rebuild', '7', '--node'],
    ['shard', 'rebuild', '7', '--node', 'n2', '--wait', '-t', 'soon'],
    ['ring', 'extra'],
    ['ring', 'plan', '--add', 'n4'],
  ]) {
    const client = new FakeClient();
    const { code, err, out } = await kvctl(argv, { client });
    t.is(code, 2, `kvctl ${argv.join(' ')}: ${err}`);
    t.regex(err, /^kvctl: .+\n/);
    t.is(out.length, 0);
    t.deepEqual(client.calls, [], argv.join(' '));
  }
});

test('a mistyped command gets a suggestion', async (t) => {
  t.regex((await kvctl(['imprt', 'f'])).err, /import/);
});

test('every error code ends in its exit code', async (t) => {
  const expected: Partial<Record<ErrorCode, number>> = {
    CORRUPT: 1,
    UNREACHABLE: 1,
    BUSY: 1,
    TOO_LARGE: 1,
    CLOSED: 1,
    BAD_REQUEST: 2,
    CONFIG: 2,
    NOT_FOUND: 3,
    CONFLICT: 4,
    NO_LEADER: 5,
    NOT_LEADER: 5,
    NO_QUORUM: 5,
    TIMEOUT: 6,
    DENIED: 7,
  };
  for (const [code, exit] of Object.entries(expected) as [ErrorCode, number][]) {
    const client = new FakeClient();
    client.failure = new RingraftError(code, 'the reason');
    const ran = await kvctl(['get', 'k'], { client });
    t.is(ran.code, exit, code);
    t.is(ran.err, `kvctl: ${code}: the reason\n`);
    t.is(client.closed, 1, 'the client is closed');
  }
});

test('success is 0 and a missing key is 3', async (t) => {
  t.is((await kvctl(['put', 'k', 'v'])).code, 0);
  const missing = await kvctl(['get', 'k']);
  t.is(missing.code, 3);
  t.is(missing.err, 'kvctl: NOT_FOUND: no such key: k\n');
});

test('a write whose outcome is unknown says so', async (t) => {
  const client = new FakeClient();
  client.failure = new RingraftError('TIMEOUT', 'no answer', { happened: 'unknown' });
  t.regex((await kvctl(['put', 'k', 'v'], { client })).err, /it may have happened, or may yet/);
});

test('with -o json errors are JSON on standard error', async (t) => {
  const client = new FakeClient();
  client.failure = new RingraftError('TIMEOUT', 'no answer', { happened: 'unknown' });
  const { code, err, out } = await kvctl(['put', 'k', 'v', '-o', 'json'], { client });
  t.is(code, 6);
  t.deepEqual(JSON.parse(err), { error: { code: 'TIMEOUT', message: 'no answer', happened: 'unknown' } });
  t.is(out.length, 0);
});

test('an error that is no operating error shows itself, with exit code 1', async (t) => {
  const client = new FakeClient();
  client.failure = new TypeError('a bug');
  const { code, err } = await kvctl(['get', 'k'], { client });
  t.is(code, 1);
  t.regex(err, /unexpected: TypeError: a bug/);
});

// Alone: the variables are the whole process's.
test.serial('options come from KVCTL_ variables, and from flags before them', async (t) => {
  const client = new FakeClient();
  process.env.KVCTL_BUCKET = 'cities';
  process.env.KVCTL_TIMEOUT = '7s';
  process.env.KVCTL_KEY_ENCODING = 'hex';
  try {
    await kvctl(['get', '00ff'], { client });
    t.deepEqual(client.calls.at(-1), { what: 'get', bucket: 'cities', options: { timeoutMs: 7000 } });
    await kvctl(['get', '00ff', '-b', 'other'], { client });
    t.is(client.calls.at(-1)?.bucket, 'other');
  } finally {
    for (const name of ['KVCTL_BUCKET', 'KVCTL_TIMEOUT', 'KVCTL_KEY_ENCODING']) delete process.env[name];
  }
});

test('servers come from --server, then NATS_URL', async (t) => {
  const env = { NATS_URL: 'nats://a:1,nats://b:2' };
  const fromEnv = await kvctl(['get', 'k', '--cluster', 'c'], { env });
  t.deepEqual(fromEnv.requests[0]?.servers, ['nats://a:1', 'nats://b:2']);
  t.is(fromEnv.requests[0]?.cluster, 'c');
  const fromFlag = await kvctl(['get', 'k', '--cluster', 'c', '-s', 'nats://d:3'], { env });
  t.deepEqual(fromFlag.requests[0]?.servers, ['nats://d:3']);
});

test('help and version go to standard output with exit code 0', async (t) => {
  const help = await kvctl(['--help']);
  t.is(help.code, 0);
  for (const command of [
    'get',
    'put',
    'del',
    'cas',
    'incr',
    'append',
    'exists',
    'touch',
    'ttl',
    'mget',
    'scan',
    'count',
    'import',
    'export',
    'status',
    'bench',
    'metrics',
    'ring',
    'cluster',
    'node',
    'shard',
  ]) {
    t.regex(help.out.toString(), new RegExp(`kvctl ${command}\\b`), command);
  }
  const version = await kvctl(['--version']);
  t.is(version.out.toString(), '9.9.9\n');
  const one = await kvctl(['put', '--help']);
  t.regex(one.out.toString(), /--ttl/);
});

test('metrics reach the client', async (t) => {
  t.is((await kvctl(['metrics', 'n1'])).out.toString(), 'ringraft_up 1\n');
});

test('shell completion knows the commands below cluster, shard and node', async (t) => {
  const complete = async (...words: string[]): Promise<string[]> =>
    (await kvctl(['--get-yargs-completions', 'kvctl', ...words])).out.toString().split('\n');
  for (const [group, commands] of Object.entries({
    cluster: ['status', 'history', 'settings', 'set', 'rolling-restart'],
    shard: ['ls', 'info', 'moves', 'move', 'transfer-leader', 'rebuild'],
    node: ['ls', 'drain', 'recommission', 'decommission', 'set', 'add', 'start', 'stop', 'restart'],
  })) {
    const known = await complete(group, '');
    for (const command of commands) t.true(known.includes(command), `${group} ${command}`);
    const { code, err } = await kvctl([group]);
    t.is(code, 2);
    t.is(err, `kvctl: ${group} needs a command: ${commands.join(', ')}\n`);
  }
});

test.serial('help and errors are in one language, whatever the environment asks for', async (t) => {
  const english = await kvctl(['get', '--help']);
  const { LC_ALL } = process.env;
  process.env.LC_ALL = 'de_DE.UTF-8';
  t.teardown(() => {
    if (LC_ALL === undefined) delete process.env.LC_ALL;
    else process.env.LC_ALL = LC_ALL;
  });
  t.is((await kvctl(['get', '--help'])).out.toString(), english.out.toString());
  t.regex((await kvctl(['get', 'k', '--output', 'xml'])).err, /Invalid values/);
  t.regex((await kvctl(['get', 'k', '--nonsense'])).err, /Unknown argument: nonsense/);
});
