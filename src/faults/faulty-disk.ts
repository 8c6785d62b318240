/**
 * A disk that is full, or slow, while somebody says so.
 *
 * Full is what a real full disk is to preallocated files: new ones are refused, while writes into those that are there go
 * on. So a log is not stopped before its segment, and the next one where that was made ahead, are used up.
 *
 * Invariants: 1. Nothing is reported durable before it is; a delay only adds to that. 2. Writes of a file are
 * reported in the order in which they were asked for: there is one at a time. 3. What a fault holds back is let go when the
 * fault ends.
 */
import { constants } from 'node:os';
import type { Clock, Timer } from '../base/index.js';
import type { Disk, DiskFile } from '../wal/index.js';
import type { FaultsInForce } from './faults-in-force.js';

/** A write that is durable and not yet reported. */
type Held = { readonly sinceMs: number; readonly report: () => void; timer: Timer | undefined };

class Delays {
  private readonly held = new Set<Held>();

  constructor(
    private readonly clock: Clock,
    private readonly faults: FaultsInForce,
  ) {
    faults.onChange(() => {
      for (const one of this.held) this.arm(one);
    });
  }

  /** `report` runs once the delay of the moment is over. */
  hold(report: () => void): void {
    if (this.faults.writeDelayMs === 0) {
      report();
      return;
    }
    this.faults.delayedWrites++;
    const one: Held = { sinceMs: this.clock.nowMs(), report, timer: undefined };
    this.held.add(one);
    this.arm(one);
  }

  private arm(one: Held): void {
    one.timer?.cancel();
    const leftMs = one.sinceMs + this.faults.writeDelayMs - this.clock.nowMs();
    one.timer = this.clock.after(Math.max(0, leftMs), () => {
      this.held.delete(one);
      one.report();
    });
  }
}

const slowed = (file: DiskFile, delays: Delays): DiskFile => ({
  path: file.path,
  writeDurably: (chunks, position, callback) =>
    file.writeDurably(chunks, position, (error) => delays.hold(() => callback(error))),
  read: (position, length) => file.read(position, length),
  sizeBytes: () => file.sizeBytes(),
  truncate: (sizeBytes) => file.truncate(sizeBytes),
  close: () => file.close(),
});

export function faultyDisk(disk: Disk, faults: FaultsInForce, clock: Clock): Disk {
  const delays = new Delays(clock, faults);
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    async create(path, sizeBytes) {
      if (faults.isDiskFull) {
        faults.refusedWrites++;
        throw noSpace();
      }
      return slowed(await disk.create(path, sizeBytes), delays);
    },
    open: async (path) => slowed(await disk.open(path), delays),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
  };
}

/** As node's own `write` fails, word for word. */
const noSpace = (): NodeJS.ErrnoException =>
  Object.assign(new Error('ENOSPC: no space left on device, write'), {
    errno: -constants.errno.ENOSPC,
    code: 'ENOSPC',
    syscall: 'write',
  });
