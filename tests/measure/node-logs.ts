/**
 * What the nodes log, as it comes: who became leader of what and when, who serves, and what no node should say.
 *
 * Times are the nodes' own (`Date.now()` of this machine), so they compare with those of this process.
 */
import type { NodeProcess } from '../support/cluster.js';

export type Leadership = {
  readonly node: string;
  readonly shardId: number;
  readonly term: number;
  readonly atMs: number;
};

type LogLine = {
  readonly level: number;
  readonly time: string;
  readonly msg: string;
  readonly shardId?: number;
  readonly term?: number;
  readonly error?: string;
};

/** A line may come in so much later than what it tells of shows in the node's status. */
export const logDelayMs = 200;

const warningLevel = 40;
const errorLevel = 50;
const keptLines = 200;
/** Errors that say something of the machine, which others use as well; counted as warnings. */
const faultsOfMachine = new Set(['the disk does not answer: handing over']);

export class NodeLogs {
  /** Every one that began, in the order the lines came in. */
  readonly leaderships: Leadership[] = [];
  /** Warnings by their words. */
  readonly warnings = new Map<string, number>();
  /** Every one that ended while its node went on. The term is the one the node is in afterwards. */
  readonly ends: Leadership[] = [];

  constructor(
    /** Called with every line of level error, and with what is no log line. */
    private readonly onError: (node: string, line: string) => void,
  ) {}

  /** Follows a process until it ends. `onServing` is called when it says so. */
  follow(node: string, { child }: NodeProcess, onServing: () => void): void {
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream?.on('data', (bytes: Buffer) => {
        const lines = (rest + bytes.toString()).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.take(node, line, onServing);
      });
    }
  }

  private countWarning({ msg, error }: LogLine): void {
    const words = error === undefined ? msg : `${msg} (${error})`;
    this.warnings.set(words, (this.warnings.get(words) ?? 0) + 1);
  }

  private take(node: string, text: string, onServing: () => void): void {
    if (text.trim() === '') return;
    const line = parsed(text);
    if (line === undefined || (line.level >= errorLevel && !faultsOfMachine.has(line.msg))) this.onError(node, text);
    else if (line.level >= warningLevel) this.countWarning(line);
    else if (line.msg === 'serving') onServing();
    else if (line.msg === 'no longer leader') this.ends.push(leadershipOf(node, line));
    else if (line.msg === 'became leader') this.leaderships.push(leadershipOf(node, line));
  }
}

const leadershipOf = (node: string, { shardId = 0, term = 0, time }: LogLine): Leadership => ({
  node,
  shardId,
  term,
  atMs: Date.parse(time),
});

function parsed(text: string): LogLine | undefined {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return undefined;
  }
}

/** Memory of a long run: the fixture keeps every line, of which only the last ones serve to explain an end. */
export function lastLines({ log }: NodeProcess): string {
  return log.join('').split('\n').slice(-keptLines).join('\n').slice(-4000);
}
