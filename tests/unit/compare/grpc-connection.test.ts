/**
 * Goal: the hand-written HTTP/2 of the etcd client is what other implementations take for HTTP/2. Method: a gRPC server on
 * node:http2 (nghttp2), which ends a connection that sends what it must not.
 */
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { GrpcConnection, RequestHeaders } from '../../../src/compare/index.js';

const framed = (message: Buffer): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
};

type Handler = (stream: ServerHttp2Stream, path: string, message: Buffer) => void;

/** Answers with the message it was sent. */
const echo: Handler = (stream, _, message) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': '' }));
  stream.end(framed(message));
};

async function connected(
  t: ExecutionContext,
  handler: Handler,
  settings: Record<string, number> = {},
): Promise<{
  readonly connection: GrpcConnection;
  readonly seen: Record<string, unknown>[];
  readonly server: Http2Server;
}> {
  const seen: Record<string, unknown>[] = [];
  const server = createServer({ settings });
  server.on('stream', (stream, headers) => {
    seen.push({ ...headers });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => {});
    stream.on('end', () => handler(stream, String(headers[':path']), Buffer.concat(chunks).subarray(5)));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const connection = await GrpcConnection.connect(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.teardown(() => {
    connection.close();
    server.close();
  });
  return { connection, seen, server };
}

test('calls of several methods are answered, each with its own message', async (t) => {
  const { connection, seen } = await connected(t, echo);
  const calls = Array.from({ length: 300 }, (_, at) => ({ path: `/service/Method${at % 3}`, text: `message ${at}` }));
  const answers = await Promise.all(calls.map(({ path, text }) => connection.call(path, Buffer.from(text))));
  t.deepEqual(
    answers.map(String),
    calls.map(({ text }) => text),
  );
  t.deepEqual(
    seen.map((headers) => headers[':path']),
    calls.map(({ path }) => path),
  );
  for (const headers of seen) {
    t.like(headers, { ':method': 'POST', ':scheme': 'http', te: 'trailers', 'content-type': 'application/grpc' });
    t.regex(String(headers[':authority']), /^127\.0\.0\.1:\d+$/);
  }
});

test('messages beyond every window arrive whole, in both directions', async (t) => {
  const { connection } = await connected(t, echo, { initialWindowSize: 20_000, maxFrameSize: 16_384 });
  const sizes = [0, 1, 16_384, 19_995, 20_000, 65_535, 65_536, 300_000, 1_000_000, 7];
  const messages = sizes.map((size, at) => Buffer.alloc(size, at + 1));
  const answers = await Promise.all(messages.map((message) => connection.call('/service/Echo', message)));
  for (const [at, answer] of answers.entries()) t.true(answer.equals(messages[at] as Buffer), `${sizes[at]} bytes`);
});

test('a call that is refused, or reset, fails alone', async (t) => {
  const { connection } = await connected(t, (stream, path, message) => {
    if (path === '/refused') stream.respond({ ':status': 200, 'grpc-status': '8' }, { endStream: true });
    else if (path === '/reset') stream.close(2);
    else echo(stream, path, message);
  });
  const outcomes = await Promise.allSettled(
    ['/refused', '/fine', '/reset', '/fine'].map((path) => connection.call(path, Buffer.from('x'))),
  );
  t.deepEqual(
    outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : String(outcome.value))),
    ['REFUSED', 'x', 'RESET', 'x'],
  );
});

test('calls fail when the connection ends, and so do later ones', async (t) => {
  const { connection } = await connected(t, (stream) => stream.session?.destroy());
  await t.throwsAsync(connection.call('/any', Buffer.from('x')), { message: /etcd/ });
  await t.throwsAsync(connection.call('/any', Buffer.from('x')), { message: /etcd/ });
});

test('nobody there is an error', async (t) => {
  await t.throwsAsync(GrpcConnection.connect('127.0.0.1:1'), { message: /no etcd answers at 127.0.0.1:1/ });
});

test('headers that were sent before are sent as numbers', (t) => {
  const headers = new RequestHeaders('h:1');
  const first = headers.blockOf('/a');
  t.is(
    first.toString('hex'),
    [
      '83', // :method: POST
      '86', // :scheme: http
      '44022f61', // :path, kept
      '4103683a31', // :authority, kept
      `5f10${Buffer.from('application/grpc').toString('hex')}`, // content-type (31), kept
      `4002746508${Buffer.from('trailers').toString('hex')}`, // te, kept
    ].join(''),
  );
  t.is(headers.blockOf('/a').toString('hex'), '8386c1c0bfbe');
  t.is(headers.blockOf('/b').toString('hex'), '838644022f62c1c0bf');
  t.is(headers.blockOf('/a').toString('hex'), '8386c2c1c0bf');
  t.is(headers.blockOf('/b').toString('hex'), '8386bec1c0bf');
});
