/** Fault control of the server that listens on a unix socket. */
import { request } from 'node:http';
import { messageOf, RingraftError } from '../base/index.js';
import { decodeError, type Operation } from './control-protocol.js';
import type { FaultControl, LinkFault, Reach } from './types.js';

/** Beyond what the operation takes by itself. */
const answerTimeoutMs = 30_000;

function exchange(socketPath: string, path: string, body: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method: 'POST', agent: false, timeout: timeoutMs }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks).toString()));
      response.on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

async function ask(socketPath: string, operation: Operation, body: unknown, extraMs = 0): Promise<unknown> {
  let answer: { readonly result?: unknown; readonly error?: unknown };
  try {
    answer = JSON.parse(
      await exchange(socketPath, `/${operation}`, JSON.stringify(body), answerTimeoutMs + extraMs),
    ) as typeof answer;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const neverSent = code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'EACCES';
    throw new RingraftError('UNREACHABLE', `no fault server answers on ${socketPath}: ${messageOf(cause)}`, {
      happened: neverSent ? 'no' : 'unknown',
      cause,
    });
  }
  if (answer.error !== undefined) throw decodeError(answer.error);
  return answer.result;
}

/** Connects for each operation, so that it needs no end. Every one throws UNREACHABLE when there is no server. */
export const connectFaultControl = (socketPath: string): FaultControl => ({
  async inject(fault) {
    await ask(socketPath, 'inject', { fault });
  },
  remove: async (id) => (await ask(socketPath, 'remove', { id })) as boolean,
  heal: async () => (await ask(socketPath, 'heal', {})) as number,
  list: async () => (await ask(socketPath, 'list', {})) as readonly LinkFault[],
  reset: async (links) => (await ask(socketPath, 'reset', { links })) as number,
  probe: async (timeoutMs, bytes = 0) =>
    (await ask(socketPath, 'probe', { timeoutMs, bytes }, timeoutMs)) as readonly Reach[],
});
