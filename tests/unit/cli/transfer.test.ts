/** Goal: what export writes, import reads back, byte for byte; what cannot be read is named with its line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import { type Format, formatRecord, heading, readRecords } from '../../../src/cli/commands/transfer-formats.js';
import { FakeClient, kvctl } from '../../support/fake-client.js';

const directory = mkdtempSync(join(tmpdir(), 'ringraft-transfer-'));
test.after.always(() => rmSync(directory, { recursive: true, force: true }));

const awkward: readonly (readonly [Buffer, Buffer])[] = [
  [Buffer.from('plain'), Buffer.from('value')],
  [Buffer.from('quote"s, and\nlines\r\n'), Buffer.from('a,"b"\n\n')],
  [Buffer.from([0, 255, 10]), Buffer.from([13, 0, 128])],
  [Buffer.from('empty'), Buffer.alloc(0)],
  [Buffer.from('=1+1'), Buffer.from(' spaces ')],
  [Buffer.from('\ufeffbom'), Buffer.from('\ufeff')],
  [Buffer.from('grün €'), Buffer.from('007')],
];

for (const format of ['ndjson', 'csv'] as const) {
  test(`export and import of ${format} give every byte back, over files and over pipes`, async (t) => {
    const source = new FakeClient();
    for (const [key, value] of awkward) await source.put('default', key, value);
    const path = join(directory, `all.${format}`);
    const exported = await kvctl(['export', path], { client: source });
    t.is(exported.code, 0);
    t.regex(exported.err, /exported 7 keys/);
    const piped = await kvctl(['export', '--format', format], { client: source });
    t.is(piped.out.toString(), readFileSync(path, 'utf8'));

    const target = new FakeClient();
    const imported = await kvctl(['import', path, '-o', 'json'], { client: target });
    t.is(imported.code, 0, imported.err);
    t.is(JSON.parse(imported.out.toString()).imported, 7);
    for (const [key, value] of awkward) t.deepEqual(target.valueOf(key), value);

    const overPipe = new FakeClient();
    await kvctl(['import', '--format', format], {
      client: overPipe,
      input: [piped.out.subarray(0, 5), piped.out.subarray(5)],
    });
    t.deepEqual([...overPipe.entries.keys()].sort(), [...source.entries.keys()].sort());
  });

  test(`any keys and values survive ${format}`, async (t) => {
    const bytes = fc.uint8Array({ maxLength: 20 }).map((each) => Buffer.from(each));
    const text = fc.string({ maxLength: 20, unit: 'grapheme' }).map((each) => Buffer.from(each));
    const record = fc.tuple(fc.oneof(bytes, text), fc.oneof(bytes, text));
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 20 }), async (records) => {
        const file = heading(format) + records.map(([key, value]) => formatRecord(key, value, format)).join('');
        const back: [Buffer, Buffer][] = [];
        for await (const { key, value } of readRecords(Readable.from([Buffer.from(file)]), format))
          back.push([key, value]);
        t.deepEqual(back, records);
      }),
    );
  });
}

const importText = async (text: string, format: Format) => {
  const client = new FakeClient();
  return { client, ...(await kvctl(['import', '--format', format], { client, input: [Buffer.from(text)] })) };
};

test('a mistake in NDJSON is named with its line', async (t) => {
  const good = '{"key":"a","value":"b"}\n';
  for (const [bad, message] of [
    ['{"key":', /line 3: not JSON/],
    ['{"value":"x"}', /line 3: there is no "key"/],
    ['{"key":"x"}', /line 3: there is no "value"/],
    ['{"key":7,"value":"x"}', /line 3: there is no "key"/],
    ['null', /line 3: /],
    ['[1]', /line 3: /],
    ['"text"', /line 3: /],
    ['{"keyB64":"!!","value":"x"}', /line 3: .*base64/],
  ] as const) {
    const { code, err } = await importText(`${good}\n${bad}\n${good}`, 'ndjson');
    t.is(code, 2, `${bad}: ${err}`);
    t.regex(err, message);
  }
});

test('NDJSON values that are no text are kept as their JSON', async (t) => {
  const { client, code } = await importText('{"key":"a","value":{"n":1}}\r\n\r\n{"key":"b","value":5}', 'ndjson');
  t.is(code, 0);
  t.is(client.valueOf('a')?.toString(), '{"n":1}');
  t.is(client.valueOf('b')?.toString(), '5');
});

test('a mistake in CSV is named with its line', async (t) => {
  for (const [text, message] of [
    ['key,value\na,b\nc\n', /line 3/],
    ['name,value\na,b\n', /line 2: the heading must name key and value/],
    ['key,value,encoding\na,b,rot13\n', /line 2: unknown encoding rot13/],
    ['key,value,encoding\na,b,utf8\n!!,b,base64\n', /line 3: .*base64/],
    ['key,value\n"a,b\n', /not CSV/],
  ] as const) {
    const { code, err } = await importText(text, 'csv');
    t.is(code, 2, `${text}: ${err}`);
    t.regex(err, message);
  }
});

test('CSV with its columns elsewhere, a byte order mark and Windows lines is read', async (t) => {
  const { client, code, err } = await importText('\ufeffvalue,extra,key\r\n007,x,a\r\n"b,c",x,"k"\r\n', 'csv');
  t.is(code, 0, err);
  t.is(client.valueOf('a')?.toString(), '007');
  t.is(client.valueOf('k')?.toString(), 'b,c');
});

test('a key that the cluster refuses is named with its line', async (t) => {
  const { code, err } = await importText(`{"key":"a","value":""}\n{"key":"${'x'.repeat(101)}","value":""}\n`, 'ndjson');
  t.is(code, 1);
  t.regex(err, /TOO_LARGE: line 2: key too long/);
});

test('a file that cannot be read or written is a usage error', async (t) => {
  const { code, err } = await kvctl(['import', join(directory, 'none.csv')]);
  t.is(code, 2);
  t.regex(err, /cannot read/);
  const written = await kvctl(['export', join(directory, 'no', 'such', 'folder.csv')]);
  t.is(written.code, 2);
  t.regex(written.err, /cannot write/);
});

test('an empty file imports nothing', async (t) => {
  writeFileSync(join(directory, 'empty.ndjson'), '');
  t.is((await kvctl(['import', join(directory, 'empty.ndjson')])).code, 0);
});
