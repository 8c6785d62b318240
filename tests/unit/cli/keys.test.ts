/** Goal: kvctl passes keys and values on exactly as typed. Method: run() over a client in memory. */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { FakeClient, kvctl } from '../../support/fake-client.js';

const stored = async (argv: readonly string[], key: string, input: readonly Uint8Array[] = []): Promise<string> => {
  const client = new FakeClient();
  const { code, err } = await kvctl(argv, { client, input });
  if (code !== 0) throw new Error(err);
  return client.valueOf(key)?.toString() ?? 'nothing was stored';
};

test('values and keys that look like numbers, options or nothing are stored as typed', async (t) => {
  t.is(await stored(['put', 'k', '--', '-5'], 'k'), '-5');
  t.is(await stored(['put', 'k', '007'], 'k'), '007');
  t.is(await stored(['put', 'k', '0x10'], 'k'), '0x10');
  t.is(await stored(['put', 'k', '1e3'], 'k'), '1e3');
  t.is(await stored(['put', 'k', '9007199254740993'], 'k'), '9007199254740993');
  t.is(await stored(['put', 'k', ''], 'k'), '');
  t.is(await stored(['put', '007', 'x'], '007'), 'x');
  t.is(await stored(['put', '--', '--key', '--value'], '--key'), '--value');
  t.is(await stored(['put', 'k', 'true'], 'k'), 'true');
  t.is(await stored(['put', 'k', 'a=b c'], 'k'), 'a=b c');
  t.is(await stored(['put', 'k', '--', '--'], 'k'), '--');
  t.is(await stored(['put', 'k', 'grün €'], 'k'), 'grün €');
});

test('put without a value takes standard input, byte for byte', async (t) => {
  const client = new FakeClient();
  const input = [Buffer.from([0, 255, 10]), Buffer.from([13, 10])];
  t.is((await kvctl(['put', 'k'], { client, input })).code, 0);
  t.deepEqual(client.valueOf('k'), Buffer.from([0, 255, 10, 13, 10]));
});

test('put takes a value from a file, and not from two places', async (t) => {
  const path = join(tmpdir(), `ringraft-value-${process.pid}`);
  writeFileSync(path, Buffer.from([1, 0, 2]));
  const client = new FakeClient();
  t.is((await kvctl(['put', 'k', '--from-file', path], { client })).code, 0);
  t.deepEqual(client.valueOf('k'), Buffer.from([1, 0, 2]));
  const both = await kvctl(['put', 'k', 'v', '--from-file', path]);
  t.is(both.code, 2);
  t.regex(both.err, /not both/);
  const missing = await kvctl(['put', 'k', '--from-file', `${path}.none`]);
  t.is(missing.code, 2);
  t.regex(missing.err, /cannot read .*none/);
});

test('get prints exactly the bytes, with a newline only on a terminal', async (t) => {
  const client = new FakeClient();
  const value = Buffer.from([0xff, 0, 0x0a, 0x80]);
  await client.put('default', 'k', value);
  for (const output of [[], ['-o', 'raw']]) {
    t.deepEqual((await kvctl(['get', 'k', ...output], { client })).out, value);
  }
  t.deepEqual((await kvctl(['get', 'k'], { client, isTTY: true })).out, Buffer.concat([value, Buffer.from('\n')]));
});

test('get -o json says key, value, revision and consistency; bytes as base64', async (t) => {
  const client = new FakeClient();
  await client.put('default', 'k', 'text');
  const first = await kvctl(['get', 'k', '-o', 'json'], { client });
  t.deepEqual(JSON.parse(first.out.toString()), {
    key: 'k',
    value: 'text',
    revision: 1,
    consistency: 'linearizable',
    maybeStale: false,
  });
  await client.put('default', 'k', Buffer.from([0xff]));
  const second = await kvctl(['get', 'k', '-o', 'json'], { client });
  t.like(JSON.parse(second.out.toString()), { valueB64: '/w==' });
});

test('keys and values in hex and base64 are decoded, and refused when they are neither', async (t) => {
  const client = new FakeClient();
  t.is((await kvctl(['put', '--key-encoding', 'hex', '00ff', 'v'], { client })).code, 0);
  t.is(client.valueOf(Buffer.from([0, 255]))?.toString(), 'v');
  t.is((await kvctl(['put', '--key-encoding=base64', 'AP8=', '--value-encoding=hex', 'dead'], { client })).code, 0);
  t.deepEqual(client.valueOf(Buffer.from([0, 255])), Buffer.from([0xde, 0xad]));
  const { out } = await kvctl(['get', '--key-encoding', 'hex', '00FF', '--value-encoding', 'base64'], { client });
  t.is(out.toString(), '3q0=\n');
  for (const [encoding, key] of [
    ['hex', 'abc'],
    ['hex', 'zz'],
    ['base64', '!!'],
  ] as const) {
    const { code, err, requests } = await kvctl(['get', '--key-encoding', encoding, key]);
    t.is(code, 2);
    t.regex(err, new RegExp(`the key is not ${encoding}`));
    t.is(requests.length, 0, 'nothing was connected to');
  }
});

test('cas replaces by value, by revision and where there is nothing, else says what it found', async (t) => {
  const client = new FakeClient();
  t.is((await kvctl(['cas', 'k', 'first', '--absent'], { client })).code, 0);
  const again = await kvctl(['cas', 'k', 'other', '--absent'], { client });
  t.is(again.code, 4);
  t.regex(again.err, /it has revision 1 now/);
  t.is((await kvctl(['cas', 'k', 'first', 'second'], { client })).code, 0);
  t.is((await kvctl(['cas', 'k', 'first', 'third'], { client })).code, 4);
  t.is((await kvctl(['cas', 'k', 'third', '--revision', '2'], { client })).code, 0);
  t.is((await kvctl(['cas', 'k', 'fourth', '--revision', '2'], { client })).code, 4);
  t.is(client.valueOf('k')?.toString(), 'third');
  const gone = await kvctl(['cas', 'none', 'a', 'b'], { client });
  t.is(gone.code, 4);
  t.regex(gone.err, /there is no such key/);
  t.is((await kvctl(['cas', 'k', '--', 'third', '-1'], { client })).code, 0);
  t.is(client.valueOf('k')?.toString(), '-1');
});

test('cas that mixes its forms is refused before anything is sent', async (t) => {
  for (const argv of [
    ['cas', 'k', 'a'],
    ['cas', 'k', 'a', 'b', '--absent'],
    ['cas', 'k', 'a', 'b', '--revision', '1'],
    ['cas', 'k', 'a', '--revision', '1', '--absent'],
    ['cas', 'k', 'a', '--revision', '-1'],
    ['cas', 'k', 'a', '--revision', 'one'],
  ]) {
    const client = new FakeClient();
    t.is((await kvctl(argv, { client })).code, 2, argv.join(' '));
    t.is(client.calls.length, 0);
  }
});

test('del removes; a second time it says so with exit code 3', async (t) => {
  const client = new FakeClient();
  await client.put('default', 'k', 'v');
  t.is((await kvctl(['del', 'k', '--revision', '9'], { client })).code, 4);
  t.is((await kvctl(['delete', 'k'], { client })).code, 0);
  const second = await kvctl(['del', 'k', '-o', 'json'], { client });
  t.is(second.code, 3);
  t.like(JSON.parse(second.out.toString()), { key: 'k', found: false });
});

test('durations and conditions reach the client as milliseconds and numbers', async (t) => {
  const client = new FakeClient();
  await kvctl(['put', 'k', 'v', '--ttl', '5m', '-t', '250ms', '-b', 'cities'], { client });
  t.deepEqual(client.calls.at(-1), { what: 'put', bucket: 'cities', options: { timeoutMs: 250, ttlMs: 300_000 } });
  await kvctl(['get', 'k', '--timeout', '2', '--consistency', 'lease'], { client });
  t.deepEqual(client.calls.at(-1)?.options, { consistency: 'lease', timeoutMs: 2000 });
});
