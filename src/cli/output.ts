/** Tables, JSON, colours. The only file that imports cli-table3 and picocolors. */
import Table from 'cli-table3';
import picocolors from 'picocolors';
import type { Io } from './io.js';

export const outputs = ['table', 'json', 'raw'] as const;
export type Output = (typeof outputs)[number];

export type Colors = ReturnType<typeof picocolors.createColors>;

/** Colours only where a person looks, and NO_COLOR is not set. */
export const colorsFor = (stream: { readonly isTTY?: boolean }, env: Io['env']): Colors =>
  picocolors.createColors(stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb');

export type Column = { readonly name: string; readonly right?: boolean };

/** A plain table: no vertical rules, numbers to the right. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly (string | number)[])[],
  colors: Colors,
): string {
  const blank = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '', middle: '  ', left: '', right: '' };
  const edges = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '' };
  const feet = { bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' };
  const drawn = new Table({
    head: columns.map(({ name }) => colors.bold(name)),
    colAligns: columns.map(({ right }) => (right === true ? 'right' : 'left')),
    chars: { ...blank, ...edges, ...feet },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  for (const row of rows) drawn.push(row.map(String));
  return `${drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}

export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
