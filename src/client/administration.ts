/** Requests to one node's administration: status, metrics, leadership transfer, rebuilding a replica. */
import { type Clock, isNodeId, isRingraftError, messageOf, type NodeId, pause, RingraftError } from '../base/index.js';
import {
  type AdminAnswer,
  type AdminRequest,
  adminSubject,
  type ManagerAnswer,
  type ManagerRequest,
  managerSubject,
  type NodeStatus,
} from '../wire/index.js';
import { type Inbox, isNoResponders } from './inbox.js';
import { type MapSource, parseAnswer } from './map-source.js';

const pollMs = 25;
const managePauseMs = 100;
/** One request to the manager; a lost one is repeated. */
const manageAttemptMs = 2000;
/** One request for a transfer; a lost one is repeated. */
const transferAttemptMs = 1000;

const asNodeId = (text: string): NodeId => {
  if (!isNodeId(text)) throw new RingraftError('BAD_REQUEST', `not a node id: ${JSON.stringify(text)}`);
  return text;
};

export class Administration {
  constructor(
    private readonly cluster: string,
    private readonly inbox: Inbox,
    private readonly clock: Clock,
    private readonly maps: MapSource,
  ) {}

  async nodeStatus(nodeId: string, timeoutMs: number, shardId?: number): Promise<NodeStatus> {
    const request: AdminRequest = shardId === undefined ? { op: 'status' } : { op: 'status', shardId };
    const answer = await this.ask(asNodeId(nodeId), request, timeoutMs);
    if ('status' in answer) return answer.status;
    throw unexpected(nodeId);
  }

  async metrics(nodeId: string, timeoutMs: number): Promise<string> {
    const answer = await this.ask(asNodeId(nodeId), { op: 'metrics' }, timeoutMs);
    if ('metrics' in answer) return answer.metrics;
    throw unexpected(nodeId);
  }

  private async ask(nodeId: NodeId, request: AdminRequest, timeoutMs: number): Promise<AdminAnswer> {
    const payload = Buffer.from(JSON.stringify(request));
    try {
      const message = await this.inbox.request(adminSubject(this.cluster, nodeId), payload, timeoutMs);
      return parseAnswer<AdminAnswer>(message);
    } catch (error) {
      if (!isNoResponders(error)) throw error;
      const subject = adminSubject(this.cluster, nodeId);
      const message = `node ${nodeId} of cluster ${this.cluster} is not there: nobody listens on ${subject}`;
      throw new RingraftError('UNREACHABLE', message, { cause: error, fields: { subject, nodeId } });
    }
  }

  /** See `RingraftClient.manage`. */
  async manage(request: ManagerRequest, timeoutMs: number): Promise<ManagerAnswer> {
    const deadlineMs = this.clock.nowMs() + timeoutMs;
    const subject = managerSubject(this.cluster);
    const payload = Buffer.from(JSON.stringify(request));
    let maybeHappened = false;
    for (;;) {
      const leftMs = deadlineMs - this.clock.nowMs();
      if (leftMs <= 0) throw noManager(this.cluster, timeoutMs, maybeHappened && !isQuestion(request));
      try {
        const message = await this.inbox.request(subject, payload, Math.min(leftMs, manageAttemptMs));
        return parseAnswer<ManagerAnswer>(message);
      } catch (error) {
        if (!isRingraftError(error)) throw error;
        if (error.happened === 'unknown' || error.code === 'TIMEOUT') maybeHappened = true;
        else if (!isNoResponders(error) && error.code !== 'NOT_LEADER' && error.code !== 'NO_LEADER') throw error;
      }
      await pause(this.clock, managePauseMs);
    }
  }

  /**
   * Asks the node to give up its replica of the shard and to begin a new one; resolves once it has begun. Refused with
   * NO_QUORUM while the replicas elsewhere are no majority, with WRONG_SHARD when there is no such shard or replica.
   */
  async rebuildReplica(shard: number, node: string, timeoutMs: number): Promise<void> {
    const nodeId = asNodeId(node);
    const { map } = await this.maps.fetch(timeoutMs);
    const found = map.shards.find(({ id }) => id === shard);
    if (found === undefined) throw new RingraftError('WRONG_SHARD', `cluster ${this.cluster} has no shard ${shard}`);
    const { replicas } = found;
    if (!replicas.some((replica) => replica.nodeId === nodeId)) {
      throw new RingraftError('WRONG_SHARD', `node ${nodeId} holds no replica of shard ${shard}`);
    }
    const others = replicas.filter((replica) => replica.nodeId !== nodeId);
    const voting = await Promise.all(others.map((replica) => this.votes(replica.nodeId, shard, timeoutMs)));
    const votes = voting.filter(Boolean).length;
    if (2 * votes <= replicas.length) {
      const message = `without node ${nodeId} shard ${shard} has ${votes} voting replicas of ${replicas.length}: no majority to rebuild it from`;
      throw new RingraftError('NO_QUORUM', message);
    }
    await this.ask(nodeId, { op: 'rebuildReplica', shardId: shard }, timeoutMs);
  }

  private async votes(nodeId: NodeId, shard: number, timeoutMs: number): Promise<boolean> {
    try {
      const { shards } = await this.nodeStatus(nodeId, timeoutMs, shard);
      return shards.some(({ shardId, role }) => shardId === shard && role !== 'damaged' && role !== 'learner');
    } catch (error) {
      if (isRingraftError(error, 'UNREACHABLE') || isRingraftError(error, 'TIMEOUT')) return false;
      throw error;
    }
  }

  /**
   * Resolves once `toNode` leads the shard. TIMEOUT with happened "unknown" when the transfer was begun; when it was not,
   * what stood in the way: BUSY or NO_LEADER.
   */
  async transferLeader(shard: number, toNode: string, timeoutMs: number): Promise<void> {
    const target = asNodeId(toNode);
    const deadlineMs = this.clock.nowMs() + timeoutMs;
    let begun = false;
    let refusal: unknown;
    for (;;) {
      const leftMs = deadlineMs - this.clock.nowMs();
      if (leftMs <= 0) throw begun ? notYet(target, shard, timeoutMs) : notBegun(shard, timeoutMs, refusal);
      try {
        if (await this.leads(target, shard, leftMs)) return;
        if (!begun) {
          refusal = await this.beginTransfer(shard, target, leftMs);
          begun = refusal === undefined;
        }
      } catch (error) {
        // The time was up in the middle of a question: what was learned before says more.
        if (!isRingraftError(error, 'TIMEOUT') || !(begun || refusal !== undefined)) throw error;
      }
      await pause(this.clock, pollMs);
    }
  }

  private async leads(nodeId: NodeId, shard: number, timeoutMs: number): Promise<boolean> {
    const { shards } = await this.nodeStatus(nodeId, timeoutMs, shard);
    return shards.some(({ shardId, role }) => shardId === shard && role === 'leader');
  }

  /** undefined once the shard's leader took the request; else why nobody did at the moment. */
  private async beginTransfer(shard: number, target: NodeId, timeoutMs: number): Promise<RingraftError | undefined> {
    try {
      const { map, leaders } = await this.maps.fetch(timeoutMs);
      const at = map.shards.findIndex(({ id }) => id === shard);
      if (at < 0) throw new RingraftError('WRONG_SHARD', `cluster ${this.cluster} has no shard ${shard}`);
      const leader = leaders[at];
      if (leader === null || leader === undefined) return new RingraftError('NO_LEADER', 'no leader is known');
      const request = { op: 'transferLeader', shardId: shard, to: target } as const;
      await this.ask(leader, request, Math.min(timeoutMs, transferAttemptMs));
      return undefined;
    } catch (error) {
      const isPassing = ['NOT_LEADER', 'NO_LEADER', 'BUSY', 'UNREACHABLE', 'TIMEOUT'] as const;
      if (isRingraftError(error) && isPassing.some((code) => isRingraftError(error, code))) return error;
      throw error;
    }
  }
}

const notYet = (target: NodeId, shard: number, timeoutMs: number): RingraftError =>
  new RingraftError('TIMEOUT', `node ${target} does not lead shard ${shard} after ${timeoutMs} ms`, {
    happened: 'unknown',
  });

function notBegun(shard: number, timeoutMs: number, refusal: unknown): RingraftError {
  if (isRingraftError(refusal, 'BUSY')) return refusal;
  const message = `no leader of shard ${shard} took the request within ${timeoutMs} ms: ${messageOf(refusal)}`;
  return new RingraftError('NO_LEADER', message, { cause: refusal });
}

const isQuestion = ({ op }: ManagerRequest): boolean => op === 'view' || op === 'map' || op === 'history';

const noManager = (cluster: string, timeoutMs: number, maybeHappened: boolean): RingraftError =>
  maybeHappened
    ? new RingraftError('TIMEOUT', `the manager of cluster ${cluster} did not answer within ${timeoutMs} ms`, {
        happened: 'unknown',
      })
    : new RingraftError('NO_LEADER', `cluster ${cluster} has no manager at the moment: nobody leads its system shard`);

const unexpected = (nodeId: string): RingraftError =>
  new RingraftError('BAD_REQUEST', `node ${nodeId} gave an answer of another kind than asked for`);
