/** Goal: kvctl does with what people type what they mean. No process and no cluster: a fake client. */
import { PassThrough } from 'node:stream';
import test from 'ava';
import { type ErrorCode, RingraftError } from '../../../src/base/index.js';
import { exitCodes, type RunDependencies, run } from '../../../src/cli/index.js';
import type { RingraftClient, WriteOptions } from '../../../src/client/index.js';

type Put = { readonly key: string; readonly value: Buffer; readonly options: WriteOptions | undefined };

class FakeClient {
  readonly puts: Put[] = [];
  readonly values = new Map<string, Buffer>();
  failure: RingraftError | undefined;

  get(_bucket: string, key: Buffer) {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const value = this.values.get(key.toString('latin1'));
    const found = value && { value, revision: 7, consistency: 'linearizable' as const, maybeStale: false };
    return Promise.resolve(found);
  }

  put(_bucket: string, key: Buffer, value: Buffer, options?: WriteOptions) {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.puts.push({ key: key.toString('latin1'), value, options });
    this.values.set(key.toString('latin1'), value);
    return Promise.resolve({ revision: 8 });
  }

  delete(_bucket: string, key: Buffer) {
    return Promise.resolve({ found: this.values.delete(key.toString('latin1')), revision: 9 });
  }

  async putMany(bucket: string, pairs: readonly (readonly [Buffer, Buffer])[]) {
    for (const [key, value] of pairs) await this.put(bucket, key, value);
    return pairs.map(() => ({ ok: true as const, result: { revision: 1 } }));
  }

  async *scan() {
    for (const [key, value] of [...this.values].sort()) yield { key: Buffer.from(key, 'latin1'), value, revision: 3 };
  }

  close() {
    return Promise.resolve();
  }
}

async function kvctl(
  args: readonly string[],
  options: { input?: Buffer | string; client?: FakeClient; env?: Record<string, string> } = {},
) {
  const client = options.client ?? new FakeClient();
  const out = new PassThrough();
  const err = new PassThrough();
  const input = new PassThrough();
  input.end(options.input ?? '');
  const dependencies: RunDependencies = {
    version: '1.2.3',
    connect: () => Promise.resolve(client as unknown as RingraftClient),
    connectLocal: () => Promise.reject(new Error('there is no local cluster')),
  };
  const io = { out, err, in: input, env: {}, signal: new AbortController().signal };
  Object.assign(process.env, options.env);
  const code = await run(['--cluster', 'test', ...args], io, dependencies);
  for (const name of Object.keys(options.env ?? {})) delete process.env[name];
  const read = (stream: PassThrough): Buffer => (stream.read() as Buffer | null) ?? Buffer.alloc(0);
  return { code, out: read(out), err: read(err).toString(), client };
}

const stored = async (args: readonly string[], input?: string): Promise<string | undefined> =>
  (await kvctl(args, input === undefined ? {} : { input })).client.puts[0]?.value.toString();

test('values are text, whatever they look like', async (t) => {
  t.is(await stored(['put', 'k', '--', '-5']), '-5');
  t.is(await stored(['put', 'k', '-5']), '-5');
  t.is(await stored(['put', 'k', '007']), '007');
  t.is(await stored(['put', 'k', '1e3']), '1e3');
  t.is(await stored(['put', 'k', 'true']), 'true');
  t.is(await stored(['put', '--', '--key', '--value']), '--value');
});

test('an empty value is stored; a missing one is read from standard input', async (t) => {
  t.is(await stored(['put', 'k', ''], 'not this'), '');
  t.is(await stored(['put', 'k'], 'from stdin'), 'from stdin');
});

test('wrong arguments never run the command', async (t) => {
  for (const args of [
    ['put'],
    ['put', 'k', 'v', 'extra'],
    ['put', 'k', 'v', '--bogus'],
    ['put', 'k', 'v', '-o', 'xml'],
    ['gett', 'k'],
    [],
  ]) {
    const { code, client, err } = await kvctl(args);
    t.is(code, exitCodes.usage, args.join(' '));
    t.deepEqual(client.puts, []);
    t.regex(err, /^kvctl: /);
  }
  t.regex((await kvctl(['gett', 'k'])).err, /Did you mean get/);
});

test('each kind of failure has its exit code', async (t) => {
  const expected: [ErrorCode, number][] = [
    ['CONFLICT', 4],
    ['NO_LEADER', 5],
    ['NO_QUORUM', 5],
    ['TIMEOUT', 6],
    ['DENIED', 7],
    ['BUSY', 1],
    ['UNREACHABLE', 1],
  ];
  for (const [failure, code] of expected) {
    const client = new FakeClient();
    client.failure = new RingraftError(failure, 'it failed', { happened: 'unknown' });
    const plain = await kvctl(['get', 'k'], { client });
    t.is(plain.code, code, failure);
    t.is(plain.out.length, 0);
    t.regex(plain.err, new RegExp(`^kvctl: ${failure}: it failed`));
    const json = await kvctl(['get', 'k', '-o', 'json'], { client });
    t.deepEqual(JSON.parse(json.err), { error: { code: failure, message: 'it failed', happened: 'unknown' } });
  }
  t.is((await kvctl(['get', 'missing'])).code, exitCodes.notFound);
  t.is((await kvctl(['del', 'missing'])).code, exitCodes.notFound);
});

test('bytes come out as they went in', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
  const client = new FakeClient();
  await kvctl(['put', 'k'], { client, input: bytes });
  t.deepEqual((await kvctl(['get', 'k'], { client })).out, bytes);
  t.is((await kvctl(['get', 'k', '--value-encoding', 'hex'], { client })).out.toString(), `${bytes.toString('hex')}\n`);
  await kvctl(['put', '--key-encoding', 'hex', '00ff', 'x'], { client });
  t.true(client.values.has('\x00\xff'));
  t.is((await kvctl(['put', '--key-encoding', 'hex', 'zz', 'x'], { client })).code, exitCodes.usage);
});

test('cas says what it expects: a value, a revision, or nothing', async (t) => {
  const expectations: [string[], WriteOptions][] = [
    [['cas', 'k', 'old', 'new'], { ifValue: Buffer.from('old') }],
    [['cas', 'k', 'new', '--revision', '7'], { ifRevision: 7 }],
    [['cas', 'k', 'new', '--absent'], { ifAbsent: true }],
  ];
  for (const [args, expected] of expectations) {
    const { client, code } = await kvctl(args);
    t.is(code, 0);
    t.is(client.puts[0]?.value.toString(), 'new');
    t.like(client.puts[0]?.options, expected);
  }
  t.is((await kvctl(['cas', 'k', 'only one'])).code, exitCodes.usage);
  t.is((await kvctl(['cas', 'k', 'v', '--revision', 'x'])).code, exitCodes.usage);
});

test('what is exported is imported the same, in both formats', async (t) => {
  const client = new FakeClient();
  for (const [key, value] of [
    ['plain', 'text'],
    ['comma', 'a,"b"\nc'],
    ['\x00\xff', '\xfe\x01'],
  ] as const) {
    client.values.set(key, Buffer.from(value, 'latin1'));
  }
  for (const format of ['ndjson', 'csv']) {
    const exported = await kvctl(['export', '--format', format], { client });
    const again = await kvctl(['import', '--format', format], { input: exported.out });
    t.is(again.code, 0, again.err);
    t.deepEqual([...again.client.values].sort(), [...client.values].sort(), format);
  }
  const bad = await kvctl(['import'], { input: '{"key":"a","value":"b"}\n{"key":1}\n' });
  t.is(bad.code, exitCodes.usage);
  t.regex(bad.err, /line 2/);
});

test('scan prints keys, pairs, or JSON', async (t) => {
  const client = new FakeClient();
  client.values.set('a', Buffer.from('1'));
  client.values.set('b', Buffer.from('2'));
  t.is((await kvctl(['scan', '-k', '-o', 'raw'], { client })).out.toString(), 'a\nb\n');
  t.is((await kvctl(['scan', '-o', 'raw'], { client })).out.toString(), 'a\t1\nb\t2\n');
  t.deepEqual(JSON.parse((await kvctl(['scan', '-o', 'json'], { client })).out.toString())[1], {
    key: 'b',
    value: '2',
    revision: 3,
  });
  t.regex((await kvctl(['scan'], { client })).out.toString(), /^KEY +REVISION +VALUE\na +3 +1\n/);
});

test('options come from the environment too, and bad ones are said', async (t) => {
  const client = new FakeClient();
  client.values.set('k', Buffer.from('v'));
  const { out } = await kvctl(['get', 'k'], { client, env: { KVCTL_OUTPUT: 'json' } });
  t.like(JSON.parse(out.toString()), { key: 'k', value: 'v', revision: 7 });
  t.is((await kvctl(['put', 'k', 'v', '--ttl', 'soon'])).code, exitCodes.usage);
  t.like((await kvctl(['put', 'k', 'v', '--ttl', '90s'])).client.puts[0]?.options, { ttlMs: 90_000 });
});

test('help and version go to standard output', async (t) => {
  t.regex((await kvctl(['--help'])).out.toString(), /kvctl put <key> \[value\]/);
  t.regex((await kvctl(['put', '--help'])).out.toString(), /tar c/);
  t.is((await kvctl(['--version'])).out.toString().trim(), '1.2.3');
  t.regex((await kvctl(['completion'])).out.toString(), /kvctl/);
});
