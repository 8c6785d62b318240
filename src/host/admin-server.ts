/** Administration of this node over its admin subject: JSON in, JSON out. */
import {
  assertNever,
  type Clock,
  isRingraftError,
  type NodeId,
  noReplica,
  type ReplicaId,
  RingraftError,
  type ShardId,
} from '../base/index.js';
import type { Bus, BusSubscription } from '../transport/index.js';
import {
  type AdminAnswer,
  type AdminRequest,
  adminSubject,
  encodeAnswer,
  errorAnswer,
  type NodeStatus,
} from '../wire/index.js';
import { parseAdminRequest } from './admin-requests.js';
import type { Group } from './group.js';
import type { LocalMap } from './local-map.js';
import { takeInLearner } from './membership.js';
import { metricsText } from './metrics.js';
import type { HostOptions } from './options.js';
import type { Replicas } from './replicas.js';
import type { SystemShard } from './system-shard.js';

export type AdminServerParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly options: HostOptions;
  readonly maps: LocalMap;
  readonly replicas: Replicas;
  readonly system: SystemShard;
  readonly mark: (group: Group) => void;
  /** With `only`: of that shard alone, in detail. */
  readonly status: (only?: ShardId) => NodeStatus;
};

export class AdminServer {
  private subscription: BusSubscription | undefined;

  constructor(private readonly parts: AdminServerParts) {}

  start(): void {
    const { bus, options } = this.parts;
    this.subscription = bus.subscribe('client', adminSubject(options.cluster, options.nodeId), (message) => {
      const { replyTo } = message;
      void this.answer(message.payload).then((answer) => {
        if (replyTo !== undefined)
          bus.publish('client', replyTo, encodeAnswer(answer, bus.maxPayloadBytes, 'one shard'));
      });
    });
  }

  stop(): void {
    this.subscription?.unsubscribe();
  }

  private async answer(payload: Buffer): Promise<AdminAnswer> {
    try {
      return await this.execute(parseAdminRequest(payload));
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      return errorAnswer(error);
    }
  }

  private async execute(request: AdminRequest): Promise<AdminAnswer> {
    switch (request.op) {
      case 'status':
        return { status: this.parts.status(request.shardId as ShardId | undefined) };
      case 'metrics':
        return { metrics: await metricsText(this.parts.status()) };
      case 'transferLeader':
        this.transferLeader(request.shardId, request.to);
        return { done: true };
      case 'replaceReplica': {
        const group = this.group(request.shardId);
        // The node lives, its replica does not: a group that went quiet under it would wait for ever.
        if (group.leaderNode === request.nodeId) group.raft.leaderUnreachable(this.parts.clock.nowMs());
        try {
          const shard = this.parts.maps.shard(group.shardId);
          takeInLearner(group, shard, request.nodeId as NodeId, request.newReplicaId as ReplicaId);
        } finally {
          this.parts.mark(group);
        }
        return { member: request.newReplicaId };
      }
      case 'rebuildReplica':
        this.parts.replicas.rebuild(request.shardId as ShardId, 'asked for by an administrator');
        return { done: true };
      case 'hostReplica':
        this.parts.replicas.accept(request);
        return { done: true };
      case 'map':
        return { map: this.parts.maps.current };
      case 'founding':
        return { founding: this.parts.maps.isFounded || this.parts.system.hasRecords ? 'established' : 'founding' };
      default:
        return assertNever(request, 'admin request');
    }
  }

  private group(shard: number): Group {
    const group = this.parts.replicas.get(shard as ShardId);
    if (group === undefined) throw new RingraftError('WRONG_SHARD', `this node holds no replica of shard ${shard}`);
    return group;
  }

  private transferLeader(shard: number, to: string): void {
    const group = this.group(shard);
    const target = group.voterOn(to as NodeId);
    if (target === noReplica)
      throw new RingraftError('BAD_REQUEST', `node ${to} holds no voting replica of shard ${shard}`);
    const started = group.raft.transferLeadership(target, this.parts.clock.nowMs());
    this.parts.mark(group);
    if (started === 'notLeader') {
      const leader = group.leaderNode;
      throw new RingraftError('NOT_LEADER', `node ${leader ?? '(none)'} leads shard ${shard}`, { fields: { leader } });
    }
    if (started === 'changeInFlight') throw new RingraftError('BUSY', 'the membership of the shard is changing');
    if (started === 'notVoter') throw new RingraftError('BAD_REQUEST', `the replica on ${to} does not vote`);
  }
}
