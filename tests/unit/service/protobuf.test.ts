/**
 * Goal: the protobuf form does all that JSON does, strictly as well.
 * Method: bodies from the compiled schema, to a service with a real client against fake nodes.
 */
import test from 'ava';
import { messages } from '../../../src/proto/index.js';
import { type Asked, type ServiceFixture, startServiceFixture } from '../../support/service-fixture.js';

const { KvRequest, KvBatchRequest, KvScanRequest, KvAnswer, KvBatchAnswer, KvScanAnswer } = messages;
type RequestFields = Parameters<typeof KvRequest.encode>[0];
const type = { 'Content-Type': 'application/protobuf' };

const asker =
  ({ ask }: ServiceFixture) =>
  (op: string, fields: RequestFields): Promise<Asked> =>
    ask(`kv.${op}.default`, Buffer.from(KvRequest.encode(fields).finish()), type);

/** The fields that were sent, bytes as text. */
function shown(message: object): Record<string, unknown> {
  const fields = Object.entries(message).filter(([name]) => !name.startsWith('_') && name !== 'key');
  return Object.fromEntries(fields.map(([name, value]) => [name, Buffer.isBuffer(value) ? value.toString() : value]));
}
const answerOf = ({ message }: Asked): Record<string, unknown> => shown(KvAnswer.decode(message.payload));
const errorOf = ({ message }: Asked): Record<string, unknown> => shown(KvAnswer.decode(message.payload).error ?? {});

test('protobuf: every operation on a key', async (t) => {
  const fixture = await startServiceFixture();
  const send = asker(fixture);
  const key = Buffer.from([0xff, 0]);
  const put = await send('put', { key, value: Buffer.from('v') });
  t.deepEqual(put.headers, type);
  t.deepEqual(KvAnswer.decode(put.message.payload).key, key);
  t.deepEqual(answerOf(put), { revision: 1 });
  const read = { revision: 1, consistency: 'linearizable', stale: false };
  t.deepEqual(answerOf(await send('get', { key, consistency: 'linearizable' })), { value: 'v', ...read });
  t.deepEqual(answerOf(await send('exists', { key })), { found: true, ...read });
  t.deepEqual(answerOf(await send('ttl', { key })), { ttlMs: -1, ...read });
  t.deepEqual(answerOf(await send('cas', { key, value: Buffer.from('w'), expectedRevision: 1 })), { revision: 2 });
  t.deepEqual(answerOf(await send('append', { key, value: Buffer.from('x') })), { revision: 3, bytes: 2 });
  t.deepEqual(answerOf(await send('touch', { key, ttlMs: 1000 })), { revision: 4, found: true });
  t.deepEqual(answerOf(await send('incr', { key: Buffer.from('n'), by: -3 })), { revision: 5, number: -3 });
  t.deepEqual(answerOf(await send('putIfAbsent', { key: Buffer.from('o'), value: Buffer.from('') })), { revision: 6 });
  t.deepEqual(answerOf(await send('del', { key })), { found: true, revision: 7 });
  const once = { key: Buffer.from('n'), requestId: 'once' };
  t.deepEqual(answerOf(await send('incr', once)), answerOf(await send('incr', once)));
});

test('protobuf: errors are messages too, and headers as in every form', async (t) => {
  const send = asker(await startServiceFixture());
  const missing = await send('get', { key: Buffer.from('k') });
  t.deepEqual(errorOf(missing), {
    code: 'NOT_FOUND',
    message: 'no such key',
    happened: 'no',
    consistency: 'linearizable',
    stale: false,
  });
  t.is(missing.headers['Nats-Service-Error-Code'], '404');
  t.is(missing.headers['Content-Type'], 'application/protobuf');
  await send('put', { key: Buffer.from('k'), value: Buffer.from('v') });
  const refused = await send('cas', { key: Buffer.from('k'), value: Buffer.from(''), expectedRevision: 0 });
  t.like(errorOf(refused), { code: 'CONFLICT', happened: 'no', revision: 1 });
});

test('protobuf: a batch and a scan', async (t) => {
  const { ask } = await startServiceFixture();
  const ops = [
    { op: 'put', key: Buffer.from('a'), value: Buffer.from('1') },
    { op: 'incr', key: Buffer.from('n') },
    { op: 'get', key: Buffer.from('missing') },
  ];
  const batch = await ask('kv.batch.default', Buffer.from(KvBatchRequest.encode({ ops }).finish()), type);
  const { results } = KvBatchAnswer.decode(batch.message.payload);
  t.is(results?.length, 3);
  t.is(results?.[1]?.number, 1);
  t.is(results?.[2]?.error?.code, 'NOT_FOUND');
  const scan = async (fields: Parameters<typeof KvScanRequest.encode>[0]) =>
    KvScanAnswer.decode(
      (await ask('kv.scan.default', Buffer.from(KvScanRequest.encode(fields).finish()), type)).message.payload,
    );
  const first = await scan({ limit: 1 });
  t.is(first.items?.[0]?.value?.toString(), '1');
  t.true(first.more);
  const second = await scan({ limit: 1, after: first.resumeAfter ?? null, keysOnly: true });
  t.is(second.items?.[0]?.key?.toString(), 'n');
  t.false(second.more);
  t.is(second.resumeAfter ?? null, null);
  const count = await ask('kv.count.default', '', type);
  t.is(KvAnswer.decode(count.message.payload).count, 2);
});

test('protobuf: fields that mean nothing to the operation, are of another number or another type, are refused', async (t) => {
  const { ask, cluster } = await startServiceFixture();
  const valid = Buffer.from(KvRequest.encode({ key: Buffer.from('k'), value: Buffer.from('v') }).finish());
  const wrong: [what: string, body: Buffer, message: RegExp][] = [
    ['a field of another operation', Buffer.concat([valid, Buffer.from([0x20, 0x02])]), /field by means nothing here/],
    ['an unknown number', Buffer.concat([valid, Buffer.from([0xf8, 0x01, 0x01])]), /unknown number/],
    ['another type', Buffer.concat([valid, Buffer.from([0x32, 0x00])]), /another type/],
    ['cut off', valid.subarray(0, valid.length - 1), /no KvRequest/],
    ['a revision beyond 2^53', Buffer.concat([valid, Buffer.from('30ffffffffffffffff7f', 'hex')]), /whole number/],
    ['no key', Buffer.from(KvRequest.encode({ value: Buffer.from('v') }).finish()), /key is missing/],
  ];
  for (const [what, body, message] of wrong) {
    const asked = await ask('kv.put.default', body, type);
    t.is(asked.headers['Nats-Service-Error-Code'], '400', what);
    t.regex(String(errorOf(asked).message), message, what);
  }
  t.is(cluster.applied.length, 0);
});
