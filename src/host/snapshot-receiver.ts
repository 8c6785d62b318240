/**
 * The receiving side of snapshots: stages what comes, in order, and hands the whole to the consensus core.
 *
 * Invariants: 1. one transfer a shard; a newer offer replaces an older one. 2. What is staged touches nothing in use.
 * 3. Writes of one transfer happen one after another; the answer to a chunk follows its write. 4. Only what arrived whole, by
 * its own checksum, and is what was announced reaches the core; anything else is refused, and comes again.
 */
import { type Clock, type Logger, messageOf, type ShardId } from '../base/index.js';
import { SnapshotCheck, type SnapshotFiles, type StagedSnapshot, type StagingFile } from '../kv/index.js';
import type { SnapshotRequest } from '../raft/index.js';
import type { BusMessage } from '../transport/index.js';
import type { Group } from './group.js';
import { type SnapshotAnswer, type SnapshotBegin, stepOf } from './snapshot-transfer.js';

type Incoming = {
  readonly subject: string;
  readonly group: Group;
  readonly request: SnapshotRequest;
  readonly file: StagingFile;
  readonly check: SnapshotCheck;
  /** Last step staged; begin is 0. */
  staged: number;
};

export type SnapshotReceiverParts = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly files: SnapshotFiles;
  readonly groupOf: (shardId: ShardId) => Group | undefined;
  /** A whole, verified snapshot is staged: the core decides. */
  readonly onStaged: (group: Group, request: SnapshotRequest) => void;
  readonly onFatal: (error: unknown) => void;
};

type Answer = (answer: SnapshotAnswer) => void;

export class SnapshotReceiver {
  private readonly incoming = new Map<ShardId, Incoming>();
  private readonly staged = new Map<ShardId, StagedSnapshot>();
  /** Steps of all transfers, one after another. */
  private work: Promise<void> = Promise.resolve();
  private stopped = false;
  /** Staged, what was given up later included. */
  bytes = 0;

  constructor(private readonly parts: SnapshotReceiverParts) {}

  stop(): void {
    this.stopped = true;
  }

  /** The staged snapshot of a shard, which from here on belongs to the caller. */
  take(shardId: ShardId): StagedSnapshot | undefined {
    const staged = this.staged.get(shardId);
    this.staged.delete(shardId);
    return staged;
  }

  receive(message: BusMessage, answer: Answer): void {
    const { subject } = message;
    const step = stepOf(message);
    if (step === undefined) {
      this.parts.logger.warn({ subject }, 'dropped a damaged step of a snapshot');
      return;
    }
    const { kind, sequence } = step;
    // The payload is valid during this call only.
    const body = Buffer.from(step.body);
    this.work = this.work.then(async () => {
      if (this.stopped) return;
      try {
        if (kind === 'begin') await this.begin(subject, JSON.parse(body.toString()) as SnapshotBegin, answer);
        else await this.continue(subject, kind, sequence, body, answer);
      } catch (error) {
        this.parts.logger.warn({ subject, error: messageOf(error) }, 'a snapshot could not be staged');
        answer({ error: messageOf(error) });
      }
    });
  }

  private async begin(subject: string, { shardId, request }: SnapshotBegin, answer: Answer): Promise<void> {
    const group = this.parts.groupOf(shardId);
    if (group === undefined || group.isRemoved || request.to !== group.replicaId) {
      answer({ error: `no replica ${request.to} of shard ${shardId} on this node` });
      return;
    }
    if (group.installing) {
      answer({ error: 'a snapshot is being installed' });
      return;
    }
    const current = this.incoming.get(shardId);
    if (current?.subject === subject) {
      answer({ ack: current.staged });
      return;
    }
    if (current !== undefined) await current.file.abandon();
    const earlier = this.take(shardId);
    if (earlier !== undefined) await this.parts.files.remove(earlier.path);
    const file = await this.parts.files.create(shardId);
    this.incoming.set(shardId, { subject, group, request, file, check: new SnapshotCheck(), staged: 0 });
    answer({ ack: 0 });
  }

  private async continue(subject: string, kind: string, sequence: number, body: Buffer, answer: Answer): Promise<void> {
    const incoming = [...this.incoming.values()].find((transfer) => transfer.subject === subject);
    if (incoming === undefined) {
      answer({ error: 'this transfer is not known here' });
      return;
    }
    // An earlier step again, or one whose predecessor was lost: say how far it got.
    if (sequence !== incoming.staged + 1) {
      answer({ ack: incoming.staged });
      return;
    }
    if (kind === 'chunk') {
      await this.checked(incoming, () => incoming.check.add(body));
      await incoming.file.append(body);
      this.bytes += body.length;
      incoming.staged = sequence;
    } else if (kind === 'end') {
      const { group, request } = incoming;
      await this.checked(incoming, () => incoming.check.end(group.shardId, request.snapshot));
      this.incoming.delete(group.shardId);
      this.staged.set(group.shardId, await incoming.file.finish());
      incoming.staged = sequence;
      this.parts.onStaged(group, request);
    }
    answer({ ack: incoming.staged });
  }

  /** What does not pass the check is given up: throws CORRUPT. */
  private async checked(incoming: Incoming, check: () => void): Promise<void> {
    try {
      check();
    } catch (error) {
      this.incoming.delete(incoming.group.shardId);
      await incoming.file.abandon();
      throw error;
    }
  }
}
