/**
 * Runs the manager while this node leads the system shard, and answers what is asked of it: JSON in, JSON out, on the
 * one subject where only the manager listens.
 */
import {
  assertNever,
  type Clock,
  isRingraftError,
  type Logger,
  messageOf,
  type NodeId,
  RingraftError,
  type ShardId,
  type Timer,
} from '../base/index.js';
import type { Host } from '../host/index.js';
import type { Bus, BusMessage, BusSubscription } from '../transport/index.js';
import {
  type ClusterMap,
  encodeAnswer,
  errorAnswer,
  type ManagerAnswer,
  type ManagerRequest,
  type MapBucket,
  type MapChange,
  managerSubject,
  mapChangeSubject,
} from '../wire/index.js';
import { allHaveBegun } from './founding.js';
import { Manager } from './manager.js';
import { parseManagerRequest } from './manager-requests.js';
import type { ChangeDraft } from './map-keeper.js';
import type { NodeWatch } from './node-watch.js';
import * as orders from './orders.js';
import { holdsNothing } from './planning.js';
import { clusterView } from './views.js';

const lookEveryMs = 100;
const mostChanges = 1000;

export type ManagerServerParts = {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly host: Host;
  readonly watch: NodeWatch;
  readonly cluster: string;
  readonly nodeId: NodeId;
  readonly onFatal: (error: unknown) => void;
};

export class ManagerServer {
  private manager: Manager | undefined;
  /** The term in which the manager runs, or is being begun; 0: it is not. */
  private term = 0;
  private subscription: BusSubscription | undefined;
  private timer: Timer | undefined;
  private stopped = false;

  constructor(private readonly parts: ManagerServerParts) {}

  start(): void {
    const look = (): void => {
      this.look();
      if (!this.stopped) this.timer = this.parts.clock.after(lookEveryMs, look);
    };
    look();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.end();
  }

  /** Follows the leadership of the system shard. */
  private look(): void {
    const { leaderTerm } = this.parts.host.system;
    if (leaderTerm === this.term) return;
    this.end();
    this.term = leaderTerm;
    if (leaderTerm > 0) void this.begin(leaderTerm);
  }

  private end(): void {
    this.manager?.stop();
    this.manager = undefined;
    this.subscription?.unsubscribe();
    this.subscription = undefined;
  }

  private async begin(term: number): Promise<void> {
    const { clock, logger, host, watch, bus, cluster, onFatal } = this.parts;
    const onChange = (change: MapChange, map: ClusterMap): void => this.announce(change, map);
    try {
      const keeping = { clock, system: host.system, term, onChange };
      const manager = await Manager.begin({ clock, logger, watch, onFatal }, keeping, () => this.mayFound(term));
      if (this.stopped || this.term !== term) {
        manager.stop();
        return;
      }
      this.manager = manager;
      this.subscription = bus.subscribe('client', managerSubject(cluster), (message) => this.receive(message));
      logger.info({ term, epoch: manager.map.epoch }, 'manages the cluster');
      this.adopt(manager.map);
    } catch (error) {
      if (!isRingraftError(error) || error.code === 'CORRUPT') {
        onFatal(error);
        return;
      }
      // NOT_LEADER: the term was over before it had begun, as while leaders find home.
      const isOver = error.code === 'NOT_LEADER';
      logger[isOver ? 'info' : 'warn']({ term, error: messageOf(error) }, 'could not begin to manage the cluster');
      // Looks again soon; by then the term may be over.
      if (this.term === term) this.term = 0;
    }
  }

  /** The founding map, once every founding node is ready for it; undefined: not in this term. */
  private async mayFound(term: number): Promise<ClusterMap | undefined> {
    const { bus, clock, logger, nodeId, host } = this.parts;
    const founding = host.maps.current;
    const goesOn = (): boolean => !this.stopped && this.term === term && host.maps.current.epoch === 0;
    if (!goesOn() || !(await allHaveBegun({ bus, clock, logger, nodeId, founding, goesOn }))) return undefined;
    return founding;
  }

  private adopt(map: ClusterMap): void {
    try {
      this.parts.host.confirmMap(map);
    } catch (error) {
      this.parts.onFatal(error);
    }
  }

  private announce(change: MapChange, map: ClusterMap): void {
    const { bus, cluster, logger } = this.parts;
    logger.info({ epoch: change.epoch, kind: change.kind }, change.summary);
    this.adopt(map);
    const payload = Buffer.from(JSON.stringify(change));
    if (payload.length <= bus.maxPayloadBytes) bus.publish('client', mapChangeSubject(cluster), payload);
  }

  private receive(message: BusMessage): void {
    const { replyTo } = message;
    const { bus } = this.parts;
    void this.answer(message.payload).then((answer) => {
      if (replyTo !== undefined) bus.publish('client', replyTo, encodeAnswer(answer, bus.maxPayloadBytes, 'less'));
    });
  }

  private async answer(payload: Buffer): Promise<ManagerAnswer> {
    try {
      const request = parseManagerRequest(payload);
      const { manager } = this;
      if (manager === undefined)
        throw new RingraftError('NOT_LEADER', 'this node does not manage the cluster any more');
      return await this.execute(manager, request);
    } catch (error) {
      if (isRingraftError(error)) return errorAnswer(error);
      this.parts.logger.warn({ error: messageOf(error) }, 'a request to the manager failed');
      return errorAnswer(new RingraftError('BAD_REQUEST', messageOf(error)));
    }
  }

  /** A process that lost its data asks again under its name; two that run under one would answer for each other. */
  private checkUnused(map: ClusterMap, id: string): void {
    const known = map.nodes.find((node) => node.id === id);
    const { state } = known === undefined ? { state: 'unknown' } : this.parts.watch.sightOf(known.id);
    if (state !== 'alive' && state !== 'suspect') return;
    throw new RingraftError(
      'BUSY',
      `a node ${id} is running: another one needs another name, or must wait until it is gone`,
    );
  }

  private async execute(manager: Manager, request: ManagerRequest): Promise<ManagerAnswer> {
    const change = async (draft: (map: ClusterMap) => ChangeDraft | undefined): Promise<ManagerAnswer> => {
      const epoch = await manager.keeper.change(draft);
      manager.wake();
      return { done: true, epoch };
    };
    const ofBucket = async (
      name: string,
      draft: (map: ClusterMap) => ChangeDraft | undefined,
    ): Promise<ManagerAnswer> => {
      let bucket: MapBucket | undefined;
      const epoch = await manager.keeper.change((map) => {
        const drafted = draft(map);
        bucket = drafted?.buckets?.[0] ?? orders.bucketOf(map, name);
        return drafted;
      });
      return bucket === undefined ? { done: true, epoch } : { done: true, epoch, bucket };
    };
    // A refused order leaves the plan as it is.
    const ofShard = (shard: number, draft: ChangeDraft | undefined): ChangeDraft | undefined => {
      if (draft !== undefined) manager.forgetPlanOf(shard as ShardId);
      return draft;
    };
    switch (request.op) {
      case 'report':
        manager.takeReports(request.shards);
        return { done: true, epoch: manager.map.epoch };
      case 'view':
        return { view: clusterView(manager, this.parts.nodeId, this.parts.watch, this.parts.clock) };
      case 'map':
        // Whoever asks acts on it: it must not be the map of a manager that has been replaced.
        await this.parts.host.system.confirm(this.term);
        return { map: manager.map };
      case 'history':
        return { changes: manager.keeper.history(Math.min(request.limit, mostChanges), request.before) };
      case 'join':
        this.checkUnused(manager.map, request.node.id);
        await change((map) => orders.join(map, request));
        return { map: manager.map };
      case 'drain':
        return change((map) => orders.drain(map, request.node));
      case 'recommission':
        return change((map) => orders.recommission(map, request.node));
      case 'decommission': {
        const answer = await change((map) =>
          map.nodes.some(({ id }) => id === request.node) ? orders.decommission(map, request.node) : undefined,
        );
        const left = manager.map.nodes.find(({ id }) => id === request.node);
        if (left === undefined) return answer;
        const holds = holdsNothing(manager.map, left.id) ? 'nothing any more' : 'replicas still';
        throw new RingraftError(
          'BUSY',
          `${request.node} is being drained and holds ${holds}: ask again when it is drained`,
        );
      }
      case 'setNode':
        return change((map) => orders.setNode(map, request));
      case 'move':
        return change((map) => ofShard(request.shard, orders.move(map, request)));
      case 'cancelMove':
        return change((map) =>
          ofShard(request.shard, orders.cancelMove(map, request.shard, manager.reports.get(request.shard as ShardId))),
        );
      case 'settings':
        return change((map) => orders.settings(map, request.set));
      case 'createBucket':
        return ofBucket(request.name, (map) => orders.createBucket(map, request));
      case 'configureBucket':
        return ofBucket(request.name, (map) => orders.configureBucket(map, request));
      case 'removeBucket':
        return ofBucket(request.name, (map) => orders.removeBucket(map, request));
      default:
        return assertNever(request, 'request to the manager');
    }
  }
}
