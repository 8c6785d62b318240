/** Goal: scan in its three forms. */
import test from 'ava';
import { FakeClient, kvctl } from '../../support/fake-client.js';

async function filled(): Promise<FakeClient> {
  const client = new FakeClient();
  for (const [key, value] of [
    ['a/1', 'one'],
    ['a/2', 'two\nlines'],
    ['b', 'x'.repeat(80)],
  ] as const) {
    await client.put('default', key, value);
  }
  await client.put('default', Buffer.from([0xff]), Buffer.from([0xfe]));
  return client;
}

const scan = async (...argv: string[]): Promise<string> =>
  (await kvctl(['scan', ...argv], { client: await filled() })).out.toString();

test('the table has a heading, aligned columns and values cut to one line', async (t) => {
  const lines = (await scan()).split('\n');
  t.regex(lines[0] ?? '', /^KEY +REVISION +VALUE$/);
  t.regex(lines[1] ?? '', /^a\/1 +1 +one$/);
  t.regex(lines[2] ?? '', /^a\/2 +2 +two lines$/);
  t.regex(lines[3] ?? '', /^b +3 +x{59}…$/);
  t.regex(lines[4] ?? '', /^0xff +4 +0xfe$/);
  t.is(lines.length, 6);
});

test('prefix, limit, reverse and keys-only hold in every form', async (t) => {
  t.is(await scan('-p', 'a/', '-k', '-o', 'raw'), 'a/1\na/2\n');
  t.is(await scan('-n', '1', '-o', 'raw'), 'a/1\tone\n');
  t.is(await scan('-r', '-n', '1', '-k', '-o', 'raw', '--key-encoding', 'hex'), 'ff\n');
  t.deepEqual(JSON.parse(await scan('-p', 'a/1', '-o', 'json')), [{ key: 'a/1', value: 'one', revision: 1 }]);
  t.deepEqual(JSON.parse(await scan('-r', '-n', '1', '-o', 'json')), [
    { keyB64: '/w==', valueB64: '/g==', revision: 4 },
  ]);
  t.deepEqual(JSON.parse(await scan('-k', '-n', '1', '-o', 'json')), [{ key: 'a/1', revision: 1 }]);
});

test('no keys: an empty list as JSON, a word on standard error as a table', async (t) => {
  t.deepEqual(JSON.parse(await scan('-p', 'zz', '-o', 'json')), []);
  const empty = await kvctl(['ls']);
  t.is(empty.code, 0);
  t.is(empty.out.length, 0);
  t.is(empty.err, 'no keys\n');
});
