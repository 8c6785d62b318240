/** What a local cluster runs, in one file, so that a later command finds it again. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type LocalProcess = {
  readonly pid: number;
  /** Start time from the kernel where it tells: a process id may be used again by another process. */
  readonly startTime: string | undefined;
};

export type LocalNode = LocalProcess & { readonly id: string };

export type LocalState = {
  readonly cluster: string;
  readonly configPath: string;
  readonly natsUrl: string;
  /** Where its keys and certificates are; undefined: everybody on this machine may connect. */
  readonly secureDirectory?: string | undefined;
  readonly nats: LocalProcess;
  readonly nodes: readonly LocalNode[];
  /** Settings the nodes were started with, beside the configuration. */
  readonly settings: readonly string[];
  readonly startedAtMs: number;
};

const fileName = 'cluster.json';

/** The kernel's start time of a process; undefined where it cannot be told. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

export function isRunning({ pid, startTime }: LocalProcess): boolean {
  // 0 would mean every process of this group.
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return startTime === undefined || startTimeOf(pid) === startTime;
}

export const processOf = (pid: number): LocalProcess => ({ pid, startTime: startTimeOf(pid) });

/** What the file says; undefined when there is none. Whether it still runs is another question. */
export function readState(directory: string): LocalState | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, fileName), 'utf8')) as LocalState;
  } catch {
    return undefined;
  }
}

export function writeState(directory: string, state: LocalState): void {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, fileName);
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

export function removeState(directory: string): void {
  rmSync(join(directory, fileName), { force: true });
}
