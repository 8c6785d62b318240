/** What a local cluster runs, in one file, so that a later command finds it again. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetnsPlan } from '../../faults/index.js';

export type LocalProcess = {
  readonly pid: number;
  /** Start time from the kernel where it tells: a process id may be used again by another process. */
  readonly startTime: string | undefined;
};

export type LocalNode = LocalProcess & { readonly id: string };

/** A nats-server: `nats-server` where all nodes share it, `nats-<node>` where each has its own. */
export type LocalBroker = LocalProcess & {
  readonly name: string;
  /** Where clients on this machine reach it. */
  readonly url: string;
  /** How it was started, and is again. */
  readonly command: readonly string[];
};

/** A nats-server for each node, with links between them that can be disturbed. */
export type LocalTopology = {
  readonly backend: Backend;
  /** Holds the links; its end is theirs. undefined: not started yet. */
  readonly faultServer: LocalProcess | undefined;
  readonly command: readonly string[];
  readonly socketPath: string;
  /** Where each node reaches its own broker. */
  readonly nodeUrls: Readonly<Record<string, string>>;
  /** What each host's programs are started through; empty: nothing. */
  readonly prefixes: Readonly<Record<string, readonly string[]>>;
  /** The namespaces, where there are some. */
  readonly netns: NetnsPlan | undefined;
};

export const backends = ['proxy', 'netns'] as const;
export type Backend = (typeof backends)[number];

export type LocalState = {
  readonly cluster: string;
  readonly configPath: string;
  /** Where its keys and certificates are; undefined: everybody on this machine may connect. */
  readonly secureDirectory?: string | undefined;
  readonly brokers: readonly LocalBroker[];
  readonly nodes: readonly LocalNode[];
  /** undefined: one broker for all. */
  readonly topology?: LocalTopology | undefined;
  /** Settings the nodes were started with, beside the configuration. */
  readonly settings: readonly string[];
  readonly startedAtMs: number;
};

const fileName = 'cluster.json';

export const serversOf = ({ brokers }: LocalState): readonly string[] => brokers.map(({ url }) => url);

/** As `--server` and NATS_URL take it. */
export const serverText = (state: LocalState): string => serversOf(state).join(',');

/** What the kernel says of a process, from its third field on; nothing where it cannot be told. */
export function statOf(pid: number): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/** The kernel's start time of a process; undefined where it cannot be told. */
export const startTimeOf = (pid: number): string | undefined => statOf(pid)[19];

/** Whether it was stopped by SIGSTOP and has not been continued. */
export const isPaused = ({ pid }: LocalProcess): boolean => statOf(pid)[0] === 'T';

export function isRunning({ pid, startTime }: LocalProcess): boolean {
  // 0 would mean every process of this group.
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // Ended, and its parent has not looked yet.
  if (statOf(pid)[0] === 'Z') return false;
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
