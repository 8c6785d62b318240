/**
 * Notices that this node's disk hangs or is full, and gives up what it leads to others that can write.
 */
import type { Logger } from '../base/index.js';
import type { Wal } from '../wal/index.js';
import { handOverAll } from './balance.js';
import type { Group } from './group.js';

export type DiskWatchParts = {
  readonly logger: Logger;
  readonly wal: Wal;
  readonly groups: () => Iterable<Group>;
  readonly mark: (group: Group) => void;
  /** A write of the log that takes longer means that the disk hangs. */
  readonly stallMs: number;
};

export class DiskWatch {
  /** The disk does not answer: the node turns a deaf ear to its peers. */
  isStalled = false;
  stalls = 0;

  constructor(private readonly parts: DiskWatchParts) {}

  check(nowMs: number): void {
    this.checkAnswers(nowMs);
    this.checkRoom(nowMs);
  }

  /**
   * A write of the log that does not return (RAFT-PITFALLS 36): this node can neither acknowledge nor apply, so it must
   * not lead. It hands over what it leads and turns a deaf ear to its peers until the disk answers; a leadership nobody
   * took over ends with the next check of the quorum.
   */
  private checkAnswers(nowMs: number): void {
    const { wal, logger, stallMs } = this.parts;
    const { writingSinceMs } = wal;
    const isStalled = writingSinceMs !== undefined && nowMs - writingSinceMs > stallMs;
    if (isStalled === this.isStalled) return;
    this.isStalled = isStalled;
    if (!isStalled) {
      logger.warn({}, 'the disk answers again');
      return;
    }
    this.stalls++;
    logger.error({ waitingMs: Math.round(nowMs - writingSinceMs) }, 'the disk does not answer: handing over');
    this.handOver([...this.parts.groups()], nowMs);
  }

  /**
   * The disk has no room, others' disks have: what they have committed this leader can neither keep nor apply, and its
   * shards would wait for as long as it leads. Where all disks are full it goes on, for the sake of reads.
   */
  private checkRoom(nowMs: number): void {
    const { wal, stallMs, groups } = this.parts;
    const { fullSinceMs } = wal;
    if (fullSinceMs === undefined || nowMs - fullSinceMs <= stallMs) return;
    const blocked = [...groups()].filter(({ raft }) => raft.isLeader && raft.isAheadOfItsLog);
    this.handOver(blocked, nowMs);
  }

  private handOver(groups: readonly Group[], nowMs: number): void {
    handOverAll(groups, nowMs);
    // Also those of which none was started: a leader that is asked to hand over wakes.
    for (const group of groups) this.parts.mark(group);
  }
}
