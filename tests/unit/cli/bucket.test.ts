/** Goal: kvctl bucket sends what was typed, shows what is so, and removes nothing that nobody agreed to. */
import { Readable } from 'node:stream';
import test from 'ava';
import { bucketId, nodeId, RingraftError } from '../../../src/base/index.js';
import { confirmed } from '../../../src/cli/confirm.js';
import type { ManagerAnswer, ManagerRequest } from '../../../src/wire/index.js';
import { FakeClient, kvctl } from '../../support/fake-client.js';
import { aBucket, aClusterMap } from '../../support/maps.js';

const sessions = aBucket({
  id: bucketId(2),
  name: 'sessions',
  ttlMs: 3_600_000,
  maxValueBytes: 65_536,
  cacheShare: 0.2,
});
const removed = aBucket({ id: bucketId(3), name: 'gone', isRemoved: true });
const map = aClusterMap([nodeId('n1')], [], { epoch: 9, buckets: [aBucket(), sessions, removed] });

function client(answer: ManagerAnswer | RingraftError = { done: true, epoch: 10, bucket: sessions }): FakeClient {
  const fake = new FakeClient();
  fake.onManage = ({ op }) => {
    if (op === 'map') return { map };
    if (answer instanceof RingraftError) throw answer;
    return answer;
  };
  return fake;
}

const bucket = (argv: readonly string[], fake: FakeClient) =>
  kvctl(['bucket', ...argv, '--cluster', 'test'], { client: fake });

const orders = (fake: FakeClient): readonly ManagerRequest[] =>
  fake.calls.map(({ options }) => options as ManagerRequest).filter(({ op }) => op !== 'map');

test('create and config send the settings that were given, in the units of the map', async (t) => {
  const given = [
    '--mode',
    'available',
    '--level',
    'lease',
    '--ttl',
    '1h',
    '--max-value',
    '64KiB',
    '--cache-share',
    '0.2',
  ];
  const settings = {
    mode: 'available',
    defaultLevel: 'lease',
    ttlMs: 3_600_000,
    maxValueBytes: 65_536,
    cacheShare: 0.2,
  } as const;
  for (const [word, op] of [
    ['create', 'createBucket'],
    ['config', 'configureBucket'],
  ] as const) {
    const fake = client();
    const { code, err } = await bucket([word, 'sessions', ...given], fake);
    t.is(code, 0, err);
    t.deepEqual(orders(fake), [{ op, name: 'sessions', ...settings }]);
  }
  const bare = client();
  const { out } = await bucket(['create', 'sessions'], bare);
  t.deepEqual(orders(bare), [{ op: 'createBucket', name: 'sessions' }]);
  t.is(out.toString(), 'bucket sessions has id 2 (epoch 10)\n');
  const off = client();
  await bucket(['config', 'sessions', '--ttl', '0', '--max-value', '0', '--cache-share', '0'], off);
  t.deepEqual(orders(off), [{ op: 'configureBucket', name: 'sessions', ttlMs: 0, maxValueBytes: 0, cacheShare: 0 }]);
});

test('ls, info and config without options show the buckets there are, and change nothing', async (t) => {
  const fake = client();
  const list = await bucket(['ls'], fake);
  t.is(list.code, 0);
  t.is(
    list.out.toString(),
    [
      'ID  NAME      MODE        LEVEL         TTL   MAX VALUE         CACHE',
      " 1  default   consistent  linearizable  none  the node's limit  common",
      ' 2  sessions  consistent  linearizable  1h    64KiB             0.2',
      '',
    ].join('\n'),
  );
  const data = JSON.parse((await bucket(['ls', '-o', 'json'], fake)).out.toString());
  t.deepEqual(
    data.buckets.map(({ name }: { name: string }) => name),
    ['default', 'sessions'],
  );
  for (const word of ['info', 'config']) {
    const { code, out } = await bucket([word, 'sessions'], fake);
    t.is(code, 0);
    t.regex(out.toString(), /^name +sessions\nid +2\n.*\nttl +1h\nmax-value +64KiB\ncache-share +0.2\n$/s);
    const { bucket: shown } = JSON.parse((await bucket([word, 'sessions', '-o', 'json'], fake)).out.toString());
    t.like(shown, { id: 2, name: 'sessions', ttlMs: 3_600_000 });
    t.is((await bucket([word, 'gone'], fake)).code, 3);
  }
  t.deepEqual(orders(fake), []);
});

test('rm asks for --yes where nobody can be asked, and removes with it', async (t) => {
  const fake = client();
  const { code, err } = await bucket(['rm', 'sessions'], fake);
  t.is(code, 2);
  t.regex(err, /give --yes/);
  t.is((await bucket(['rm', 'nowhere'], fake)).code, 3);
  t.deepEqual(orders(fake), []);
  const done = await bucket(['rm', 'sessions', '--yes', '-o', 'json'], fake);
  t.is(done.code, 0);
  t.deepEqual(JSON.parse(done.out.toString()), { cluster: 'test', epoch: 10, name: 'sessions', id: 2, removed: true });
  t.deepEqual(orders(fake), [{ op: 'removeBucket', name: 'sessions' }]);
});

test('what the manager refuses is told with its exit code, what cannot be meant is not asked', async (t) => {
  const conflict = client(new RingraftError('CONFLICT', 'there is one'));
  t.is((await bucket(['create', 'sessions'], conflict)).code, 4);
  t.is((await bucket(['rm', 'x', '--yes'], client(new RingraftError('NOT_FOUND', 'none')))).code, 3);
  const fake = client();
  for (const wrong of [
    ['create'],
    ['create', 'x', '--mode', 'fast'],
    ['create', 'x', '--level', 'strong'],
    ['create', 'x', '--ttl', 'soon'],
    ['create', 'x', '--max-value', 'big'],
    ['config', 'x', '--cache-share', '1.5'],
    ['config', 'x', '--cache-share', 'half'],
  ])
    t.is((await bucket(wrong, fake)).code, 2, wrong.join(' '));
  t.deepEqual(orders(fake), []);
});

test('at a terminal only a yes is a yes', async (t) => {
  const asked = async (...typed: string[]): Promise<boolean> => {
    const input = Object.assign(Readable.from(typed.map((text) => Buffer.from(text))), { isTTY: true });
    const told: string[] = [];
    const err = { write: (text: string) => told.push(text) > 0 } as unknown as NodeJS.WritableStream;
    const io = { out: err, err, in: input, env: {}, signal: new AbortController().signal };
    const answer = await confirmed(io, 'Really?');
    t.deepEqual(told, ['Really? [y/N] ']);
    return answer;
  };
  for (const yes of [['y\n'], ['yes\n'], ['Y\n'], ['ye', 's\nno\n']]) t.true(await asked(...yes), yes.join('|'));
  for (const no of [['n\n'], ['\n'], [], ['yesterday\n'], [' no yes\n']]) t.false(await asked(...no), no.join('|'));
});
