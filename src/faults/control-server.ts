/** Fault control for other processes of this user, on a unix socket. */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { isRingraftError, messageOf, RingraftError } from '../base/index.js';
import { type Answer, encodeError, operations, perform } from './control-protocol.js';
import type { FaultControl } from './types.js';

const mostBodyBytes = 4 * 1024 * 1024;
/** Only this user: whoever writes to it can stop the cluster. */
const socketMode = 0o600;

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > mostBodyBytes) throw new RingraftError('TOO_LARGE', `a request is ${mostBodyBytes} bytes at most`);
      chunks.push(chunk);
    }
    return bytes === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
  } catch (cause) {
    if (isRingraftError(cause)) throw cause;
    // Cut off half-way, too: then nobody reads the answer.
    throw new RingraftError('BAD_REQUEST', `this is no JSON: ${messageOf(cause)}`, { cause });
  }
}

async function answer(control: FaultControl, request: IncomingMessage): Promise<Answer> {
  try {
    const operation = operations.find((each) => request.method === 'POST' && request.url === `/${each}`);
    if (operation === undefined) throw new RingraftError('BAD_REQUEST', `${request.method} ${request.url} is nothing`);
    return { result: await perform(control, operation, await readBody(request)) };
  } catch (error) {
    if (!isRingraftError(error)) throw error;
    return { error: encodeError(error) };
  }
}

async function handle(control: FaultControl, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const given = await answer(control, request);
  response.writeHead('error' in given ? 400 : 200, { 'Content-Type': 'application/json', Connection: 'close' });
  response.end(JSON.stringify(given));
}

const isAnswered = (socketPath: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

export type ControlServer = { close(): Promise<void> };

/** CONFLICT when a server answers there already; what one that crashed left is replaced. */
export async function serveFaultControl(control: FaultControl, socketPath: string): Promise<ControlServer> {
  if (await isAnswered(socketPath)) {
    throw new RingraftError('CONFLICT', `a fault server listens on ${socketPath} already`);
  }
  rmSync(socketPath, { force: true });
  // An error that is none of ours is a bug: it ends the process.
  const server = createServer((request, response) => void handle(control, request, response));
  const before = process.umask(0o777 & ~socketMode);
  try {
    await listen(server, socketPath);
  } finally {
    process.umask(before);
  }
  chmodSync(socketPath, socketMode);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new RingraftError('UNREACHABLE', `cannot listen on ${socketPath}: ${messageOf(cause)}`, { cause }));
    });
    server.listen(socketPath, resolve);
  });
}
