/**
 * A cluster that manages itself, in the simulated world: nodes that found it and nodes that join it, one administrator,
 * and what a whole cluster at rest is.
 */
import { isDeepStrictEqual } from 'node:util';
import { type NodeId, nodeId, type ShardId, systemShardId } from '../../src/base/index.js';
import { allShards, isPlacedOn } from '../../src/host/index.js';
import { type FailureDetectorOptions, foundingMap } from '../../src/meta/index.js';
import { homesOf, isMoving, isStranded, leadersToSpread, plannedShards, receivers } from '../../src/meta/planning.js';
import type { ClusterMap, ClusterSettings, MapChange, MapShard } from '../../src/wire/index.js';
import { usualSettings, usualTimings } from '../support/maps.js';
import { Checks, Violation } from './checks.js';
import { ClusterChecks } from './cluster-checks.js';
import { Network } from './network.js';
import { type NodeParts, type NodeSettings, SimNode } from './sim-node.js';
import type { World } from './world.js';

export type SimClusterOptions = {
  readonly founders: number;
  /** Further machines: those of nodes that may join. */
  readonly spares: number;
  readonly shards: number;
  readonly replication: number;
  readonly settings: NodeSettings;
  readonly management?: Partial<ClusterSettings>;
  readonly gossip?: Partial<FailureDetectorOptions>;
};

export const clusterBucket = { name: 'default', id: 1 };

export class SimCluster {
  readonly network: Network;
  readonly checks: Checks;
  readonly truth: ClusterChecks;
  readonly founders: readonly SimNode[];
  readonly spares: readonly SimNode[];
  readonly founding: ClusterMap;
  /** Nodes that died for good. */
  readonly dead = new Set<SimNode>();
  /** Somebody gave orders about single shards, which the manager does not undo. */
  wasShardMoved = false;
  onChange: (change: MapChange, map: ClusterMap) => void = () => {};
  onElection: (node: string, shardId: ShardId, term: number) => void = () => {};

  constructor(
    readonly world: World,
    options: SimClusterOptions,
    trace: NodeParts['trace'],
  ) {
    this.network = new Network(world);
    this.checks = new Checks(
      (value) => world.note(value),
      (node, shardId, term) => this.onElection(node, shardId, term),
    );
    this.truth = new ClusterChecks(this.checks, (change, map) => {
      world.note(map.epoch);
      trace('map', `${change.epoch} ${change.kind}: ${change.summary}`);
      this.onChange(change, map);
    });
    const ids = Array.from({ length: options.founders + options.spares }, (_, at) => nodeId(`n${at + 1}`));
    const map = foundingMap({
      cluster: 'sim',
      shards: options.shards,
      replication: options.replication,
      nodes: ids.slice(0, options.founders).map((id) => ({ id, zone: 'z', weight: 1 })),
      buckets: [clusterBucket],
      management: { ...usualSettings, ...options.management },
      raft: usualTimings,
    });
    this.founding = map;
    const managed = {
      originOf: (id: NodeId) =>
        ids.indexOf(id) < options.founders
          ? ({ type: 'found', map } as const)
          : ({ type: 'join', zone: 'z', weight: 1 } as const),
      watchLog: (id: NodeId, wal: Parameters<ClusterChecks['watchLog']>[1]) => this.truth.watchLog(id, wal),
      onWiped: (id: NodeId) => this.truth.onWiped(id),
      gossip: options.gossip ?? {},
    };
    const { network, checks } = this;
    const parts: NodeParts = { world, network, checks, map, settings: options.settings, trace, managed };
    const nodes = ids.map((id) => new SimNode(id, parts));
    this.founders = nodes.slice(0, options.founders);
    this.spares = nodes.slice(options.founders);
    world.afterEvent = (process) => {
      if (process === undefined) return;
      const node = this.nodes.find(({ id }) => id === process);
      if (node?.host === undefined) return;
      this.checks.observe(process, node.host);
      this.truth.observe(process, node.host);
      this.truth.afterEvent();
    };
  }

  get nodes(): readonly SimNode[] {
    return [...this.founders, ...this.spares];
  }

  /** As the system shard holds it. */
  get map(): ClusterMap {
    return this.truth.map ?? this.founding;
  }

  node(id: string): SimNode {
    const node = this.nodes.find((one) => one.id === id);
    if (node === undefined) throw new Error(`there is no machine ${id}`);
    return node;
  }

  shardOf(shardId: ShardId): MapShard {
    const shard = allShards(this.map).find(({ id }) => id === shardId);
    if (shard === undefined) throw new Error(`there is no shard ${shardId}`);
    return shard;
  }

  /** The leader of the latest term. */
  leaderOf(shardId: ShardId): SimNode | undefined {
    let leader: SimNode | undefined;
    let term = 0;
    for (const node of this.nodes) {
      for (const { shardId: id, raft } of node.host?.replicas() ?? []) {
        if (id !== shardId || !raft.isLeader || raft.currentTerm <= term) continue;
        term = raft.currentTerm;
        leader = node;
      }
    }
    return leader;
  }

  get manager(): SimNode {
    const leader = this.leaderOf(systemShardId);
    if (leader === undefined) throw new Error('nobody leads the system shard');
    return leader;
  }

  /** It never comes back, unless somebody starts its machine after all. */
  kill(node: SimNode, power: boolean): void {
    this.dead.add(node);
    node.isRetired = true;
    node.crash(power);
  }

  revive(node: SimNode): void {
    this.dead.delete(node);
    node.isRetired = false;
    node.start();
  }

  /** Nodes of the map that are not dead for good. */
  get members(): readonly SimNode[] {
    return this.nodes.filter((node) => !this.dead.has(node) && this.map.nodes.some(({ id }) => id === node.id));
  }

  /** What is not yet as in a cluster at rest; undefined: nothing. */
  whatIsLeft(): string | undefined {
    const { map } = this;
    if (this.truth.map === undefined) return 'the cluster is not founded';
    const moving = allShards(map).find(isMoving);
    if (moving !== undefined) return `shard ${moving.id} is being moved off ${moving.leaving}`;
    const draining = map.nodes.find(({ condition }) => condition === 'draining');
    if (draining !== undefined) return `${draining.id} is being drained`;
    const up = receivers(map);
    const stranded = allShards(map).find((shard) => isStranded(shard, new Set(up.map(({ id }) => id))));
    if (stranded !== undefined && up.length >= map.replication) return `shard ${stranded.id} is on a node that is gone`;
    if (!this.wasShardMoved) {
      const [planned] = plannedShards(map);
      if (planned !== undefined) return `shard ${planned.shardId} should be on ${planned.homes}`;
      const [shard] = leadersToSpread(map);
      if (shard !== undefined) return `shard ${shard.id} should be led elsewhere`;
    }
    for (const node of this.nodes.filter((one) => one.isServing || this.members.includes(one))) {
      const left = this.whatNodeLacks(node);
      if (left !== undefined) return `${node.id}: ${left}`;
    }
    for (const shard of allShards(map)) {
      const left = this.whatShardLacks(shard);
      if (left !== undefined) return `shard ${shard.id}: ${left}`;
    }
    return undefined;
  }

  private whatNodeLacks(node: SimNode): string | undefined {
    const { map } = this;
    const { host } = node;
    if (host === undefined) return node.refusal ?? 'it does not serve';
    const isMember = map.nodes.some(({ id }) => id === node.id);
    if (isMember && host.maps.current.epoch !== map.epoch)
      return `it has map ${host.maps.current.epoch} of ${map.epoch}`;
    const held = [...host.replicas()].map(({ shardId }) => shardId).sort((a, b) => a - b);
    const wanted = allShards(map)
      .filter((shard) => isPlacedOn(shard, node.id))
      .map(({ id }) => id);
    return isDeepStrictEqual(held, wanted) ? undefined : `it holds ${held}, and should ${wanted}`;
  }

  private whatShardLacks(shard: MapShard): string | undefined {
    const leader = this.leaderOf(shard.id);
    const homes = homesOf(shard);
    if (leader === undefined) return 'nobody leads it';
    const isThere = this.members.some(({ id }) => id === homes[0]);
    if (isThere && leader.id !== homes[0]) return `${leader.id} leads it, ${homes[0]} should`;
    const indexes = new Set<number>();
    for (const node of this.members) {
      for (const { shardId, raft, replicaId } of node.host?.replicas() ?? []) {
        if (shardId !== shard.id) continue;
        const { voters, outgoing, learners } = raft.configuration;
        if (!raft.isConfigurationCommitted || outgoing.length > 0 || learners.length > 0) return 'its members change';
        if (voters.length !== homes.length || !voters.includes(replicaId)) return `its voters are ${voters}`;
        indexes.add(raft.appliedIndex).add(raft.lastIndex);
      }
    }
    return indexes.size === 1 ? undefined : `its replicas stand at ${[...indexes]}`;
  }

  /** Every replica of a shard holds the same bytes, and no node holds any of another. */
  compareStates(): void {
    for (const shard of allShards(this.map)) {
      const states = new Map<string, NodeId>();
      for (const node of this.nodes.filter((one) => one.isServing)) {
        const state = dataOf(node, shard);
        if (!isPlacedOn(shard, node.id)) {
          if (state.length === 0) continue;
          throw new Violation('convergence', `${node.id} holds ${state.length} bytes of shard ${shard.id} still`);
        }
        states.set(state.toString('latin1'), node.id);
      }
      if (states.size > 1) {
        throw new Violation('convergence', `shard ${shard.id} differs on ${[...states.values()].join(' and ')}`);
      }
    }
  }

  /** Replicas and preferred leaders of every node that is up and alive. */
  get loads(): readonly { readonly id: NodeId; readonly replicas: number; readonly leaders: number }[] {
    const { map } = this;
    return map.nodes
      .filter(({ condition }) => condition === 'up')
      .map(({ id }) => ({
        id,
        replicas: map.shards.filter((shard) => homesOf(shard).includes(id)).length,
        leaders: map.shards.filter((shard) => homesOf(shard)[0] === id).length,
      }));
  }

  describe(): string {
    return this.nodes
      .map((node) => {
        const epoch = node.host?.maps.current.epoch;
        const groups = [...(node.host?.replicas() ?? [])].map(({ shardId, replicaId, raft }) => {
          const { voters, outgoing, learners } = raft.configuration;
          return `${shardId}:${raft.role}@${raft.currentTerm} id=${replicaId} [${voters}|${outgoing}|${learners}] ${raft.appliedIndex}/${raft.lastIndex}`;
        });
        return `\n  ${node.id} ${node.isServing ? `map ${epoch} ${groups.join('; ')}` : 'down'}`;
      })
      .join('');
  }
}

const dataTag = 0x64;
const systemBucket = 0;

/** The records of a shard on a node's disk. */
function dataOf(node: SimNode, shard: MapShard): Buffer {
  const isSystem = shard.id === systemShardId;
  const parts = node.machine.engine.dump().filter(([key]) => {
    if (key[0] !== dataTag || (key.readUInt16BE(1) === systemBucket) !== isSystem) return false;
    const ring = key.readUInt32BE(3);
    return isSystem || (ring >= shard.arcStart && ring < shard.arcEnd);
  });
  return Buffer.concat(parts.flatMap(([key, value]) => [key, Buffer.from([0]), value, Buffer.from([1])]));
}
