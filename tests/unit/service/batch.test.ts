/**
 * Goal: a batch does what its operations would do alone, and never loses the outcome of a write.
 * Method: a service with a real client against fake nodes.
 */
import test from 'ava';
import { refusal } from '../../support/fake-cluster.js';
import { startServiceFixture } from '../../support/service-fixture.js';

type Results = readonly Record<string, never>[];

test('every operation in a batch answers as it would alone', async (t) => {
  const { ask } = await startServiceFixture();
  await ask('kv.put.default.there', 'v');
  const { body, headers } = await ask('kv.batch.default', {
    ops: [
      { op: 'put', key: 'a', value: '1' },
      { op: 'get', key: 'there' },
      { op: 'get', key: 'missing' },
      { op: 'exists', key: 'missing' },
      { op: 'del', key: 'missing' },
      { op: 'incr', key: 'n', by: 5 },
      { op: 'append', key: 'text', valueB64: '/w==' },
      { op: 'touch', key: 'missing', ttlMs: 5 },
      { op: 'putIfAbsent', key: 'there', value: 'x' },
      { op: 'cas', key: 'there', value: 'w', expectedValue: 'v' },
      { op: 'ttl', key: 'there' },
    ],
  });
  t.deepEqual(headers, { 'Content-Type': 'application/json' });
  const { results } = JSON.parse(body) as { results: Record<string, unknown>[] };
  const revisionless: Record<string, unknown>[] = results.map(({ revision, ...rest }) => ({
    ...rest,
    ...(revision ? { revision: 'some' } : {}),
  }));
  const served = { consistency: 'linearizable', stale: false };
  const read = { ...served, revision: 'some' };
  t.like(revisionless[8], { error: { code: 'CONFLICT', happened: 'no' } });
  t.deepEqual(revisionless.toSpliced(8, 1), [
    { key: 'a', revision: 'some' },
    { key: 'there', value: results[1]?.value, ...read },
    { error: { code: 'NOT_FOUND', message: 'no such key', happened: 'no', ...served } },
    { key: 'missing', found: false, ...served },
    { key: 'missing', found: false },
    { key: 'n', value: 5, revision: 'some' },
    { key: 'text', bytes: 1, revision: 'some' },
    { key: 'missing', found: false },
    { key: 'there', revision: 'some' },
    { key: 'there', ttlMs: -1, ...read },
  ]);
});

test('what is wrong with one operation of a batch spoils no other', async (t) => {
  const { ask } = await startServiceFixture();
  const { body } = await ask('kv.batch.default', {
    ops: [
      { op: 'put', key: 'a', value: '1' },
      { op: 'put', key: 'b', value: '1', expectedrevision: 3 },
      { op: 'drop', key: 'a' },
      { key: 'a' },
      5,
      { op: 'put', key: '', value: '' },
      { op: 'put', key: 'c', value: '1' },
    ],
  });
  const { results } = JSON.parse(body) as { results: { error?: { code: string; message: string } }[] };
  t.deepEqual(
    results.map(({ error }) => error?.code),
    [undefined, 'BAD_REQUEST', 'BAD_REQUEST', 'BAD_REQUEST', 'BAD_REQUEST', 'BAD_REQUEST', undefined],
  );
  t.regex(results[1]?.error?.message ?? '', /expectedrevision/);
  t.is((await ask('kv.get.default.b')).headers['Nats-Service-Error-Code'], '404');
});

test('a batch that is wrong as a whole is refused before anything is done', async (t) => {
  const { ask, cluster } = await startServiceFixture();
  const tooMany = Array.from({ length: 1001 }, () => ({ op: 'put', key: 'a', value: '' }));
  for (const [body, status] of [
    ['', '400'],
    [{}, '400'],
    [{ ops: {} }, '400'],
    [{ ops: [], more: 1 }, '400'],
    [{ ops: tooMany }, '413'],
  ] as const) {
    t.is((await ask('kv.batch.default', body)).headers['Nats-Service-Error-Code'], status, JSON.stringify(body));
  }
  t.is((await ask('kv.batch.default.key', '{}')).headers['Nats-Service-Error-Code'], '400');
  t.is((await ask('kv.batch.none', { ops: [{ op: 'get', key: 'a' }] })).headers['Nats-Service-Error-Code'], '404');
  t.is((await ask('kv.batch.default', { ops: [] })).body, '{"results":[]}');
  t.is(cluster.batches.length, 0);
});

test('values that find no room in the answer are TOO_LARGE, the others are there', async (t) => {
  const { ask } = await startServiceFixture({ maxPayloadBytes: 16_384 });
  for (let at = 0; at < 6; at++) await ask(`kv.put.default.k${at}`, 'x'.repeat(5000));
  const ops = ['k0', 'k1', 'k2', 'k3', 'none'].map((key) => ({ op: 'get', key }));
  const { message, body } = await ask('kv.batch.default', { ops: [...ops, { op: 'put', key: 'k5', value: 'v' }] });
  t.true(message.payload.length < 16_384);
  const results = (JSON.parse(body) as { results: { error?: { code: string }; value?: string }[] }).results;
  t.deepEqual(
    results.map(({ error, value }) => error?.code ?? value?.length),
    [5000, 5000, 'TOO_LARGE', 'TOO_LARGE', 'NOT_FOUND', undefined],
  );
});

test('as many outcomes of writes as a message has room for are told, however long their keys and errors', async (t) => {
  const { ask, cluster } = await startServiceFixture({ maxPayloadBytes: 16_384 });
  const ops = Array.from({ length: 60 }, (_, at) => ({ op: 'put', key: `${at}`.padEnd(190, 'k'), value: '' }));
  cluster.script = ({ requestId, key }) =>
    key.toString().startsWith('1') ? refusal(requestId, 'DISK_FULL', { message: 'm'.repeat(600) }) : undefined;
  const { message, body } = await ask('kv.batch.default', { ops });
  t.true(message.payload.length <= 16_384);
  const { results } = JSON.parse(body) as { results: Results };
  t.is(results.length, 60);
  for (const [at, { error, revision }] of results.entries()) {
    if (`${at}`.startsWith('1')) t.like(error, { code: 'DISK_FULL', happened: 'no' });
    else t.true(Number(revision) > 0);
  }
  const more = Array.from({ length: 61 }, () => ({ op: 'put', key: 'k', value: '' }));
  const refused = await ask('kv.batch.default', { ops: more });
  t.regex(JSON.parse(refused.body).error.message, /room for 60 operations/);
});

test('values are read in rounds, and no further once one finds no room', async (t) => {
  const { ask, cluster } = await startServiceFixture({ maxPayloadBytes: 262_144 });
  await ask('kv.put.default.big', 'x'.repeat(50_000));
  const asked = (): number => cluster.batches.reduce((sum, { batch }) => sum + batch.operations.length, 0);
  const before = asked();
  const get = { op: 'get', key: 'big' };
  const { body } = await ask('kv.batch.default', { ops: Array.from({ length: 400 }, () => get) });
  const { results } = JSON.parse(body) as { results: { value?: string; error?: { code: string } }[] };
  t.is(results.filter(({ value }) => value?.length === 50_000).length, 3);
  t.is(results.filter(({ error }) => error?.code === 'TOO_LARGE').length, 397);
  t.is(asked() - before, 64);
  const small = await ask('kv.batch.default', { ops: Array.from({ length: 400 }, () => ({ op: 'get', key: 'none' })) });
  t.is((JSON.parse(small.body) as { results: object[] }).results.length, 400);
  t.is(asked() - before, 464);
});

test('a request id counts for its own operation; a batch without a reply subject is executed', async (t) => {
  const { ask, bus, clock, cluster } = await startServiceFixture();
  const ops = [
    { op: 'incr', key: 'n', requestId: 'once' },
    { op: 'incr', key: 'm', requestId: 'also once' },
  ];
  const first = await ask('kv.batch.default', { ops });
  t.is((await ask('kv.batch.default', { ops })).body, first.body);
  t.is(cluster.applied.length, 2);
  bus.publish('client', 'kv.batch.default', Buffer.from(JSON.stringify({ ops: [{ op: 'incr', key: 'o' }] })));
  await clock.advance(100);
  t.is(cluster.applied.length, 3);
});

test('the batch’s time-out is that of the operations that have none', async (t) => {
  const { ask, cluster, clock } = await startServiceFixture();
  cluster.script = () => 'lost';
  const beganMs = clock.nowMs();
  const { body } = await ask('kv.batch.default', {
    timeoutMs: 300,
    ops: [
      { op: 'get', key: 'a' },
      { op: 'put', key: 'a', value: '', timeoutMs: 100 },
    ],
  });
  t.deepEqual(
    (JSON.parse(body) as { results: { error: { code: string; happened: string } }[] }).results.map(({ error }) => [
      error.code,
      error.happened,
    ]),
    [
      ['TIMEOUT', 'no'],
      ['TIMEOUT', 'unknown'],
    ],
  );
  t.true(clock.nowMs() - beganMs < 400);
});
