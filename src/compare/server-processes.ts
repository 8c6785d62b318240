/** The processes of a cluster: started, watched, and ended by their ids. Their CPU time and memory are of /proc (Linux). */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RingraftError } from '../base/index.js';
import { type LocalProcess, logTail, statOf, systemPorts, untilStopped } from '../cli/index.js';

/** Their data are not needed any more: nobody waits for a slow farewell. */
const stopTimeoutMs = 2000;

export type ServerProcess = LocalProcess & { readonly name: string };

export const hasProcessorTime = (): boolean => existsSync('/proc/self/stat');

let ticksPerSecond: number | undefined;

/** User and system time of all threads since its start; 0 once it has ended. */
export function processorSeconds({ pid }: ServerProcess): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  // utime and stime are fields 14 and 15, and these begin with the third.
  const fields = statOf(pid);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond;
}

export const processorSecondsOf = (servers: readonly ServerProcess[]): number =>
  servers.reduce((sum, server) => sum + processorSeconds(server), 0);

/** Resident memory in megabytes (10^6). */
export function residentMegabytes({ pid }: ServerProcess): number {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`))?.[1];
  return (Number(kilobytes ?? 0) * 1024) / 1e6;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export const isRunning = (server: ServerProcess): boolean => systemPorts.processes.isRunning(server);

/** Servers that are nothing but a program and its arguments. */
export class ServerProcesses {
  private readonly started: ServerProcess[] = [];
  private isClosed = false;

  constructor(private readonly directory: string) {
    mkdirSync(directory, { recursive: true });
  }

  get all(): readonly ServerProcess[] {
    return this.started;
  }

  start(name: string, program: string, args: readonly string[]): void {
    this.checkOpen();
    this.started.push({ name, ...systemPorts.processes.start(program, args, this.logPathOf(name)) });
  }

  /** Throws with the end of its log when one has ended by itself, or when they have been stopped. */
  check(): void {
    this.checkOpen();
    const dead = this.started.find((server) => !isRunning(server));
    if (dead === undefined) return;
    throw new RingraftError('UNREACHABLE', `${dead.name} has ended by itself:\n${logTail(this.logPathOf(dead.name))}`);
  }

  /** For good: none is started afterwards. */
  async stop(): Promise<void> {
    this.isClosed = true;
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      for (const server of this.started) systemPorts.processes.signal(server, signal);
      if (await untilStopped(systemPorts, this.started, stopTimeoutMs)) break;
    }
    this.started.length = 0;
  }

  private checkOpen(): void {
    if (this.isClosed) throw new RingraftError('CLOSED', 'the servers have been stopped');
  }

  private logPathOf(name: string): string {
    return join(this.directory, `${name}.log`);
  }
}
