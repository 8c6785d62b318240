/**
 * Goal: a proxy does to the bytes of each direction what its link says, in order, and holds no more than it may. Method:
 * real sockets on the loopback, time that moves only when the test says so.
 */
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { isRingraftError, type Random, seededRandom } from '../../../src/base/index.js';
import { LinkProxy } from '../../../src/faults/link-proxy.js';
import { mostHeldBytes } from '../../../src/faults/pump.js';
import { ShapedLink } from '../../../src/faults/shaped-link.js';
import { type LinkShape, unshaped } from '../../../src/faults/shaping.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Real sockets take as long as they take; a fact that never comes true ends with the time-out of the run. */
async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await turn();
}

/** Long enough for bytes that may pass on this machine to have passed. */
async function quietly(): Promise<void> {
  for (let at = 0; at < 50; at++) await turn();
}

class Side {
  bytes = 0;
  text = '';
  hasEnded = false;
  isClosed = false;
  error: NodeJS.ErrnoException | undefined;

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (this.text.length < 10_000) this.text += chunk.toString();
    });
    socket.on('end', () => {
      this.hasEnded = true;
    });
    socket.on('close', () => {
      this.isClosed = true;
    });
    socket.on('error', (error) => {
      this.error = error;
    });
  }
}

class Line {
  readonly clock = new VirtualClock();
  readonly forward: ShapedLink;
  readonly backward: ShapedLink;
  readonly accepted: Side[] = [];
  private readonly clients: Socket[] = [];

  private constructor(
    readonly target: Server,
    random: Random,
  ) {
    this.forward = new ShapedLink(random);
    this.backward = new ShapedLink(random);
    target.on('connection', (socket: Socket) => this.accepted.push(new Side(socket)));
  }

  static async open(
    t: ExecutionContext,
    random: Random = seededRandom(1),
  ): Promise<Line & { readonly proxy: LinkProxy }> {
    const target = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
    const line = new Line(target, random);
    const { port } = target.address() as { port: number };
    const options = { listenHost: '127.0.0.1', listenPort: 0, target: { host: '127.0.0.1', port } };
    const proxy = await LinkProxy.listen(options, line, line.clock);
    t.teardown(async () => {
      for (const socket of [...line.clients, ...line.accepted.map((side) => side.socket)]) socket.destroy();
      await proxy.close();
      await new Promise((resolve) => target.close(resolve));
    });
    return Object.assign(line, { proxy });
  }

  async connect(port: number): Promise<Side> {
    const socket = dial({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.clients.push(socket);
    const side = new Side(socket);
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    return side;
  }

  /** Both ends of one connection. */
  async pair(proxy: LinkProxy): Promise<readonly [Side, Side]> {
    const { length } = this.accepted;
    const client = await this.connect(proxy.port);
    await until(() => this.accepted.length > length);
    return [client, this.accepted[length] as Side];
  }
}

function shape(
  line: Line & { readonly proxy: LinkProxy },
  forward: Partial<LinkShape>,
  backward: Partial<LinkShape> = {},
) {
  line.forward.setShape({ ...unshaped, ...forward });
  line.backward.setShape({ ...unshaped, ...backward });
  line.proxy.reshape();
}

test('without faults bytes pass both ways, and the end of each way by itself', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  client.socket.end('question');
  await until(() => server.hasEnded);
  t.is(server.text, 'question');
  t.false(client.hasEnded, 'the other way is open still');
  server.socket.end('answer');
  await until(() => client.hasEnded && client.isClosed && line.proxy.connectionCount === 0);
  t.is(client.text, 'answer');
  t.is(client.error, undefined);
  t.is(line.clock.armed, 0);
});

test('much data passes whole and in order, either way at once', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  const block = Buffer.alloc(8 * 1024 * 1024, 'abcdefg');
  client.socket.end(block);
  server.socket.end(block);
  await until(() => server.hasEnded && client.hasEnded);
  t.deepEqual([server.bytes, client.bytes], [block.length, block.length]);
});

test('what is sent into a cut arrives when it heals; the other way is open all along', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  shape(line, { cut: true });
  client.socket.write('held');
  server.socket.write('free');
  await until(() => client.text === 'free');
  await quietly();
  t.is(server.text, '');
  shape(line, {});
  await until(() => server.text === 'held');
  t.is(line.clock.armed, 0);
});

test('a sender into a cut is held back: the proxy stops reading', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  shape(line, { cut: true });
  const block = Buffer.alloc(64 * 1024 * 1024);
  client.socket.write(block);
  let before = -1;
  while (client.socket.bytesWritten - client.socket.writableLength !== before) {
    before = client.socket.bytesWritten - client.socket.writableLength;
    await quietly();
  }
  t.true(client.socket.writableLength > 0, 'not all could be sent');
  t.is(server.bytes, 0);
  shape(line, {});
  await until(() => server.bytes === block.length);
  t.pass();
});

test('the end of a connection is not seen across a cut before it heals', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  shape(line, { cut: true });
  client.socket.end('last words');
  await quietly();
  t.false(server.hasEnded);
  shape(line, {});
  await until(() => server.hasEnded);
  t.is(server.text, 'last words');
});

test('nor is a reset; after it the other end can still not speak to anybody, and nothing is left in the end', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  shape(line, { cut: true });
  client.socket.resetAndDestroy();
  await quietly();
  t.false(server.isClosed);
  server.socket.write('is anybody there?');
  await quietly();
  t.is(line.proxy.connectionCount, 1);
  shape(line, {});
  await until(() => server.isClosed && line.proxy.connectionCount === 0);
  t.is(server.error?.code, 'ECONNRESET');
});

test('a connection made during a cut, either way, is held: its target is dialled when it heals', async (t) => {
  const line = await Line.open(t);
  shape(line, {}, { cut: true });
  const client = await line.connect(line.proxy.port);
  client.socket.write('hello');
  await quietly();
  t.is(line.accepted.length, 0);
  shape(line, {}, {});
  await until(() => line.accepted[0]?.text === 'hello');
  t.pass();
});

test('who gives up while its connection is held leaves no trace', async (t) => {
  const line = await Line.open(t);
  shape(line, { cut: true });
  const patient = await line.connect(line.proxy.port);
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    const client = await line.connect(line.proxy.port);
    await until(() => line.proxy.connectionCount === 2);
    client.socket[leave]();
    await until(() => line.proxy.connectionCount === 1);
  }
  shape(line, {});
  patient.socket.write('me');
  await until(() => line.accepted[0]?.text === 'me');
  t.is(line.accepted.length, 1);
});

test('connections held for ever are bounded: the oldest goes', async (t) => {
  const line = await Line.open(t);
  shape(line, { cut: true });
  const first = await line.connect(line.proxy.port);
  for (let at = 0; at < 256; at++) await line.connect(line.proxy.port);
  await until(() => first.isClosed);
  await until(() => line.proxy.connectionCount === 256);
  t.pass();
});

test("a target where nobody listens ends the dialler's connection", async (t) => {
  const line = await Line.open(t);
  await new Promise((resolve) => line.target.close(resolve));
  const client = await line.connect(line.proxy.port);
  await until(() => client.isClosed && line.proxy.connectionCount === 0);
  t.is(client.error?.code, 'ECONNRESET');
});

test('delay: nothing arrives before its time, then it does, and the end after it', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  shape(line, { delayMs: 100 });
  client.socket.end('late');
  await until(() => line.clock.armed > 0);
  await quietly();
  await line.clock.advance(99);
  await quietly();
  t.is(server.text, '');
  await line.clock.advance(1);
  await until(() => server.text === 'late' && server.hasEnded);
  t.false(client.hasEnded);
});

test('jitter changes when bytes arrive, never their order', async (t) => {
  const line = await Line.open(t, seededRandom(7));
  const [client, server] = await line.pair(line.proxy);
  shape(line, { delayMs: 50, jitterMs: 50 });
  let sent = '';
  for (let at = 0; at < 40; at++) {
    client.socket.write(`${at},`);
    sent += `${at},`;
    await quietly();
    await line.clock.advance(1);
  }
  await line.clock.advance(100);
  await until(() => server.text.length === sent.length);
  t.is(server.text, sent);
});

/** Says for each chunk whether it is lost, as often as it says so. */
const losing = (answers: readonly boolean[]): Random => {
  const left = [...answers];
  return { nextU32: () => (left.shift() ? 0 : 0xffff_ffff) };
};

test('a lost chunk waits one retransmission, twice lost three, and everything behind it waits', async (t) => {
  const line = await Line.open(t, losing([true, true, false, false]));
  const [client, server] = await line.pair(line.proxy);
  shape(line, { lossShare: 0.5 });
  client.socket.write('a');
  await until(() => line.clock.armed > 0);
  client.socket.write('b');
  await quietly();
  await line.clock.advance(599);
  await quietly();
  t.is(server.text, '');
  await line.clock.advance(1);
  await until(() => server.text === 'ab');
  t.pass();
});

test('a throttled link trickles at its rate, for all its connections together', async (t) => {
  const line = await Line.open(t);
  const [one, first] = await line.pair(line.proxy);
  const [other, second] = await line.pair(line.proxy);
  shape(line, { bytesPerSecond: 10_000 });
  one.socket.write(Buffer.alloc(5000));
  other.socket.write(Buffer.alloc(5000));
  await quietly();
  for (let atMs = 100; atMs < 1000; atMs += 100) {
    await line.clock.advance(100);
    await quietly();
    const passed = first.bytes + second.bytes;
    t.true(passed <= atMs * 10 && passed >= atMs * 10 - 512, `${passed} bytes after ${atMs} ms`);
  }
  // A fraction may be left of the last portion's time.
  await line.clock.advance(101);
  await until(() => first.bytes === 5000 && second.bytes === 5000);
  t.is(line.clock.armed, 0);
});

test('what waits for a narrow link goes at once when it heals', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  shape(line, { bytesPerSecond: 1 });
  client.socket.write(Buffer.alloc(100_000));
  await until(() => line.clock.armed > 0);
  await quietly();
  t.is(server.bytes, 0);
  shape(line, {});
  await until(() => server.bytes === 100_000);
  t.is(line.clock.armed, 0);
});

test('no more is held than the bound, however late the link is', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  shape(line, { delayMs: 1000 });
  const block = Buffer.alloc(32 * 1024 * 1024);
  client.socket.write(block);
  let delivered = 0;
  let rounds = 0;
  while (server.bytes < block.length) {
    await quietly();
    await line.clock.advance(1000);
    await quietly();
    t.true(server.bytes - delivered <= mostHeldBytes + 128 * 1024, `${server.bytes - delivered} bytes at once`);
    delivered = server.bytes;
    rounds++;
  }
  t.true(rounds >= block.length / mostHeldBytes / 2);
});

test('a reset ends both ends at once, counts connections, and forgets what was held', async (t) => {
  const line = await Line.open(t);
  const [client, server] = await line.pair(line.proxy);
  const [late, otherServer] = await line.pair(line.proxy);
  shape(line, { delayMs: 1000 });
  late.socket.write('never');
  await until(() => line.clock.armed > 0);
  t.is(line.proxy.reset(), 2);
  await until(() => [client, server, late, otherServer].every(({ isClosed }) => isClosed));
  t.deepEqual(
    [client, server].map(({ error }) => error?.code),
    ['ECONNRESET', 'ECONNRESET'],
  );
  await until(() => line.proxy.connectionCount === 0);
  t.is(line.clock.armed, 0);
  t.is(otherServer.text, '');
  t.is(line.proxy.reset(), 0);
});

test('a port that is taken is one clear error', async (t) => {
  const line = await Line.open(t);
  const options = { listenHost: '127.0.0.1', listenPort: line.proxy.port, target: { host: '127.0.0.1', port: 1 } };
  const error = await t.throwsAsync(LinkProxy.listen(options, line, line.clock));
  t.true(isRingraftError(error, 'UNREACHABLE'));
  t.regex(error?.message ?? '', /cannot listen on 127.0.0.1:\d+/);
});
