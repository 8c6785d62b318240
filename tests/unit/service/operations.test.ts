/**
 * Goal: every operation on one key answers as docs/protocol.md says, with the key in the subject and in JSON.
 * Method: a service with a real client against fake nodes.
 */
import test from 'ava';
import type { ScanOptions } from '../../../src/client/index.js';
import { result } from '../../support/fake-cluster.js';
import { startServiceFixture } from '../../support/service-fixture.js';
import { wallStartMs } from '../../support/virtual-clock.js';

const statusOf = ({ headers }: { readonly headers: Record<string, string> }): string | undefined =>
  headers['Nats-Service-Error-Code'];

test('incr: the amount is the body, a header or a field, and 1 where there is none; the answer is the number', async (t) => {
  const { ask } = await startServiceFixture();
  t.is((await ask('kv.incr.default.n')).body, '1');
  t.is((await ask('kv.incr.default.n', '41')).body, '42');
  const down = await ask('kv.incr.default.n', '', { 'Kv-By': '-2' });
  t.is(down.body, '40');
  t.deepEqual(down.headers, { 'Kv-Revision': '3' });
  t.is((await ask('kv.incr.default', { key: 'n', by: 2 })).body, '{"key":"n","value":42,"revision":4}');
  t.is((await ask('kv.incr.default', { key: 'n' })).body, '{"key":"n","value":43,"revision":5}');
  for (const [body, headers] of [
    ['x', {}],
    ['1.5', {}],
    ['9007199254740993', {}],
    ['1', { 'Kv-By': '1' }],
  ] as const) {
    t.is(statusOf(await ask('kv.incr.default.n', body, headers)), '400', body);
  }
  await ask('kv.put.default.text', 'abc');
  t.is(statusOf(await ask('kv.incr.default.text')), '400');
});

test('append: the answer says how long the value is', async (t) => {
  const { ask } = await startServiceFixture();
  t.deepEqual((await ask('kv.append.default.k', 'ab')).headers, { 'Kv-Revision': '1', 'Kv-Bytes': '2' });
  t.is((await ask('kv.append.default', { key: 'k', valueB64: 'Yw==' })).body, '{"key":"k","bytes":3,"revision":2}');
  t.is((await ask('kv.get.default.k')).body, 'abc');
});

test('exists: true or false, never an error', async (t) => {
  const { ask } = await startServiceFixture();
  const missing = await ask('kv.exists.default.k');
  t.is(missing.body, 'false');
  t.deepEqual(missing.headers, { 'Kv-Found': 'false', 'Kv-Consistency': 'linearizable', 'Kv-Stale': 'false' });
  t.is(
    (await ask('kv.exists.default', { key: 'k' })).body,
    '{"key":"k","found":false,"consistency":"linearizable","stale":false}',
  );
  await ask('kv.put.default.k', 'v');
  const there = await ask('kv.exists.default.k');
  t.is(there.body, 'true');
  t.is(there.headers['Kv-Found'], 'true');
  t.is(there.headers['Kv-Revision'], '1');
  t.is(
    (await ask('kv.exists.default', { key: 'k' })).body,
    '{"key":"k","found":true,"revision":1,"consistency":"linearizable","stale":false}',
  );
});

test('touch and ttl: a time to live is given, told and taken away', async (t) => {
  const { ask, clock } = await startServiceFixture();
  t.is(statusOf(await ask('kv.ttl.default.k')), '404');
  t.deepEqual((await ask('kv.touch.default.k', '', { 'Kv-Ttl': '5000' })).headers, {
    'Kv-Revision': '0',
    'Kv-Found': 'false',
  });
  await ask('kv.put.default.k', 'v');
  t.is((await ask('kv.ttl.default.k')).body, '-1');
  t.is((await ask('kv.touch.default', { key: 'k', ttlMs: 5000 })).body, '{"key":"k","found":true,"revision":2}');
  const mostLeft = wallStartMs + 5000 - clock.wallMs();
  const left = await ask('kv.ttl.default.k');
  const leastLeft = wallStartMs + 5000 - clock.wallMs();
  t.true(leastLeft <= Number(left.body) && Number(left.body) <= mostLeft);
  t.is(left.headers['Kv-Expires-At'], String(wallStartMs + 5000));
  const inJson = JSON.parse((await ask('kv.ttl.default', { key: 'k' })).body);
  t.true(0 < inJson.ttlMs && inJson.ttlMs < leastLeft);
  t.is(inJson.expiresAtMs, wallStartMs + 5000);
  await clock.advance(6000);
  t.is((await ask('kv.ttl.default.k')).body, '0', 'never below nothing');
  await ask('kv.touch.default.k');
  t.is((await ask('kv.ttl.default.k')).body, '-1');
});

test('putIfAbsent writes once', async (t) => {
  const { ask } = await startServiceFixture();
  t.is((await ask('kv.putIfAbsent.default.k', 'first')).headers['Kv-Revision'], '1');
  t.is(statusOf(await ask('kv.putIfAbsent.default.k', 'second')), '409');
  t.is(statusOf(await ask('kv.putIfAbsent.default', { key: 'k', value: 'third' })), '409');
  t.is(statusOf(await ask('kv.putIfAbsent.default', { key: 'j', value: 'x', expectedRevision: 1 })), '400');
  t.is((await ask('kv.get.default.k')).body, 'first');
});

test('a request id makes a write happen once, by whichever form it is asked for', async (t) => {
  const { ask, cluster } = await startServiceFixture();
  const headers = { 'Kv-Request-Id': 'order-17' };
  t.is((await ask('kv.incr.default.n', '', headers)).body, '1');
  t.is((await ask('kv.incr.default.n', '', headers)).body, '1');
  t.is(JSON.parse((await ask('kv.incr.default', { key: 'n', requestId: 'order-17' })).body).value, 1);
  t.is((await ask('kv.incr.default.n', '', { 'Kv-Request-Id': 'order-18' })).body, '2');
  t.is(cluster.applied.length, 2);
  t.is(statusOf(await ask('kv.put.default.n', 'x', { 'Kv-Request-Id': 'x'.repeat(257) })), '400');
  t.is(statusOf(await ask('kv.get.default.n', '', headers)), '400', 'a read has none');
});

test('the options of reads reach the client, and what was served is told', async (t) => {
  const { ask, client } = await startServiceFixture();
  const seen: unknown[] = [];
  client.lookUp = async (_bucket, _key, options) => {
    seen.push(options);
    const served = { consistency: 'one', maybeStale: true, stalenessMs: 12 } as const;
    return { item: { value: Buffer.from('v'), revision: 3, expiresAtMs: 5, ...served }, ...served };
  };
  const raw = await ask('kv.get.default.k', '', {
    'Kv-Consistency': 'one',
    'Kv-Max-Staleness': '2000',
    'Kv-Available': 'true',
  });
  t.deepEqual(raw.headers, {
    'Kv-Revision': '3',
    'Kv-Consistency': 'one',
    'Kv-Stale': 'true',
    'Kv-Staleness': '12',
    'Kv-Expires-At': '5',
  });
  const json = await ask('kv.get.default', { key: 'k', consistency: 'quorum', readQuorum: 2, available: false });
  t.deepEqual(JSON.parse(json.body), {
    key: 'k',
    value: 'v',
    revision: 3,
    consistency: 'one',
    stale: true,
    stalenessMs: 12,
    expiresAtMs: 5,
  });
  t.deepEqual(seen, [
    { consistency: 'one', maxStalenessMs: 2000, available: true },
    { consistency: 'quorum', readQuorum: 2, available: false },
  ]);
  t.is(statusOf(await ask('kv.get.default.k', '', { 'Kv-Available': 'yes' })), '400');
  t.is(statusOf(await ask('kv.get.default', { key: 'k', consistency: 'strong' })), '400');
});

test('a header of ours that means nothing here, or is spelt otherwise, is refused; others pass', async (t) => {
  const { ask, cluster } = await startServiceFixture();
  for (const header of ['Kv-Expected-Revison', 'kv-expected-revision', 'Kv-Consistency', 'KV-TTL']) {
    const refused = await ask('kv.put.default.k', 'v', { [header]: '1' });
    t.is(statusOf(refused), '400', header);
    t.regex(JSON.parse(refused.body).error.message, new RegExp(`unknown header "${header}"`));
  }
  t.is(cluster.applied.length, 0);
  t.is(statusOf(await ask('kv.put.default.k', 'v', { traceparent: '00-abc', 'Nats-Msg-Id': '7' })), undefined);
});

test('a body where none is expected is refused: it may hold a condition', async (t) => {
  const { ask } = await startServiceFixture();
  await ask('kv.put.default.k', 'v');
  for (const op of ['get', 'del', 'touch', 'exists', 'scan'])
    t.is(statusOf(await ask(`kv.${op}.default.k`, '{"expectedRevision":7}')), '400', op);
  t.is((await ask('kv.get.default.k')).body, 'v');
});

test('text that lost bytes on its way is refused, so that two keys never become one', async (t) => {
  const { ask, cluster } = await startServiceFixture();
  t.is(statusOf(await ask('kv.put.default.\ufffd', 'v')), '400');
  t.is(statusOf(await ask('kv.put.default.k', 'v', { 'Kv-Request-Id': 'a\ufffd' })), '400');
  t.is(statusOf(await ask('kv.put.default', Buffer.from('{"key":"\xff","value":"v"}', 'latin1'))), '400');
  t.is(statusOf(await ask('kv.put.default', '{"key":"\\ud800","value":"v"}')), '400');
  t.is(cluster.applied.length, 0);
});

test('scan and count take their bounds from headers as well', async (t) => {
  const { ask, client, clock } = await startServiceFixture();
  const keys = ['a1', 'a2', 'a3', 'b1'];
  await clock.until(
    client.putMany(
      'cities',
      keys.map((key) => [key, key] as const),
    ),
  );
  const scan = async (headers: Record<string, string>): Promise<string[]> =>
    JSON.parse((await ask('kv.scan.cities.a', '', headers)).body).items.map(({ key }: { key: string }) => key);
  t.deepEqual(await scan({ 'Kv-After': 'a1' }), ['a2', 'a3']);
  t.deepEqual(await scan({ 'Kv-After-B64': 'YTE=' }), ['a2', 'a3']);
  t.deepEqual(await scan({ 'Kv-Reverse': 'true', 'Kv-After': 'a3' }), ['a2', 'a1']);
  t.deepEqual(await scan({ 'Kv-Gte': 'a2', 'Kv-Lt': 'a3' }), ['a2']);
  const item = JSON.parse((await ask('kv.scan.cities.b', '', { 'Kv-Keys-Only': 'true' })).body).items[0];
  t.deepEqual(Object.keys(item), ['key', 'revision']);
  t.is(JSON.parse((await ask('kv.scan.cities')).body).items.length, 4, 'no body: everything');
  t.is((await ask('kv.count.cities.a')).body, '3');
  t.is((await ask('kv.count.cities')).body, '{"count":4,"consistency":"linearizable","stale":false}');
  t.is(
    (await ask('kv.count.cities', { gte: 'a2', lt: 'b' })).body,
    '{"count":2,"consistency":"linearizable","stale":false}',
  );
  t.is(statusOf(await ask('kv.count.cities', { limit: 5 })), '400');
});

test('no answer is sent to a subject of the cluster itself, and what asked for it is not done', async (t) => {
  const { bus, clock, cluster } = await startServiceFixture();
  for (const replyTo of ['kv.put.default.forged', '_kv.test.admin.n1', '$SYS.REQ.SERVER.PING']) {
    bus.publish('client', 'kv.put.default.k', Buffer.from('v'), { replyTo });
    bus.publish('client', 'kv.get.default.k', Buffer.from(''), { replyTo });
    bus.publish('client', '$SRV.PING', Buffer.from(''), { replyTo });
  }
  await clock.advance(100);
  t.is(cluster.applied.length, 0);
  t.is(
    bus.published.filter(({ subject }) => /^(kv\.put\.default\.forged|_kv\.test\.admin|\$SYS)/.test(subject)).length,
    0,
  );
});

test('an error that quotes a request as long as a message still fits into a message', async (t) => {
  const { ask } = await startServiceFixture({ maxPayloadBytes: 4096 });
  const long = 'x'.repeat(3800);
  for (const [subject, body, headers] of [
    ['kv.put.default', { [long]: 1, key: 'k', value: 'v' }, undefined],
    ['kv.get.default', { key: 'k', consistency: long }, undefined],
    ['kv.get.default', '{}', { 'Content-Type': long }],
    ['kv.get.default.k', '', { 'Kv-Consistency': long }],
    ['kv.get.default.k', '', { [`Kv-${long}`]: '1' }],
    [`kv.get.${long}.k`, '', undefined],
    ['kv.batch.default', { ops: [{ op: long }] }, undefined],
  ] as const) {
    const { body: answer } = await ask(subject, body, headers);
    t.true(answer.length > 20 && answer.length < 1200, `${subject.slice(0, 20)}: ${answer.length}`);
  }
});

test('what a node says at length is cut, not lost', async (t) => {
  const { ask, cluster } = await startServiceFixture({ maxPayloadBytes: 4096 });
  cluster.script = ({ requestId }) => result(requestId, { code: 9, message: 'ü'.repeat(1800) });
  const { body, headers } = await ask('kv.put.default.k', 'v');
  t.is(headers['Nats-Service-Error-Code'], '400');
  t.true(JSON.parse(body).error.message.endsWith('...'));
});

test('scans and counts of level one say so, by request and where there is no leader; other levels are refused', async (t) => {
  const { ask, client } = await startServiceFixture();
  const asked: unknown[] = [];
  client.scan = async function* (_bucket, { consistency, available, onLevel }: ScanOptions = {}) {
    asked.push([consistency, available]);
    onLevel?.('linearizable');
    yield { key: Buffer.from('a'), value: Buffer.from('1'), revision: 1 };
    onLevel?.('one');
  };
  const page = JSON.parse((await ask('kv.scan.default', { available: true })).body);
  t.like(page, { more: false, consistency: 'one', stale: true });
  await ask('kv.scan.default.a', '', { 'Kv-Consistency': 'one' });
  t.deepEqual(asked, [
    [undefined, true],
    ['one', undefined],
  ]);
  t.is(statusOf(await ask('kv.scan.default', { consistency: 'lease' })), '400');
});
