/** Keys and values in a table: one line, whatever they hold. */
import type { Context } from '../context.js';
import { isUtf8 } from '../values.js';

const shownValueBytes = 60;

export function shownValue(value: Buffer): string {
  const shown = isUtf8(value) ? value.toString() : `0x${value.toString('hex')}`;
  const line = shown.replace(/\s+/g, ' ');
  return line.length > shownValueBytes ? `${line.slice(0, shownValueBytes - 1)}…` : line;
}

export const shownKey = (context: Context, key: Buffer): string =>
  context.args.keyEncoding === 'utf8' && !isUtf8(key) ? `0x${key.toString('hex')}` : context.keyText(key);
