/**
 * Moves snapshots between nodes, beside the consensus traffic: on their own lane, in chunks, a few at a time.
 *
 * The sender offers (`begin`), streams chunks with at most `windowChunks` unanswered, and ends; the receiver writes
 * into a staging file and answers each step. Only when the whole is staged and verified does the receiver's core see a
 * SnapshotRequest. The state in use is not touched before.
 *
 * Invariants:
 * 1. Chunks are staged in order; one that comes twice is answered again and written once.
 * 2. A lost message is sent again after `retryMs`; after `maxTries` without progress the transfer is abandoned and the
 *    core told, which will ask for another one.
 * 3. At most one transfer per follower and shard at a time from this node, and at most `maxSending` in all; together they
 *    send no more than `settings.snapshotBytesPerSecond` of the cluster map.
 */
import {
  type Clock,
  isRingraftError,
  type Logger,
  messageOf,
  type Random,
  RingraftError,
  type ShardId,
} from '../base/index.js';
import type { SnapshotFiles, Store } from '../kv/index.js';
import type { Ready, SnapshotMetadata, SnapshotRequest } from '../raft/index.js';
import type { Bus, BusSubscription } from '../transport/index.js';
import { type ClusterSettings, snapshotSubject } from '../wire/index.js';
import type { Group } from './group.js';
import type { LocalMap } from './local-map.js';
import type { HostOptions } from './options.js';
import { SnapshotReceiver } from './snapshot-receiver.js';
import { SnapshotTransfer, stepHeaders } from './snapshot-transfer.js';
import { TokenBucket } from './token-bucket.js';

const maxSending = 4;

export type SnapshotMoverParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly store: Store;
  readonly files: SnapshotFiles;
  readonly options: HostOptions;
  readonly maps: LocalMap;
  readonly groupOf: (shardId: ShardId) => Group | undefined;
  readonly mark: (group: Group) => void;
  readonly onFatal: (error: unknown) => void;
};

export class SnapshotMover {
  private readonly receiver: SnapshotReceiver;
  private readonly subscriptions: BusSubscription[] = [];
  private readonly bandwidth: TokenBucket;
  private sending = 0;
  private stopped = false;
  sent = 0;
  installed = 0;
  bytesSent = 0;

  constructor(private readonly parts: SnapshotMoverParts) {
    this.bandwidth = new TokenBucket(parts.clock, parts.maps.current.settings.snapshotBytesPerSecond);
    this.receiver = new SnapshotReceiver({
      clock: parts.clock,
      logger: parts.logger,
      files: parts.files,
      groupOf: parts.groupOf,
      onStaged: (group, request) => {
        if (group.isRemoved) return;
        group.raft.step(request, parts.clock.nowMs());
        parts.mark(group);
      },
      onFatal: parts.onFatal,
    });
  }

  start(): void {
    const { bus, options } = this.parts;
    const subject = snapshotSubject(options.cluster, options.nodeId, '*');
    this.subscriptions.push(
      bus.subscribe('snapshot', subject, (message) => {
        const { replyTo } = message;
        if (replyTo === undefined) return;
        this.receiver.receive(message, (answer) => {
          const body = Buffer.from(JSON.stringify(answer));
          bus.publish('snapshot', replyTo, body, { headers: stepHeaders({ kind: 'answer', sequence: 0, body }) });
        });
      }),
    );
  }

  stop(): void {
    this.stopped = true;
    this.bandwidth.close();
    this.receiver.stop();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
  }

  /** Another map is in force. */
  adoptSettings({ snapshotBytesPerSecond }: ClusterSettings): void {
    this.bandwidth.setRate(snapshotBytesPerSecond);
  }

  get bytesReceived(): number {
    return this.receiver.bytes;
  }

  /** The core found that this follower needs a snapshot. Answers it with `reportSnapshot` in any case. */
  send(group: Group, request: SnapshotRequest): void {
    const node = group.nodes.get(request.to);
    if (this.stopped || node === undefined) return;
    const report = (ok: boolean): void => {
      group.sendingSnapshots.delete(request.to);
      group.raft.reportSnapshot(request.to, ok);
      this.parts.mark(group);
    };
    if (group.sendingSnapshots.has(request.to)) return;
    if (this.sending >= maxSending) {
      // The core will find the follower behind again; by then there may be room.
      this.parts.clock.after(1000, () => report(false));
      group.sendingSnapshots.add(request.to);
      return;
    }
    group.sendingSnapshots.add(request.to);
    this.sending++;
    const fields = { shardId: group.shardId, to: node };
    const startedMs = this.parts.clock.nowMs();
    this.transfer(group, request).then(
      (bytes) => {
        this.sending--;
        this.sent++;
        const tookMs = Math.round(this.parts.clock.nowMs() - startedMs);
        this.parts.logger.info({ ...fields, bytes, tookMs }, 'sent a snapshot');
        report(true);
      },
      (error: unknown) => {
        this.sending--;
        if (!isRingraftError(error)) this.parts.onFatal(error);
        this.parts.logger.warn({ ...fields, error: messageOf(error) }, 'a snapshot did not arrive');
        this.parts.clock.after(500, () => report(false));
      },
    );
  }

  private async transfer(group: Group, request: SnapshotRequest): Promise<number> {
    const { bus, clock, random, store, options } = this.parts;
    const node = group.nodes.get(request.to);
    if (node === undefined) throw new RingraftError('UNREACHABLE', `no node holds replica ${request.to}`);
    const id = random.nextU32().toString(16) + random.nextU32().toString(16);
    const source = await store.createSnapshot(group.shardId);
    const transfer = new SnapshotTransfer({
      bus,
      clock,
      subject: snapshotSubject(options.cluster, node, id),
      isWanted: () => !this.stopped && group.raft.isLeader && group.raft.currentTerm === request.term,
      bandwidth: this.bandwidth,
      onBytes: (bytes) => {
        this.bytesSent += bytes;
      },
    });
    try {
      const { appliedIndex, appliedTerm, configuration } = source.position;
      const snapshot: SnapshotMetadata = { index: appliedIndex, term: appliedTerm, configuration };
      return await transfer.run({ shardId: group.shardId, request: { ...request, snapshot } }, (maxBytes) =>
        source.nextChunk(maxBytes),
      );
    } finally {
      transfer.close();
      await source.close();
    }
  }

  /** Replaces the shard's state by the staged snapshot the core has accepted. */
  install(group: Group, ready: Ready, done: () => void): void {
    const { snapshot } = ready;
    const staged = this.receiver.take(group.shardId);
    const { logger, store, onFatal } = this.parts;
    if (snapshot === undefined || staged === undefined) {
      onFatal(new RingraftError('CORRUPT', `shard ${group.shardId}: a snapshot was accepted that is not staged`));
      return;
    }
    store.installSnapshot(group.shardId, staged.path, snapshot).then(
      () => {
        this.installed++;
        logger.info({ shardId: group.shardId, index: snapshot.index }, 'installed a snapshot');
        done();
      },
      (error: unknown) => onFatal(error),
    );
  }
}
