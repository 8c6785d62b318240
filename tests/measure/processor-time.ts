/** CPU time of other processes, from /proc (Linux alone has it). */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { UsageError } from './options.js';

const statOf = (pid: number | 'self'): string => `/proc/${pid}/stat`;

export function checkProcessorTime(): void {
  if (!existsSync(statOf('self'))) throw new UsageError('CPU time is read from /proc, which this system does not have');
}

let ticksPerSecond: number | undefined;

/** User and system time of all threads of a process since its start. */
export function processorSeconds(pid: number): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const stat = readFileSync(statOf(pid), 'utf8');
  // The second field is the name in parentheses, which may hold anything; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
