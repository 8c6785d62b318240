/** Goal: the message port keeps its promises. Method: the NATS adapter on a real server, one for each test that stops it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createUser } from 'nkeys.js';
import type { RingraftError } from '../../src/base/index.js';
import { type Bus, type BusMessage, connectNats, type Lane } from '../../src/transport/index.js';
import { type NatsServer, startNatsServer } from '../support/nats-server.js';
import { RawNats } from '../support/raw-nats.js';

let server: NatsServer;
const buses: Bus[] = [];

async function connect(url = server.url, wanted: readonly Lane[] = ['client']): Promise<Bus> {
  const bus = await connectNats({ servers: [url], name: 'test', connectTimeoutMs: 5000 }, wanted);
  buses.push(bus);
  return bus;
}

test.before(async () => {
  server = await startNatsServer('max_payload: 65536');
});

test.after.always(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await server?.stop();
});

/** Collects copies; `until(count)` waits for that many. */
function collect(bus: Bus, subject: string, options?: { readonly queue?: string }) {
  const seen: BusMessage[] = [];
  let wake = (): void => {};
  const subscription = bus.subscribe(
    'client',
    subject,
    (message) => {
      seen.push({ ...message, payload: Buffer.from(message.payload) });
      wake();
    },
    options,
  );
  const until = async (count: number): Promise<void> => {
    while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { seen, until, subscription };
}

const untilConnected = (bus: Bus, wanted: boolean): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => {
      if (bus.isConnected('client') === wanted) resolve();
    };
    bus.onConnectionChange(look);
    look();
  });

test('messages on one lane to one subject arrive in order, byte for byte', async (t) => {
  const [from, to] = [await connect(), await connect()];
  const { seen, until } = collect(to, 'order.*');
  await to.flush('client');
  for (let at = 0; at < 2000; at++) from.publish('client', 'order.x', Buffer.from([at & 255, at >> 8, 0, 255]));
  await until(2000);
  t.deepEqual(
    seen.map(({ payload }) => payload.readUInt16LE()),
    Array.from({ length: 2000 }, (_, at) => at),
  );
  t.is(seen[0]?.subject, 'order.x');
  t.is(seen[0]?.replyTo, undefined);
  t.is(seen[0]?.headers, undefined);
});

test('one member of a queue group gets each message, everyone else all of them', async (t) => {
  const [from, one, two, all] = [await connect(), await connect(), await connect(), await connect()];
  const first = collect(one, 'queue', { queue: 'kv' });
  const second = collect(two, 'queue', { queue: 'kv' });
  const watcher = collect(all, 'queue');
  for (const bus of [one, two, all]) await bus.flush('client');
  for (let at = 0; at < 200; at++) from.publish('client', 'queue', Buffer.from([at]));
  await watcher.until(200);
  await from.flush('client');
  for (const bus of [one, two]) await bus.flush('client');
  const got = [...first.seen, ...second.seen].map(({ payload }) => payload[0] as number).sort((a, b) => a - b);
  t.deepEqual(
    got,
    Array.from({ length: 200 }, (_, at) => at),
  );
});

test('a request that nobody listens to is answered at once with noResponders', async (t) => {
  const bus = await connect();
  const inbox = bus.newInbox();
  const { seen, until } = collect(bus, inbox);
  bus.publish('client', 'nobody.listens', Buffer.from('x'), { replyTo: inbox });
  await until(1);
  t.true(seen[0]?.noResponders);
  t.is(seen[0]?.payload.length, 0);
});

test('headers and reply subjects arrive; names keep their case', async (t) => {
  const bus = await connect();
  const { seen, until } = collect(bus, 'headers');
  const headers = { 'Kv-Revision': '7', 'kv-lower': 'a b' };
  bus.publish('client', 'headers', Buffer.alloc(0), { replyTo: 'answer.here', headers });
  await until(1);
  t.deepEqual(seen[0]?.headers, headers);
  t.is(seen[0]?.replyTo, 'answer.here');
  t.false(seen[0]?.noResponders);
});

test('inboxes are distinct, and unsubscribing ends delivery', async (t) => {
  const bus = await connect();
  t.not(bus.newInbox(), bus.newInbox());
  const { seen, subscription } = collect(bus, 'ended');
  subscription.unsubscribe();
  bus.publish('client', 'ended', Buffer.from('x'));
  await bus.flush('client');
  t.deepEqual(seen, []);
});

test('a payload beyond what the server takes is TOO_LARGE, headers counted, and the lane lives on', async (t) => {
  const bus = await connect();
  t.is(bus.maxPayloadBytes, 65_536);
  const { until } = collect(bus, 'large');
  bus.publish('client', 'large', Buffer.alloc(65_536));
  await until(1);
  t.throws(() => bus.publish('client', 'large', Buffer.alloc(65_537)), { code: 'TOO_LARGE' });
  const headers = { name: 'value' };
  t.throws(() => bus.publish('client', 'large', Buffer.alloc(65_530), { headers }), { code: 'TOO_LARGE' });
  bus.publish('client', 'large', Buffer.from('small'));
  await until(2);
  t.true(bus.isConnected('client'));
});

test('what is published while the server is down is dropped, and subscriptions come back', async (t) => {
  const own = await startNatsServer();
  t.teardown(() => own.stop());
  const bus = await connect(own.url);
  const changes: boolean[] = [];
  bus.onConnectionChange((_, connected) => changes.push(connected));
  const { seen, until } = collect(bus, 'again');
  await bus.flush('client');
  await own.stop();
  await untilConnected(bus, false);
  bus.publish('client', 'again', Buffer.from('stale'));
  t.throws(() => bus.publish('client', 'again', Buffer.alloc(9_000_000)), { code: 'TOO_LARGE' });
  await own.start();
  await untilConnected(bus, true);
  bus.publish('client', 'again', Buffer.from('fresh'));
  await until(1);
  await bus.flush('client');
  t.deepEqual(
    seen.map(({ payload }) => payload.toString()),
    ['fresh'],
  );
  t.deepEqual(changes, [false, true]);
});

test('no server: UNREACHABLE; wrong password: DENIED', async (t) => {
  const own = await startNatsServer('authorization { user: a, password: b }');
  t.teardown(() => own.stop());
  const options = { servers: [own.url], name: 'test', connectTimeoutMs: 1000 };
  await t.throwsAsync(connectNats({ ...options, user: 'a', password: 'wrong' }, ['client']), { code: 'DENIED' });
  const bus = await connectNats({ ...options, user: 'a', password: 'b' }, ['client']);
  await bus.close();
  await own.stop();
  await t.throwsAsync(connectNats({ ...options, connectTimeoutMs: 200 }, ['client']), { code: 'UNREACHABLE' });
});

test('a subject that is not permitted is told to onError', async (t) => {
  const permissions = '{ publish: "ok.>", subscribe: ["ok.>", "_INBOX.>"] }';
  const own = await startNatsServer(`authorization { users: [{ user: a, password: b, permissions: ${permissions} }] }`);
  t.teardown(() => own.stop());
  const bus = await connectNats({ servers: [own.url], name: 'test', user: 'a', password: 'b' }, ['client']);
  buses.push(bus);
  const told = new Promise<RingraftError>((resolve) => bus.onError((_, error) => resolve(error)));
  bus.publish('client', 'forbidden', Buffer.from('x'));
  t.is((await told).code, 'DENIED');
});

test('an nkey user connects with its seed, listens only to its own inbox, and nobody else connects', async (t) => {
  const [own, other] = [createUser(), createUser()];
  const permissions = '{ publish: ["ok", "_INBOX.>"], subscribe: ["ok", "_INBOX.mine.>"] }';
  const user = `{ nkey: ${own.getPublicKey()}, permissions: ${permissions} }`;
  const server = await startNatsServer(`accounts { ONE { users: [ ${user} ] } }`);
  t.teardown(() => server.stop());
  const directory = mkdtempSync(join(tmpdir(), 'ringraft-nkey-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const seedOf = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const seed = Buffer.from(own.getSeed()).toString();
  const options = { servers: [server.url], name: 'test', connectTimeoutMs: 2000 };
  const nkeySeedFile = seedOf('own', `# a remark\n${seed}\r\n`);
  const bus = await connectNats({ ...options, nkeySeedFile, inboxPrefix: '_INBOX.mine' }, ['client']);
  buses.push(bus);
  const inbox = bus.newInbox();
  t.regex(inbox, /^_INBOX\.mine\.[A-Za-z0-9]+$/);
  const { until } = collect(bus, `${inbox}.*`);
  bus.publish('client', `${inbox}.x`, Buffer.from('heard'));
  await until(1);

  const told = new Promise<RingraftError>((resolve) => bus.onError((_, error) => resolve(error)));
  bus.subscribe('client', '_INBOX.others.>', () => {});
  t.like(await told, { code: 'DENIED', fields: { subject: '_INBOX.others.>' } });

  const stranger = seedOf('other', Buffer.from(other.getSeed()).toString());
  await t.throwsAsync(connectNats({ ...options, nkeySeedFile: stranger }, ['client']), { code: 'DENIED' });
  await t.throwsAsync(connectNats(options, ['client']), { code: 'DENIED' });
  const wrong = [seedOf('wrong', 'no seed'), join(directory, 'missing')];
  for (const path of wrong) {
    await t.throwsAsync(connectNats({ ...options, nkeySeedFile: path }, ['client']), { code: 'CONFIG' });
  }
});

test('no message asks for an answer on an internal subject', async (t) => {
  const [from, to] = [await connect(), await connect()];
  const { seen, until } = collect(to, 'asked');
  await to.flush('client');
  for (const replyTo of ['_kv.main.admin.n1', '_kv.main.raft.n1', '_INBOX.x', 'anything']) {
    from.publish('client', 'asked', Buffer.from('x'), { replyTo });
  }
  await until(4);
  t.deepEqual(
    seen.map(({ replyTo }) => replyTo),
    [undefined, undefined, '_INBOX.x', 'anything'],
  );
});

test('closing sends what is pending, twice is once, and a closed bus publishes nothing', async (t) => {
  const [from, to] = [await connect(), await connect()];
  const { until, seen } = collect(to, 'last');
  await to.flush('client');
  from.publish('client', 'last', Buffer.from('words'));
  await Promise.all([from.close(), from.close()]);
  from.publish('client', 'last', Buffer.from('no more'));
  await until(1);
  t.is(seen.length, 1);
  t.false(from.isConnected('client'));
});

test('issue: a header that the client does not like ended the reading of its connection', async (t) => {
  const bus = await connect();
  const { seen, until } = collect(bus, 'headers.*');
  await bus.flush('client');
  const raw = await RawNats.connect(server.port);
  const wrong = [
    'NATS/1.0\r\nKv Name: x\r\n\r\n',
    'NATS/1.0\r\nA: b\nc\r\n\r\n',
    `NATS/1.0\r\n${'a: b\r\n'.repeat(2000)}\r\n`,
  ];
  for (const text of wrong) raw.publish('headers.wrong', Buffer.from('body'), { headers: Buffer.from(text) });
  raw.publish('headers.strange', Buffer.from('x'), { headers: Buffer.from('\xff\x00 nothing like headers', 'latin1') });
  raw.publish('headers.right', Buffer.from(''), { headers: Buffer.from('NATS/1.0\r\nA: 1\r\nB:  2 \r\nA: 3\r\n\r\n') });
  await until(wrong.length + 2);
  raw.close();
  for (const { payload, headers, hasBadHeaders } of seen.slice(0, wrong.length)) {
    t.is(payload.toString(), 'body');
    t.is(headers, undefined);
    t.true(hasBadHeaders);
  }
  t.is(seen.at(-2)?.payload.toString(), 'x');
  t.deepEqual(seen.at(-1)?.headers, { A: '1', B: '2' });
  t.is(seen.at(-1)?.hasBadHeaders, undefined);
});
