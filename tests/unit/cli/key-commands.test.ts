/** Goal: commands that add to values, ask about keys or read several. Method: run() over a client in memory. */
import test from 'ava';
import { RingraftError } from '../../../src/base/index.js';
import { FakeClient, hastyClock, kvctl } from '../../support/fake-client.js';

const printed = async (client: FakeClient, ...argv: string[]): Promise<string> => {
  const { code, out, err } = await kvctl(argv, { client });
  return code === 0 ? out.toString() : `${code}: ${err}`;
};

test('incr adds 1 or what is said, and prints the number', async (t) => {
  const client = new FakeClient();
  t.is(await printed(client, 'incr', 'n'), '1\n');
  t.is(await printed(client, 'incr', 'n', '41'), '42\n');
  t.is(await printed(client, 'incr', 'n', '--', '-2'), '40\n');
  t.is(await printed(client, 'incr', 'n', '+2'), '42\n');
  t.deepEqual(JSON.parse(await printed(client, 'incr', 'n', '-o', 'json')), { key: 'n', value: 43, revision: 5 });
  for (const amount of ['x', '1.5', '1e3', '9007199254740993', '']) {
    const { code, requests } = await kvctl(['incr', 'n', amount], { client });
    t.is(code, 2, amount);
    t.is(requests.length, 0);
  }
});

test('append adds what is typed, or standard input byte for byte', async (t) => {
  const client = new FakeClient();
  t.is(await printed(client, 'append', 'log', 'one,'), '');
  await kvctl(['append', 'log'], { client, input: [Buffer.from([0, 255])] });
  t.deepEqual(client.valueOf('log'), Buffer.from([...Buffer.from('one,'), 0, 255]));
  const json = JSON.parse(await printed(client, 'append', 'log', 'x', '-o', 'json'));
  t.deepEqual(json, { key: 'log', bytes: 7, revision: 3 });
  t.is(await printed(client, 'append', 'log', 'x', '-o', 'table'), 'revision 4, 8 bytes\n');
});

test('exists prints true, or false with exit code 3', async (t) => {
  const client = new FakeClient();
  const missing = await kvctl(['exists', 'k'], { client });
  t.is(missing.code, 3);
  t.is(missing.out.toString(), 'false\n');
  t.deepEqual(JSON.parse((await kvctl(['exists', 'k', '-o', 'json'], { client })).out.toString()), {
    key: 'k',
    found: false,
  });
  await client.put('default', 'k', 'v');
  t.is(await printed(client, 'exists', 'k'), 'true\n');
  t.like(JSON.parse(await printed(client, 'exists', 'k', '-o', 'json')), { found: true, revision: 1 });
});

test('touch takes a duration or --forever, one of them; exit code 3 when there is no such key', async (t) => {
  const client = new FakeClient();
  t.is((await kvctl(['touch', 'k', '--ttl', '1h'], { client })).code, 3);
  await client.put('default', 'k', 'v');
  t.is(await printed(client, 'touch', 'k', '--ttl', '1h'), '');
  t.deepEqual(client.calls.at(-1)?.options, { timeoutMs: 5000, ttlMs: 3_600_000 });
  t.is(await printed(client, 'touch', 'k', '--forever'), '');
  t.deepEqual(client.calls.at(-1)?.options, { timeoutMs: 5000, ttlMs: undefined });
  t.is((await kvctl(['touch', 'k'])).code, 2);
  t.is((await kvctl(['touch', 'k', '--ttl', '1h', '--forever'])).code, 2);
});

test('ttl prints what is left, and says where there is no end', async (t) => {
  const client = new FakeClient();
  const clock = hastyClock();
  t.is((await kvctl(['ttl', 'k'], { client })).code, 3);
  await client.put('default', 'k', 'v');
  t.is(await printed(client, 'ttl', 'k'), 'for ever\n');
  t.is(await printed(client, 'ttl', 'k', '-o', 'raw'), '-1\n');
  const facts = { revision: 1, consistency: 'linearizable', maybeStale: false } as const;
  client.exists = async () => ({ ...facts, expiresAtMs: clock.wallMs() + 90_000 });
  const run = async (...more: string[]): Promise<string> =>
    (await kvctl(['ttl', 'k', ...more], { client, clock })).out.toString();
  t.is(await run(), '1 m\n');
  t.is(await run('-o', 'raw'), '90000\n');
  t.like(JSON.parse(await run('-o', 'json')), { ttlMs: 90_000, expiresAtMs: clock.wallMs() + 90_000 });
  client.exists = async () => ({ ...facts, expiresAtMs: clock.wallMs() - 5 });
  t.is(await run('-o', 'raw'), '0\n');
});

test('count counts all keys, or those with a prefix', async (t) => {
  const client = new FakeClient();
  for (const key of ['a/1', 'a/2', 'b']) await client.put('default', key, '');
  t.is(await printed(client, 'count'), '3\n');
  t.is(await printed(client, 'count', 'a/'), '2\n');
  t.deepEqual(JSON.parse(await printed(client, 'count', 'a/', '-o', 'json')), { count: 2 });
  t.is(await printed(client, 'count', '--key-encoding', 'hex', '62'), '1\n');
});

test('mget prints every key it finds, names the others, and ends with exit code 3', async (t) => {
  const client = new FakeClient();
  await client.put('default', 'a', 'one');
  await client.put('default', '-b', 'two');
  t.is(await printed(client, 'mget', 'a', '-o', 'raw'), 'a\tone\n');
  t.is(await printed(client, 'mget', '-o', 'raw', '--', 'a', '-b'), 'a\tone\n-b\ttwo\n');
  t.regex(await printed(client, 'mget', 'a', 'a'), /^KEY +REVISION +VALUE\na +1 +one\na +1 +one\n$/);
  const some = await kvctl(['mget', 'a', 'none', '-o', 'json'], { client });
  t.is(some.code, 3);
  t.deepEqual(JSON.parse(some.out.toString()), [
    { key: 'a', value: 'one', revision: 1, consistency: 'linearizable', maybeStale: false },
    { key: 'none', error: { code: 'NOT_FOUND', message: 'no such key: none', happened: 'no' } },
  ]);
  client.getMany = async () => [{ ok: false as const, error: new RingraftError('TIMEOUT', 'no answer') }] as never;
  const failed = await kvctl(['mget', 'a'], { client });
  t.is(failed.code, 6);
  t.is(failed.err, 'kvctl: TIMEOUT: no answer\n');
  t.is((await kvctl(['mget'])).code, 2);
});

test('options of reads and the request id reach the client', async (t) => {
  const client = new FakeClient();
  await kvctl(['get', 'k', '--consistency', 'quorum', '--read-quorum', '2', '--available'], { client });
  t.deepEqual(client.calls.at(-1)?.options, {
    timeoutMs: 5000,
    consistency: 'quorum',
    readQuorum: 2,
    available: true,
  });
  await kvctl(['exists', 'k', '--consistency', 'one', '--max-staleness', '2s'], { client });
  t.deepEqual(client.calls.at(-1)?.options, { timeoutMs: 5000, consistency: 'one', maxStalenessMs: 2000 });
  for (const argv of [
    ['put', 'k', 'v'],
    ['del', 'k'],
    ['cas', 'k', 'v', '--absent'],
    ['incr', 'n'],
    ['append', 'log', 'v'],
    ['touch', 'k', '--forever'],
  ]) {
    await kvctl([...argv, '--request-id', 'order-17'], { client });
    t.like(client.calls.at(-1)?.options, { requestId: 'order-17' }, argv.join(' '));
  }
  for (const argv of [
    ['get', 'k', '--read-quorum', '0'],
    ['get', 'k', '--max-staleness', 'long'],
    ['put', 'k', 'v', '--available'],
    ['get', 'k', '--request-id', 'x'],
    ['put', 'k', 'v', '--request-id'],
  ]) {
    t.is((await kvctl(argv)).code, 2, argv.join(' '));
  }
});

test('a value that may be old is told so: on standard error, or as fields', async (t) => {
  const client = new FakeClient();
  const served = { consistency: 'one', maybeStale: true, stalenessMs: 12, expiresAtMs: 7 } as const;
  client.get = async () => ({ value: Buffer.from('v'), revision: 3, ...served }) as never;
  const plain = await kvctl(['get', 'k'], { client });
  t.is(plain.out.toString(), 'v');
  t.is(plain.err, 'kvctl: possibly stale: read at level one, at most 12 ms old\n');
  const json = await kvctl(['get', 'k', '-o', 'json'], { client });
  t.deepEqual(JSON.parse(json.out.toString()), { key: 'k', value: 'v', revision: 3, ...served });
  t.is(json.err, '');
});
