/**
 * A node's side of its faults file: does what the file says within `pollMs`, and says in `FILE.seen` that it does.
 *
 * Invariants:
 * 1. No file: no faults. A file that cannot be read, or is wrong, changes nothing and is logged, once a content.
 * 2. `FILE.seen` is written after what it says is in force, at once; for its counters alone at most every `countersMs`.
 * 3. Trouble with either file never stops the node.
 */
import { type Clock, type Logger, messageOf, type Timer } from '../base/index.js';
import type { Disk } from '../wal/index.js';
import { FaultsInForce } from './faults-in-force.js';
import { faultyClock } from './faulty-clock.js';
import { faultyDisk } from './faulty-disk.js';
import { parseNodeFaults, readIfThere, writeNodeFaultsSeen } from './node-faults.js';

const pollMs = 50;
const countersMs = 100;

export class FaultFile {
  readonly inForce = new FaultsInForce();
  private timer: Timer | undefined;
  private stopped = false;
  /** What the file held when it was last looked at; its complaint was logged. */
  private lastText: string | undefined;
  private lastComplaint: string | undefined;
  /** Of the counters, as last written. */
  private writtenSum = 0;
  private writtenAtMs = Number.NEGATIVE_INFINITY;
  private mustWrite = true;

  constructor(
    private readonly path: string,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Resolves once what the file says is in force; goes on looking. */
  async start(): Promise<void> {
    await this.look();
    this.schedule();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = this.clock.after(pollMs, () => void this.look().then(() => this.schedule()));
  }

  private async look(): Promise<void> {
    try {
      const text = await readIfThere(this.path);
      if (text !== this.lastText) {
        this.lastText = text;
        this.take(text);
      }
      await this.tell();
      this.lastComplaint = undefined;
    } catch (error) {
      this.complain(messageOf(error));
    }
  }

  private take(text: string | undefined): void {
    try {
      if (!this.inForce.replace(text === undefined ? {} : parseNodeFaults(text))) return;
    } catch (error) {
      this.logger.warn({ file: this.path, error: messageOf(error) }, 'faults are left as they were: the file is wrong');
      return;
    }
    this.mustWrite = true;
    this.logger.warn({ faults: this.inForce.all }, 'the faults of this node have changed');
  }

  private async tell(): Promise<void> {
    const { refusedWrites, delayedWrites, all } = this.inForce;
    const nowMs = this.clock.nowMs();
    const isDue = refusedWrites + delayedWrites !== this.writtenSum && nowMs - this.writtenAtMs >= countersMs;
    if (!this.mustWrite && !isDue) return;
    // The node's own idea of the time.
    const wallMs = faultyClock(this.clock, this.inForce).wallMs();
    await writeNodeFaultsSeen(this.path, { pid: process.pid, inForce: all, refusedWrites, delayedWrites, wallMs });
    this.mustWrite = false;
    this.writtenSum = refusedWrites + delayedWrites;
    this.writtenAtMs = nowMs;
  }

  /** The same trouble comes again with every look. */
  private complain(message: string): void {
    if (message === this.lastComplaint) return;
    this.lastComplaint = message;
    this.logger.warn({ file: this.path, error: message }, 'cannot follow the file of faults');
  }
}

export type NodeSurroundings = { readonly clock: Clock; readonly disk: Disk };

/** What a node gets instead of its clock and its disk when its faults come from a file. For test clusters. */
export async function takeFaultsFrom(
  path: string,
  { clock, disk }: NodeSurroundings,
  logger: Logger,
): Promise<NodeSurroundings> {
  logger.warn({ file: path }, 'this node takes faults from a file: for tests alone');
  const file = new FaultFile(path, clock, logger);
  await file.start();
  return { clock: faultyClock(clock, file.inForce), disk: faultyDisk(disk, file.inForce, clock) };
}
