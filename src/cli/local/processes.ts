/** Processes of this machine as a port, so that tests need none. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Clock, pause, RingraftError, systemClock } from '../../base/index.js';
import { isRunning, type LocalProcess, processOf } from './state.js';

export type LocalProcesses = {
  /** Starts a program that outlives this one; what it prints is added to the log. */
  start(command: string, args: readonly string[], logPath: string): LocalProcess;
  isRunning(target: LocalProcess): boolean;
  /** Only to the process that was started, never to one that has its number now. False: it does not run any more. */
  signal(target: LocalProcess, signal: NodeJS.Signals): boolean;
};

/**
 * For the C library of nodes; here and below a user's own settings come first. Buffers of 64 KiB from sockets, messages
 * and small ones that stay share its heap: with few arenas, and pieces from 256 KiB on always given back, few holes are left in it;
 * pieces of 64 KiB come and go too often for that. What is larger than a huge page the system may give in huge pages: a node looks
 * for keys all over its memory.
 */
const allocatorSettings: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '262144',
  MALLOC_TRIM_THRESHOLD_: '1048576',
  MALLOC_TOP_PAD_: '262144',
  GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
};

/**
 * For nats-server. It would use every core, and its threads look for work on all of them: beside nodes that use what there is, a put
 * took 14 to 18 % more processor time for that (docs/performance.md).
 */
const brokerSettings = (cores: number): Readonly<Record<string, string>> => ({
  GOMAXPROCS: String(Math.max(1, Math.floor(cores / 4))),
});

export const systemProcesses: LocalProcesses = {
  start(command, args, logPath) {
    const log = openSync(logPath, 'a');
    const child: ChildProcess = spawn(command, args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...allocatorSettings, ...brokerSettings(availableParallelism()), ...process.env },
    });
    closeSync(log);
    child.on('error', () => {});
    if (child.pid === undefined) throw new RingraftError('UNREACHABLE', `cannot start ${command}`);
    child.unref();
    return processOf(child.pid);
  },
  isRunning,
  signal(target, signal) {
    if (!isRunning(target)) return false;
    process.kill(target.pid, signal);
    return true;
  },
};

/** A program with its arguments, as one list. */
export function startCommand(processes: LocalProcesses, command: readonly string[], logPath: string): LocalProcess {
  const [program = '', ...args] = command;
  return processes.start(program, args, logPath);
}

/** What a local cluster is run with. */
export type LocalPorts = { readonly processes: LocalProcesses; readonly clock: Clock };

export const systemPorts: LocalPorts = { processes: systemProcesses, clock: systemClock };

const pollMs = 20;

/** False: some still run after so long. */
export async function untilStopped(
  { processes, clock }: LocalPorts,
  targets: readonly LocalProcess[],
  timeoutMs: number,
): Promise<boolean> {
  const deadlineMs = clock.nowMs() + timeoutMs;
  while (targets.some((target) => processes.isRunning(target))) {
    if (clock.nowMs() >= deadlineMs) return false;
    await pause(clock, pollMs);
  }
  return true;
}
