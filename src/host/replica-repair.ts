/**
 * Replaces replicas of this node that must not go on: their log is damaged, or somebody asked for it.
 *
 * What such a replica acknowledged or voted may be lost, so it never speaks again under its id (RAFT-PITFALLS 23, 35;
 * "Protocol-Aware Recovery", FAST'18). The node draws a new id, asks the shard's leader to take it in as a learner, and
 * begins an empty replica under it; the leader brings it up to date and swaps it for the old one (`membership.ts`).
 *
 * Invariants:
 * 1. An id that was drawn is used for one replica only: it is durable in the log before the replica exists, and a life
 *    that ends before that draws another.
 * 2. Nothing of the old replica is removed before the leader has answered.
 */
import type { Clock, Logger, Random, ReplicaId, ShardId, Timer } from '../base/index.js';
import type { Bus, BusSubscription } from '../transport/index.js';
import { type AdminAnswer, type AdminRequest, adminSubject, type MapShard } from '../wire/index.js';
import type { Group } from './group.js';
import type { LocalMap } from './local-map.js';
import type { DamagedReplica } from './open-groups.js';
import type { HostOptions } from './options.js';

/** After the first question; each later one waits twice as long as the one before, up to the most. */
const askAgainMs = 20;
const mostBetweenMs = 250;
/** Ids of first replicas are small; drawn ones never meet them. */
const leastDrawnId = 0x1_0000;

type Repair = DamagedReplica & { readonly newId: ReplicaId; isCreating: boolean };

export type ReplicaRepairParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly options: HostOptions;
  readonly maps: LocalMap;
  /** Begins the empty replica; see `createReplica`. */
  readonly create: (shard: MapShard, replicaId: ReplicaId) => Promise<Group>;
  /** The replica is there: from now on it takes part. */
  readonly onCreated: (group: Group) => void;
  readonly onFatal: (error: unknown) => void;
};

export class ReplicaRepair {
  private readonly repairs = new Map<ShardId, Repair>();
  private readonly inbox: string;
  private subscription: BusSubscription | undefined;
  private timer: Timer | undefined;
  private betweenMs = askAgainMs;
  private stopped = false;
  repaired = 0;

  constructor(private readonly parts: ReplicaRepairParts) {
    this.inbox = parts.bus.newInbox();
  }

  /** What waits to be replaced. */
  get waiting(): Iterable<DamagedReplica> {
    return this.repairs.values();
  }

  isWaiting(shardId: ShardId): boolean {
    return this.repairs.has(shardId);
  }

  add(replica: DamagedReplica): void {
    const { random, logger } = this.parts;
    const newId = (leastDrawnId + (random.nextU32() % (0xffff_ffff - leastDrawnId))) as ReplicaId;
    this.repairs.set(replica.shardId, { ...replica, newId, isCreating: false });
    const { shardId, replicaId, reason } = replica;
    if (reason === undefined) logger.info({ shardId, newId }, 'asking to begin a replica');
    else
      logger.error({ shardId, replicaId, newId, reason }, 'a replica cannot go on and will be rebuilt from its leader');
    if (this.subscription !== undefined) this.askSoon();
  }

  /** The map places the shard elsewhere. One that is being created goes on, and is removed when it is there. */
  drop(shardId: ShardId): void {
    if (this.repairs.get(shardId)?.isCreating === false) this.repairs.delete(shardId);
  }

  start(): void {
    const { bus } = this.parts;
    this.subscription = bus.subscribe('client', `${this.inbox}.*`, (message) => {
      if (!message.noResponders) this.answered(message.subject, message.payload);
    });
    this.askSoon();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.subscription?.unsubscribe();
  }

  /** The first answers say that the change is under way, and it seldom takes long. */
  private askSoon(): void {
    this.betweenMs = askAgainMs;
    this.ask();
  }

  private ask(): void {
    this.timer?.cancel();
    if (this.stopped) return;
    this.timer = this.parts.clock.after(this.betweenMs, () => this.ask());
    this.betweenMs = Math.min(2 * this.betweenMs, mostBetweenMs);
    this.askAll();
  }

  private askAll(): void {
    const { bus, options, maps } = this.parts;
    for (const { shardId, newId, isCreating } of this.repairs.values()) {
      if (isCreating) continue;
      const request: AdminRequest = { op: 'replaceReplica', shardId, nodeId: options.nodeId, newReplicaId: newId };
      const payload = JSON.stringify(request);
      const shard = maps.shard(shardId);
      const homes = [...(shard?.replicas ?? []).map(({ nodeId }) => nodeId), ...(shard?.leaving ?? [])];
      for (const nodeId of homes) {
        if (nodeId === options.nodeId) continue;
        const subject = adminSubject(options.cluster, nodeId);
        bus.publish('client', subject, Buffer.from(payload), { replyTo: `${this.inbox}.${shardId}` });
      }
    }
  }

  private answered(subject: string, payload: Buffer): void {
    const shardId = Number(subject.slice(this.inbox.length + 1)) as ShardId;
    const repair = this.repairs.get(shardId);
    const answer = JSON.parse(payload.toString()) as AdminAnswer;
    if (repair === undefined || repair.isCreating || !('member' in answer) || answer.member !== repair.newId) return;
    const { maps, create, onCreated, onFatal } = this.parts;
    const shard = maps.shard(shardId);
    if (shard === undefined) return;
    repair.isCreating = true;
    create(shard, repair.newId).then(
      (group) => {
        this.repairs.delete(shardId);
        if (this.stopped) return;
        this.repaired++;
        onCreated(group);
      },
      (error: unknown) => onFatal(error),
    );
  }
}
