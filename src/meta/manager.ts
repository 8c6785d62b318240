/**
 * The allocation manager: runs where the system shard is led, and nowhere else. A reconciling loop: look at the map and at
 * what is reported, draw up one safe change, make it durable, repeat. Whatever it must not forget stands in the map, so
 * that the next one goes on where this one stopped.
 *
 * Invariants:
 * 1. Every change goes through one `MapKeeper`, in the term in which the map was read.
 * 2. No move begins that makes more than `settings.maxMoves` replicas be on their way at a time, unless an administrator
 *    orders it, or it is the only one.
 * 3. A node stays listed as leaving until the shard's leader has reported a committed configuration without it.
 */
import {
  type Clock,
  isRingraftError,
  type Logger,
  messageOf,
  type NodeId,
  type ShardId,
  type Timer,
} from '../base/index.js';
import { allShards } from '../host/index.js';
import type { ClusterMap, MapNode, MapShard, ShardReport } from '../wire/index.js';
import { type ChangeDraft, MapKeeper, type MapKeeperParts, shardsPerChange } from './map-keeper.js';
import type { NodeWatch } from './node-watch.js';
import {
  holdsNothing,
  homesOf,
  isMoving,
  isStranded,
  leadersToSpread,
  movesUnderWay,
  type PlannedShard,
  plannedShards,
  receivers,
  redirected,
} from './planning.js';

const stepEveryMs = 250;
/** While nothing moves. */
const idleStepMs = 1000;

export type ManagerParts = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly watch: NodeWatch;
  /** Called when something happened that no later term can make good; the node must stop. */
  readonly onFatal: (error: unknown) => void;
};

export class Manager {
  readonly reports = new Map<ShardId, ShardReport>();
  readonly moveBeganMs = new Map<ShardId, number>();
  private planned: PlannedShard[] = [];
  /** What the plan was made from; another plan is made when it changes. */
  private plannedFor = '';
  /** The plan left shards alone that were on their way then, or some of it came to nothing. */
  private isPlanPartial = false;
  private leadersSpreadFor = '';
  private timer: Timer | undefined;
  private isStepping = false;
  /** Something happened during the step that is being made. */
  private isWoken = false;
  private stopped = false;

  private constructor(
    private readonly parts: ManagerParts,
    readonly keeper: MapKeeper,
  ) {}

  /** Begins to manage in the keeper's term. Rejects with NOT_LEADER when the term is over before the map is read. */
  static async begin(
    parts: ManagerParts,
    keeping: MapKeeperParts,
    mayFound: () => Promise<ClusterMap | undefined>,
  ): Promise<Manager> {
    const manager = new Manager(parts, await MapKeeper.open(keeping, mayFound));
    const nowMs = parts.clock.nowMs();
    for (const { id } of allShards(manager.map).filter(isMoving)) manager.moveBeganMs.set(id, nowMs);
    manager.schedule();
    return manager;
  }

  get map(): ClusterMap {
    return this.keeper.current;
  }

  /** Replicas that wait for a place among those that are moved. */
  get waitingMoves(): number {
    return this.planned.length;
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
  }

  /** Something is to be looked at before the next step is due. */
  wake(): void {
    this.isWoken = true;
    if (!this.isStepping) this.schedule();
  }

  /** One step after the other, however often it is woken. */
  private schedule(): void {
    this.timer?.cancel();
    if (this.stopped) return;
    const afterMs = this.isWoken ? 0 : this.isIdle ? idleStepMs : stepEveryMs;
    this.timer = this.parts.clock.after(afterMs, () => {
      this.isStepping = true;
      this.isWoken = false;
      this.step()
        .catch((error: unknown) => this.failed(error))
        .finally(() => {
          this.isStepping = false;
          this.schedule();
        });
    });
  }

  private get isIdle(): boolean {
    return this.planned.length === 0 && movesUnderWay(this.map) === 0;
  }

  private failed(error: unknown): void {
    if (!isRingraftError(error)) {
      this.parts.onFatal(error);
      return;
    }
    // What was taken from the plan was not begun.
    this.plannedFor = '';
    // NOT_LEADER ends this manager from outside; anything else passes.
    if (error.code !== 'NOT_LEADER')
      this.parts.logger.warn({ error: messageOf(error) }, 'a step of the manager failed');
  }

  takeReports(reports: readonly ShardReport[]): void {
    const shards = new Set(allShards(this.map).map(({ id }) => id));
    for (const report of reports) {
      if (!shards.has(report.shardId)) continue;
      const known = this.reports.get(report.shardId);
      if (known === undefined || report.term >= known.term) this.reports.set(report.shardId, report);
    }
    if (reports.some(({ phase }) => phase === 'settled')) this.wake();
  }

  private async step(): Promise<void> {
    if (this.stopped) return;
    await this.keeper.change((map) => this.nodesChanged(map));
    await this.keeper.change((map) => this.movesDone(map));
    await this.keeper.change((map) => this.nodeDrained(map));
    this.plan();
    await this.keeper.change((map) => this.movesBegin(map));
    await this.keeper.change((map) => this.leadersMove(map));
  }

  /** Nodes that have been gone for too long, or are back. */
  private nodesChanged(map: ClusterMap): ChangeDraft | undefined {
    const nodes: MapNode[] = [];
    const summary: string[] = [];
    for (const node of map.nodes) {
      const { state, forMs } = this.parts.watch.sightOf(node.id);
      const isGone = state !== 'alive' && state !== 'suspect';
      if (node.condition === 'up' && isGone && forMs >= map.settings.downAfterMs) {
        nodes.push({ ...node, condition: 'down' });
        summary.push(`${node.id} has been gone for ${Math.round(forMs / 1000)} s`);
      } else if (node.condition === 'down' && state === 'alive') {
        nodes.push({ ...node, condition: 'up' });
        summary.push(`${node.id} is back`);
      }
    }
    return nodes.length === 0 ? undefined : { kind: 'nodeChanged', summary: summary.join('; '), nodes };
  }

  private movesDone(map: ClusterMap): ChangeDraft | undefined {
    const done: MapShard[] = [];
    const summary: string[] = [];
    for (const shard of allShards(map)) {
      const report = this.reports.get(shard.id);
      if (!isMoving(shard) || report?.phase !== 'settled' || report.epoch !== shard.epoch) continue;
      done.push({ ...shard, leaving: [] });
      summary.push(`shard ${shard.id} off ${shard.leaving.join(', ')}`);
      this.reports.delete(shard.id);
      this.moveBeganMs.delete(shard.id);
      if (done.length === shardsPerChange) break;
    }
    return done.length === 0 ? undefined : { kind: 'moveDone', summary: summary.join('; '), shards: done };
  }

  private nodeDrained(map: ClusterMap): ChangeDraft | undefined {
    const empty = map.nodes.filter(({ id, condition }) => condition === 'draining' && holdsNothing(map, id));
    if (empty.length === 0) return undefined;
    return {
      kind: 'nodeChanged',
      summary: `${empty.map(({ id }) => id).join(', ')}: drained`,
      nodes: empty.map((node) => ({ ...node, condition: 'drained' })),
    };
  }

  /**
   * A new plan when nodes or settings are others than those of the last one; and once nothing moves any more, when that
   * one could not take everything into account.
   */
  private plan(): void {
    const { map } = this;
    const up = new Set(receivers(map).map(({ id }) => id));
    const isLeftOver =
      this.isIdle && up.size >= map.replication && allShards(map).some((shard) => isStranded(shard, up));
    if (isLeftOver || (this.isIdle && this.isPlanPartial)) this.plannedFor = '';
    const { rebalance } = map.settings;
    const key = JSON.stringify([
      rebalance,
      map.nodes.map(({ id, zone, weight, condition }) => [id, zone, weight, condition]),
    ]);
    if (key === this.plannedFor) return;
    this.plannedFor = key;
    this.planned = [...plannedShards(map)];
    this.isPlanPartial = movesUnderWay(map) > 0;
    this.leadersSpreadFor = '';
    if (this.planned.length > 0) this.parts.logger.info({ shards: this.planned.length }, 'planned to move replicas');
  }

  /** An administrator moved a shard, or stopped a move: the plan must not undo it. */
  forgetPlanOf(shardId: ShardId): void {
    this.planned = this.planned.filter((planned) => planned.shardId !== shardId);
  }

  private movesBegin(map: ClusterMap): ChangeDraft | undefined {
    let underWay = movesUnderWay(map);
    const shards: MapShard[] = [];
    const summary: string[] = [];
    const waiting: PlannedShard[] = [];
    const byId = new Map(allShards(map).map((shard) => [shard.id, shard]));
    const up = new Set(receivers(map).map(({ id }) => id));
    const isOnItsWay = ({ shardId }: PlannedShard): boolean => {
      const shard = byId.get(shardId);
      return shard !== undefined && isMoving(shard);
    };
    for (const planned of [...this.planned].sort((a, b) => Number(isOnItsWay(b)) - Number(isOnItsWay(a)))) {
      const { shardId, homes } = planned;
      const shard = byId.get(shardId);
      if (shard === undefined || !isStillRight(shard, homes, up)) {
        this.isPlanPartial = true;
        continue;
      }
      const moved = redirected(shard, homes);
      const more = moved.leaving.length - shard.leaving.length;
      // A move that only goes elsewhere than before waits for nobody: others may be waiting for it. And one shard alone
      // may move as many replicas as it must.
      const fits = isMoving(shard) || underWay === 0 || underWay + more <= map.settings.maxMoves;
      const isInTurn = isMoving(shard) || waiting.length === 0;
      if (!fits || !isInTurn || shards.length === shardsPerChange) {
        waiting.push(planned);
        continue;
      }
      underWay += more;
      shards.push(moved);
      summary.push(summaryOf(shard, homes));
      this.reports.delete(shardId);
      this.moveBeganMs.set(shardId, this.parts.clock.nowMs());
    }
    this.planned = waiting;
    return shards.length === 0 ? undefined : { kind: 'moveBegan', summary: summary.join('; '), shards };
  }

  /** Once nothing moves, leaders are spread over the nodes anew. */
  private leadersMove(map: ClusterMap): ChangeDraft | undefined {
    if (this.planned.length > 0 || movesUnderWay(map) > 0) return undefined;
    const key = JSON.stringify([this.plannedFor, map.settings.leaderZones]);
    if (key === this.leadersSpreadFor) return undefined;
    const shards = leadersToSpread(map);
    if (shards.length <= shardsPerChange) this.leadersSpreadFor = key;
    if (shards.length === 0) return undefined;
    const some = shards.slice(0, shardsPerChange);
    return { kind: 'leadersSpread', summary: `${some.length} shards get another leader`, shards: some };
  }
}

/** Plans are made for a map that has changed since. */
const isStillRight = (shard: MapShard, homes: readonly NodeId[], up: ReadonlySet<NodeId>): boolean =>
  homes.every((node) => up.has(node)) && (!isMoving(shard) || isStranded(shard, up));

function summaryOf(shard: MapShard, homes: readonly NodeId[]): string {
  const before = homesOf(shard);
  const leavers = before.filter((node) => !homes.includes(node));
  const comers = homes.filter((node) => !before.includes(node));
  return `shard ${shard.id}: ${leavers.join(', ')} -> ${comers.join(', ')}`;
}
