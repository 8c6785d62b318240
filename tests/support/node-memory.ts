/** What processes on this machine use, as Linux and macOS tell it. */
import { execFileSync } from 'node:child_process';

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).trim());
  if (!(kilobytes > 0)) throw new Error(`no process ${pid}`);
  return kilobytes * 1024;
}
