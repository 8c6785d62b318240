/**
 * Goal: the public API answers as docs/protocol.md says, byte for byte.
 * Method: a service with a real client against fake nodes; requests as any NATS client would make them.
 */
import test from 'ava';
import { refusal } from '../../support/fake-cluster.js';
import { startServiceFixture } from '../../support/service-fixture.js';

test('key in the subject: put, get, delete', async (t) => {
  const { ask } = await startServiceFixture();
  const put = await ask('kv.put.cities.paris', 'capital');
  t.is(put.body, '');
  t.deepEqual(put.headers, { 'Kv-Revision': '1' });
  const got = await ask('kv.get.cities.paris');
  t.is(got.body, 'capital');
  t.deepEqual(got.headers, { 'Kv-Revision': '1', 'Kv-Consistency': 'linearizable', 'Kv-Stale': 'false' });
  const deleted = await ask('kv.del.cities.paris');
  t.is(deleted.body, '');
  t.deepEqual(deleted.headers, { 'Kv-Revision': '2', 'Kv-Found': 'true' });
  t.deepEqual((await ask('kv.del.cities.paris')).headers, { 'Kv-Revision': '0', 'Kv-Found': 'false' });
});

test('key in the subject: everything behind the bucket is the key, dots and all', async (t) => {
  const { ask, cluster } = await startServiceFixture();
  await ask('kv.put.default.a.b.c', 'x');
  t.deepEqual([...cluster.data.keys()], ['1/a.b.c']);
});

test('key in the subject: binary values pass unchanged', async (t) => {
  const { ask } = await startServiceFixture();
  const value = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
  await ask('kv.put.default.k', value);
  t.deepEqual((await ask('kv.get.default.k')).message.payload, value);
});

test('key in the subject: a missing key is 404', async (t) => {
  const { ask } = await startServiceFixture();
  const { body, headers } = await ask('kv.get.default.nothing');
  const served = { consistency: 'linearizable', stale: false };
  t.deepEqual(JSON.parse(body), {
    error: { code: 'NOT_FOUND', message: 'no such key', happened: 'no', ...served },
  });
  t.deepEqual(headers, {
    'Content-Type': 'application/json',
    'Kv-Consistency': 'linearizable',
    'Kv-Stale': 'false',
    'Nats-Service-Error': 'NOT_FOUND: no such key',
    'Nats-Service-Error-Code': '404',
  });
});

test('key in the subject: compare and swap by revision', async (t) => {
  const { ask } = await startServiceFixture();
  await ask('kv.put.default.k', '1');
  t.is((await ask('kv.cas.default.k', '2', { 'Kv-Expected-Revision': '1' })).headers['Kv-Revision'], '2');
  const refused = await ask('kv.cas.default.k', '3', { 'Kv-Expected-Revision': '1' });
  t.is(refused.headers['Nats-Service-Error-Code'], '409');
  t.is(refused.headers['Kv-Revision'], '2');
  t.deepEqual(JSON.parse(refused.body), {
    error: {
      code: 'CONFLICT',
      message: 'the condition does not hold: the key has revision 2',
      happened: 'no',
      revision: 2,
    },
  });
  const absent = await ask('kv.put.default.k', '3', { 'Kv-Expected-Revision': '0' });
  t.is(absent.headers['Nats-Service-Error-Code'], '409');
  t.is((await ask('kv.cas.default.k', '3')).headers['Nats-Service-Error-Code'], '400');
  t.is((await ask('kv.del.default.k', '', { 'Kv-Expected-Revision': '7' })).headers['Nats-Service-Error-Code'], '409');
});

test('key in the subject: headers are checked', async (t) => {
  const { ask, cluster } = await startServiceFixture();
  for (const headers of [
    { 'Kv-Expected-Revision': '-1' },
    { 'Kv-Expected-Revision': 'x' },
    { 'Kv-Expected-Revision': '99999999999999999999' },
    { 'Kv-Ttl': '0' },
    { 'Kv-Timeout': '' },
  ]) {
    t.is((await ask('kv.put.default.k', 'v', headers)).headers['Nats-Service-Error-Code'], '400');
  }
  t.is((await ask('kv.get.default.k', '', { 'Kv-Consistency': 'strong' })).headers['Nats-Service-Error-Code'], '400');
  t.is(cluster.batches.length, 0);
  await ask('kv.put.default.k', 'v', { 'Kv-Ttl': '1500' });
  t.is(cluster.batches[0]?.batch.operations[0]?.ttlMs, 1500);
  t.is((await ask('kv.get.default.k', '', { 'Kv-Consistency': 'lease' })).headers['Kv-Consistency'], 'lease');
});

test('JSON: put, get, delete', async (t) => {
  const { ask } = await startServiceFixture();
  const put = await ask('kv.put.cities', { key: 'paris', value: 'capital' });
  t.is(put.body, '{"key":"paris","revision":1}');
  t.deepEqual(put.headers, { 'Content-Type': 'application/json' });
  const got = await ask('kv.get.cities', { key: 'paris' }, { 'Content-Type': 'application/json; charset=utf-8' });
  t.is(got.body, '{"key":"paris","value":"capital","revision":1,"consistency":"linearizable","stale":false}');
  t.is((await ask('kv.del.cities', { key: 'paris' })).body, '{"key":"paris","found":true,"revision":2}');
  t.is((await ask('kv.get.cities', { key: 'paris' })).headers['Nats-Service-Error-Code'], '404');
});

test('JSON: bytes that are not UTF-8 go and come as base64', async (t) => {
  const { ask } = await startServiceFixture();
  const put = await ask('kv.put.default', { keyB64: '/wA=', valueB64: 'gIE=' });
  t.is(put.body, '{"keyB64":"/wA=","revision":1}');
  const got = JSON.parse((await ask('kv.get.default', { keyB64: '/wA=' })).body);
  t.is(got.valueB64, 'gIE=');
  t.false('value' in got);
});

test('JSON: conditions', async (t) => {
  const { ask } = await startServiceFixture();
  const status = async (op: string, body: object): Promise<string | undefined> =>
    (await ask(`kv.${op}.default`, body)).headers['Nats-Service-Error-Code'];
  t.is(await status('cas', { key: 'k', value: '1', ifAbsent: true }), undefined);
  t.is(await status('put', { key: 'k', value: '2', ifAbsent: true }), '409');
  t.is(await status('cas', { key: 'k', value: '2', expectedRevision: 1 }), undefined);
  t.is(await status('cas', { key: 'k', value: '3', expectedValue: '1' }), '409');
  t.is(await status('cas', { key: 'k', value: '3', expectedValue: '2' }), undefined);
  t.is(await status('del', { key: 'k', expectedRevision: 1 }), '409');
  t.is(await status('cas', { key: 'k', value: '3' }), '400');
  t.is(await status('put', { key: 'k', value: '3', ifAbsent: true, expectedRevision: 2 }), '400');
});

test('JSON: what is wrong with a body is said', async (t) => {
  const { ask, cluster } = await startServiceFixture();
  const wrong: [body: string, message: RegExp][] = [
    ['', /not JSON/],
    ['[]', /not a JSON object/],
    ['null', /not a JSON object/],
    ['{}', /"key" or "keyB64" is missing/],
    ['{"key":5}', /"key" is not a string/],
    ['{"key":"a"}', /"value" or "valueB64" is missing/],
    ['{"key":"a","keyB64":"YQ==","value":"x"}', /exclude each other/],
    ['{"key":"a","valueB64":"%%"}', /not base64/],
    ['{"key":"a","value":"x","ttlMs":-5}', /"ttlMs" is not a whole number/],
    ['{"key":"a","value":"x","expectedrevision":5}', /unknown field "expectedrevision"/],
    ['{"key":"","value":"x"}', /at least one byte/],
  ];
  for (const [body, message] of wrong) {
    const { headers, body: answer } = await ask('kv.put.default', body);
    t.is(headers['Nats-Service-Error-Code'], '400', body);
    t.regex(JSON.parse(answer).error.message, message);
  }
  t.is(cluster.batches.length, 0);
});

test('a Content-Type that is not served is refused by name', async (t) => {
  const { ask } = await startServiceFixture();
  const { headers, body } = await ask('kv.get.default', 'x', { 'Content-Type': 'text/xml' });
  t.is(headers['Nats-Service-Error-Code'], '400');
  t.regex(JSON.parse(body).error.message, /"text\/xml" is not served/);
});

test('scan gives pages that can be continued', async (t) => {
  const { ask, client, clock } = await startServiceFixture();
  await clock.until(
    client.putMany(
      'cities',
      ['a1', 'a2', 'a3', 'b1'].map((key) => [key, key.toUpperCase()] as const),
    ),
  );
  const first = JSON.parse((await ask('kv.scan.cities', { prefix: 'a', limit: 2 })).body);
  t.deepEqual(
    first.items.map(({ key, value }: { key: string; value: string }) => [key, value]),
    [
      ['a1', 'A1'],
      ['a2', 'A2'],
    ],
  );
  t.true(first.more);
  t.is(first.resumeAfter, 'a2');
  const second = JSON.parse((await ask('kv.scan.cities', { prefix: 'a', limit: 2, after: first.resumeAfter })).body);
  t.deepEqual(
    second.items.map(({ key }: { key: string }) => key),
    ['a3'],
  );
  t.false(second.more);
  const reverse = JSON.parse((await ask('kv.scan.cities', { after: 'b1', reverse: true, keysOnly: true })).body);
  t.deepEqual(
    reverse.items.map((item: object) => Object.keys(item).sort().join()),
    ['key,revision', 'key,revision', 'key,revision'],
  );
  t.is(reverse.items[0].key, 'a3');
  const raw = JSON.parse((await ask('kv.scan.cities.a', '', { 'Kv-Limit': '1' })).body);
  t.is(raw.items.length, 1);
  t.true(raw.more);
  t.deepEqual(JSON.parse((await ask('kv.scan.cities', { prefix: 'x' })).body), {
    items: [],
    more: false,
    consistency: 'linearizable',
    stale: false,
  });
  t.is((await ask('kv.scan.cities', { limit: 10_001 })).headers['Nats-Service-Error-Code'], '400');
});

test('a scan’s answer stops where the message is full', async (t) => {
  const { ask, client, clock, bus } = await startServiceFixture({ maxPayloadBytes: 8192 });
  const value = 'x'.repeat(1000);
  await clock.until(
    client.putMany(
      'default',
      Array.from({ length: 20 }, (_, at) => [`k${at + 10}`, value] as const),
    ),
  );
  const { body } = await ask('kv.scan.default', {});
  const page = JSON.parse(body);
  t.is(page.items.length, 6);
  t.true(page.more);
  t.is(page.resumeAfter, 'k15');
  t.true(Buffer.byteLength(body) < bus.maxPayloadBytes);
});

test('a value too large is 413 and names the limit; so is an answer that fits no message', async (t) => {
  const { ask } = await startServiceFixture({ maxPayloadBytes: 2000 });
  const put = await ask('kv.put.default.k', 'x'.repeat(1900));
  t.is(put.headers['Nats-Service-Error-Code'], '413');
  t.regex(JSON.parse(put.body).error.message, /at most 1872/);
  t.is((await ask('kv.put.default.k', Buffer.alloc(1700, 0xff))).headers['Kv-Revision'], '1');
  t.is((await ask('kv.get.default.k')).message.payload.length, 1700);
  const json = await ask('kv.get.default', { key: 'k' });
  t.is(json.headers['Nats-Service-Error-Code'], '413');
});

test('errors of the cluster have their status', async (t) => {
  const { ask, cluster } = await startServiceFixture({ timeoutMs: 300 });
  const cases = [
    ['DENIED', '403'],
    ['TOO_LARGE', '413'],
    ['BUSY', '429'],
    ['NOT_LEADER', '503'],
  ] as const;
  for (const [code, status] of cases) {
    cluster.script = ({ requestId }) => refusal(requestId, code);
    t.is((await ask('kv.put.default.k', 'v')).headers['Nats-Service-Error-Code'], status, code);
  }
  cluster.script = () => 'lost';
  const { headers, body } = await ask('kv.put.default.k', 'v');
  t.is(headers['Nats-Service-Error-Code'], '504');
  t.is(JSON.parse(body).error.happened, 'unknown');
  t.is((await ask('kv.get.none.k')).headers['Nats-Service-Error-Code'], '404');
});

test('a request’s own time-out is obeyed', async (t) => {
  const { ask, cluster, clock } = await startServiceFixture();
  cluster.script = () => 'lost';
  const beganMs = clock.nowMs();
  t.is((await ask('kv.get.default.k', '', { 'Kv-Timeout': '200' })).headers['Nats-Service-Error-Code'], '504');
  t.true(clock.nowMs() - beganMs < 300);
  t.is((await ask('kv.get.default', { key: 'k', timeoutMs: 100 })).headers['Nats-Service-Error-Code'], '504');
});

test('a write without a reply subject is executed, a read is not', async (t) => {
  const { bus, clock, cluster } = await startServiceFixture();
  bus.publish('client', 'kv.put.default.k', Buffer.from('v'));
  bus.publish('client', 'kv.get.default.k', Buffer.from(''));
  await clock.advance(100);
  t.is(cluster.applied.length, 1);
  t.is(cluster.batches.length, 1);
  bus.publish('client', 'kv.del.default.k', Buffer.from(''));
  bus.publish('client', 'kv.put.default', Buffer.from('not json'));
  await clock.advance(100);
  t.is(cluster.data.size, 0);
});

test('service discovery answers PING, INFO and STATS for all, by name and by id', async (t) => {
  const { ask } = await startServiceFixture();
  const head = { name: 'ringraft', id: 'test-n1', version: '1.2.3', metadata: { cluster: 'test', node: 'n1' } };
  for (const suffix of ['', '.ringraft', '.ringraft.test-n1']) {
    t.deepEqual(JSON.parse((await ask(`$SRV.PING${suffix}`)).body), {
      type: 'io.nats.micro.v1.ping_response',
      ...head,
    });
    const info = JSON.parse((await ask(`$SRV.INFO${suffix}`)).body);
    t.is(info.type, 'io.nats.micro.v1.info_response');
    t.is(typeof info.description, 'string');
    t.deepEqual(info.endpoints[0], { name: 'get', subject: 'kv.get.>', queue_group: 'kv', metadata: {} });
    t.deepEqual(
      info.endpoints.map(({ name }: { name: string }) => name),
      [
        ...['get', 'exists', 'ttl', 'put', 'putIfAbsent', 'cas', 'del', 'incr', 'append', 'touch'],
        ...['batch', 'scan', 'count'],
      ],
    );
  }
  await ask('kv.put.default.k', 'v');
  await ask('kv.get.default.nothing');
  const stats = JSON.parse((await ask('$SRV.STATS.ringraft')).body);
  t.is(stats.type, 'io.nats.micro.v1.stats_response');
  t.is(stats.started, '2023-11-14T22:13:20.002Z');
  const endpoint = (wanted: string) => stats.endpoints.find(({ name }: { name: string }) => name === wanted);
  const [get, put] = [endpoint('get'), endpoint('put')];
  t.is(put.num_requests, 1);
  t.is(put.num_errors, 0);
  t.is(put.last_error, '');
  t.is(put.processing_time, 2_000_000);
  t.is(put.average_processing_time, 2_000_000);
  t.is(get.num_errors, 1);
  t.is(get.last_error, 'NOT_FOUND: no such key');
});

test('stop answers what is under way and takes nothing new', async (t) => {
  const { ask, bus, clock, service } = await startServiceFixture();
  const put = bus.request('kv.put.default.k', Buffer.from('v'));
  await clock.advance(1);
  await clock.until(service.stop());
  await service.stop();
  t.is((await clock.until(put)).headers?.['Kv-Revision'], '1');
  t.true((await ask('kv.get.default.k')).message.noResponders);
  t.true((await ask('$SRV.PING')).message.noResponders);
  t.is(service.statistics.find(({ name }) => name === 'put')?.requests, 1);
});
