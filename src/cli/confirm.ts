/** A question before something that cannot be undone. */
import { RingraftError } from '../base/index.js';
import type { Io } from './io.js';

/** Whether a person at the terminal says yes. BAD_REQUEST, naming what to give instead, where there is none. */
export async function confirmed(io: Io, question: string): Promise<boolean> {
  if (io.in.isTTY !== true) throw new RingraftError('BAD_REQUEST', `${question} Nobody can be asked here: give --yes`);
  io.err.write(`${question} [y/N] `);
  const answer = await firstLine(io);
  return /^y(es)?$/i.test(answer.trim());
}

/** What was typed up to the end of the line; nothing at the end of the input, or after Ctrl-C. */
async function firstLine({ in: input, signal }: Io): Promise<string> {
  const reading = input[Symbol.asyncIterator]();
  const interrupted = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  let typed = '';
  while (!typed.includes('\n')) {
    const next = await Promise.race([reading.next(), interrupted]);
    if (next === undefined) return '';
    if (next.done === true) break;
    typed += Buffer.from(next.value).toString();
  }
  await reading.return?.();
  return typed.split('\n', 1)[0] ?? '';
}
