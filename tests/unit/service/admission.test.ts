/**
 * Goal: what is beyond a node's limits is answered BUSY at once, and what was taken in is not disturbed.
 * Method: a service whose nodes answer late, on a virtual clock.
 */
import test from 'ava';
import { startServiceFixture } from '../../support/service-fixture.js';

const statusOf = ({ headers }: { readonly headers?: Readonly<Record<string, string>> | undefined }) =>
  headers?.['Nats-Service-Error-Code'];

test('requests beyond the limit are BUSY without delay, those before them are answered, later ones as well', async (t) => {
  const { bus, ask, clock } = await startServiceFixture({ limits: { maxRequests: 10, maxBytes: 1_000_000 } });
  bus.delayMs = ({ subject }) => (subject.startsWith('_kv.') ? 500 : 1);
  const beganMs = clock.nowMs();
  const answers = Array.from({ length: 25 }, async (_, at) => {
    const message = await bus.request(`kv.put.default.k${at}`, Buffer.from('v'));
    return { status: statusOf(message), afterMs: clock.nowMs() - beganMs };
  });
  const all = await clock.until(Promise.all(answers));
  t.is(all.filter(({ status }) => status === undefined).length, 10);
  const busy = all.filter(({ status }) => status === '429');
  t.is(busy.length, 15);
  for (const { afterMs } of busy) t.true(afterMs <= 5, `${afterMs} ms`);
  t.is(statusOf(await ask('kv.put.default.k', 'v')), undefined);
});

test('bodies under way are bounded in bytes; one request is always taken in', async (t) => {
  const { bus, ask, clock } = await startServiceFixture({ limits: { maxRequests: 100, maxBytes: 1000 } });
  t.is(statusOf(await ask('kv.put.default.big', 'x'.repeat(2000))), undefined);
  const some = Array.from({ length: 4 }, () => bus.request('kv.put.default.k', Buffer.alloc(400)));
  const statuses = (await clock.until(Promise.all(some))).map(statusOf);
  t.deepEqual(statuses, [undefined, undefined, '429', '429']);
});

test('a batch counts for its operations, a scan for several requests', async (t) => {
  const { bus, ask, clock } = await startServiceFixture({ limits: { maxRequests: 20, maxBytes: 1_000_000 } });
  const ops = Array.from({ length: 60 }, (_, at) => ({ op: 'get', key: `k${at}` }));
  const batch = Buffer.from(JSON.stringify({ ops }));
  const two = await clock.until(Promise.all([1, 2].map(() => bus.request('kv.batch.default', batch))));
  t.deepEqual(two.map(statusOf), [undefined, '429']);
  const scans = await clock.until(Promise.all([1, 2].map(() => bus.request('kv.scan.default', Buffer.from('')))));
  t.deepEqual(scans.map(statusOf), [undefined, '429']);
  t.is(statusOf(await ask('kv.batch.default', batch)), undefined);
});

test('a batch that is larger than all that may be under way is taken in alone', async (t) => {
  const { ask } = await startServiceFixture({ limits: { maxRequests: 5, maxBytes: 1_000_000 } });
  const ops = Array.from({ length: 60 }, (_, at) => ({ op: 'get', key: `k${at}` }));
  t.is(statusOf(await ask('kv.batch.default', { ops })), undefined);
});
