/**
 * Goal: what an operation costs in messages, syncs, bytes, copies, timers and memory, for people; `counts.test.ts` guards
 * the same figures. Not timed, so it needs no machine of its own.
 */
import { colorsFor, json, table } from '../../src/cli/output.js';
import { excessOf } from '../counts/budget.js';
import { type ChildResult, countAll, type Figures } from '../counts/run-child.js';
import { runToEnd, unlessStopped } from '../support/program-runner.js';
import { rounded } from './figures.js';
import { optionsFrom, UsageError } from './options.js';

const summary = 'messages, syncs, bytes, copies, timers and memory of an operation; nothing is timed';

const shownNumber = (value: number | undefined): string =>
  value === undefined ? '-' : String(rounded(value, value < 1 ? 4 : value < 100 ? 2 : 0));

function section(title: string, columns: Readonly<Record<string, Figures>>): string {
  const colors = colorsFor(process.stdout, process.env);
  const names = Object.keys(columns);
  const figures = [...new Set(names.flatMap((name) => Object.keys(columns[name] ?? {})))];
  const heads = [title, ...names].map((name, at) => ({ name, right: at > 0 }));
  const rows = figures.map((figure) => [figure, ...names.map((name) => shownNumber(columns[name]?.[figure]))]);
  return `\n${table(heads, rows, colors)}`;
}

function shown({ workloads, codecs }: ChildResult, excess: readonly string[]): string {
  const checks =
    excess.length === 0 ? 'all within budget\n' : `OVER BUDGET\n${excess.map((one) => `- ${one}\n`).join('')}`;
  return `${section('an operation', workloads)}${section('a message', codecs)}\n${checks}`;
}

async function run(stop: AbortSignal): Promise<number> {
  const options = optionsFrom('counts', summary, {}, process.argv.slice(2));
  const found = await unlessStopped(stop, countAll);
  const excess = excessOf(found);
  process.stdout.write(options.json ? json({ program: 'counts', ...found, excess }) : shown(found, excess));
  return excess.length === 0 ? 0 : 1;
}

runToEnd({ run, usageOf: (error) => (error instanceof UsageError ? error.message : undefined) });
