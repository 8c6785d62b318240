/** --watch: the same again every second, until Ctrl-C. */
import type { Context } from './context.js';
import { type Io, write } from './io.js';
import { isPassing } from './managing.js';
import { json } from './output.js';
import type { Argv } from './yargs.js';

const refreshMs = 1000;

export const watchOption = (parser: Argv): Argv =>
  parser.option('watch', { alias: 'w', type: 'boolean', describe: 'Again every second, until Ctrl-C' });

export type Watched<T> = {
  readonly look: (timeoutMs: number) => Promise<T>;
  /** What is shown of it, for people. */
  readonly draw: (found: T) => string;
  /** What of it is printed for a program. */
  readonly data: (found: T) => unknown;
};

/** Once. What was found. */
export async function show<T>({ io, args, timeoutMs }: Context, { look, draw, data }: Watched<T>): Promise<T> {
  const found = await look(timeoutMs);
  await write(io.out, args.output === 'json' ? json(data(found)) : draw(found));
  return found;
}

/** A cluster without a manager for a moment is shown as such: whoever watches wants to see it come back. */
export async function watch<T>(context: Context, { look, draw, data }: Watched<T>): Promise<void> {
  const { io, args, timeoutMs } = context;
  const isJson = args.output === 'json';
  for (let isFirst = true; !io.signal.aborted; isFirst = false) {
    let text: string;
    try {
      const found = await look(Math.min(refreshMs, timeoutMs));
      text = isJson ? `${JSON.stringify(data(found))}\n` : shown(draw(found), isFirst, context);
    } catch (error) {
      if (!isPassing(error)) throw error;
      const { code, message, happened } = error;
      const line = `${code}: ${message}\n`;
      text = isJson ? `${JSON.stringify({ error: { code, message, happened } })}\n` : shown(line, isFirst, context);
    }
    await write(io.out, text);
    await context.pause(refreshMs);
  }
}

/** On a terminal in place of what was shown before, without a flicker; elsewhere below it. */
function shown(text: string, isFirst: boolean, { io, clock }: { readonly io: Io } & Pick<Context, 'clock'>): string {
  const dated = `${new Date(clock.wallMs()).toTimeString().slice(0, 8)}  ${text}`;
  if (io.out.isTTY !== true) return isFirst ? dated : `\n${dated}`;
  return `${isFirst ? '\x1b[2J' : ''}\x1b[H${dated.replaceAll('\n', '\x1b[K\n')}\x1b[J`;
}
