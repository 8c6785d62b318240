/**
 * Brings the replicas of this node back from disk: puts what the log remembers and what the state machine has applied
 * together, or begins a new group.
 *
 * What can be found, per shard:
 * 1. Neither, on the node's first start (no log, no mark in the state): a new replica with the map's first
 *    configuration. Later: it was given up, and is replaced.
 * 2. Both, the state at or after the log's beginning: go on from the state's applied index. A state ahead of the log's
 *    end (a snapshot was installed, then the machine stopped before the log said so) makes the log begin after it;
 *    what was applied was committed, so nothing is lost by that.
 * 3. A state behind the log's beginning, or damage in the log: acknowledged entries or votes may be missing here. The
 *    replica never votes nor acknowledges again under its id: it is replaced (`replica-repair.ts`).
 */
import {
  type Clock,
  type Logger,
  type NodeId,
  noReplica,
  type Random,
  type ReplicaId,
  replicaId,
  type ShardId,
} from '../base/index.js';
import type { ShardPosition, Store } from '../kv/index.js';
import { type Configuration, type Entry, type HardState, Raft, type SnapshotMetadata } from '../raft/index.js';
import type { RecoveredGroup, Wal } from '../wal/index.js';
import type { ClusterMap, MapShard } from '../wire/index.js';
import { Group } from './group.js';
import type { HostOptions } from './options.js';

export type OpenGroupsParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly wal: Wal;
  readonly store: Store;
};

export type OpenedGroup = { readonly group: Group /** Position of its shard in the map. */; readonly at: number };

/** A replica that must not take part any more. */
export type DamagedReplica = {
  readonly shardId: ShardId;
  readonly at: number;
  /** `noReplica`: not even that can be read. */
  readonly replicaId: ReplicaId;
  readonly reason: string;
};

type Restored = {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMetadata;
  readonly entries: readonly Entry[];
};

const noMembers: Configuration = { voters: [], outgoing: [], learners: [], learnersNext: [] };
const newHardState: HardState = { currentTerm: 0, votedFor: noReplica, commitIndex: 0 };

/** What was found of a shard: a replica to go on with, or the need for another one. */
type Found = Restored | { readonly damage: string };

export async function openGroups(
  parts: OpenGroupsParts,
  options: HostOptions,
): Promise<{ readonly opened: readonly OpenedGroup[]; readonly damaged: readonly DamagedReplica[] }> {
  const { wal, store } = parts;
  const isMarked = await store.hasStartedBefore();
  // State that was taken away takes its mark along; the log still knows.
  const isFirstStart = !isMarked && wal.recovered.size === 0 && wal.damage === undefined;
  const opened: OpenedGroup[] = [];
  const damaged: DamagedReplica[] = [];
  for (const [at, shard] of options.map.shards.entries()) {
    const placed = shard.replicas.find(({ nodeId }) => nodeId === options.nodeId);
    const recovered = wal.recovered.get(shard.id);
    // A replica that was moved away and left nothing behind.
    if (placed === undefined && recovered === undefined) continue;
    const position = await store.openShard(shard.id, { start: shard.arcStart, end: shard.arcEnd });
    const found = restore(parts, options.map, shard, position, isFirstStart);
    const replicaId = recovered?.replicaId ?? foundingReplicaId(options.map, options.nodeId);
    if ('damage' in found) {
      damaged.push({ shardId: shard.id, at, replicaId: recovered?.replicaId ?? noReplica, reason: found.damage });
      continue;
    }
    if (position.appliedIndex === 0) store.createShard(shard.id, found.snapshot.configuration);
    if (recovered === undefined) wal.appendGroup(shard.id, replicaId, found.snapshot);
    opened.push({ group: buildGroup(parts, options, shard, replicaId, found, position.appliedIndex), at });
  }
  await commit(wal);
  if (!isMarked) await store.noteStarted();
  return { opened, damaged };
}

/**
 * Begins a replica that knows nothing, under an id that was never used: whatever was there of the shard is removed
 * first. It waits for its leader.
 */
export async function createReplica(
  parts: OpenGroupsParts,
  options: HostOptions,
  at: number,
  replicaId: ReplicaId,
): Promise<Group> {
  const { wal, store } = parts;
  const shard = options.map.shards[at] as MapShard;
  await store.clearShard(shard.id, { start: shard.arcStart, end: shard.arcEnd });
  const snapshot: SnapshotMetadata = { index: 0, term: 0, configuration: noMembers };
  store.createShard(shard.id, noMembers);
  wal.appendGroup(shard.id, replicaId, snapshot);
  await commit(wal);
  return buildGroup(parts, options, shard, replicaId, { hardState: newHardState, snapshot, entries: [] }, 0);
}

function buildGroup(
  { clock, random }: OpenGroupsParts,
  options: HostOptions,
  shard: MapShard,
  replicaId: ReplicaId,
  restored: Restored,
  appliedIndex: number,
): Group {
  const raft = new Raft({ ...options.raft, replicaId }, random, { ...restored, appliedIndex }, clock.nowMs());
  const nodes = new Map<ReplicaId, NodeId>();
  const preferred = shard.replicas[0]?.nodeId ?? options.nodeId;
  const arc = { start: shard.arcStart, end: shard.arcEnd };
  return new Group(shard.id, replicaId, arc, nodes, preferred, raft, options.raft.maxAppendBytes);
}

function restore(
  { wal, logger }: OpenGroupsParts,
  map: ClusterMap,
  shard: MapShard,
  position: ShardPosition,
  isFirstStart: boolean,
): Found {
  const recovered = wal.recovered.get(shard.id);
  if (recovered === undefined) {
    if (wal.damage !== undefined) return { damage: wal.damage };
    if (position.appliedIndex > 0) return { damage: 'there is state and no log' };
    // Given up and not yet begun anew; never with the first configuration again (RAFT-PITFALLS 22).
    return isFirstStart ? firstState(map, shard) : { damage: 'its replica was given up' };
  }
  if (recovered.damage !== undefined) return { damage: recovered.damage };
  if (position.needsSnapshot) return { damage: 'a snapshot was being installed and its staged bytes are gone' };
  const { snapshot, entries } = recovered;
  if (position.appliedIndex < snapshot.index) {
    return { damage: `the log begins after ${snapshot.index}, the state ends at ${position.appliedIndex}` };
  }
  const lastIndex = entries[entries.length - 1]?.index ?? snapshot.index;
  const appliedTerm = termAt(recovered, position.appliedIndex);
  if (appliedTerm === position.appliedTerm && position.appliedIndex <= lastIndex) {
    return { hardState: withCommit(recovered.hardState, position.appliedIndex), snapshot, entries };
  }
  logger.warn(
    { shardId: shard.id, appliedIndex: position.appliedIndex, lastIndex },
    'the state is ahead of the log: the log begins after it',
  );
  const reset = { index: position.appliedIndex, term: position.appliedTerm, configuration: position.configuration };
  wal.appendSnapshot(shard.id, reset);
  const hardState = withCommit(atLeastTerm(recovered.hardState, reset.term), reset.index);
  wal.appendHardState(shard.id, hardState);
  return { hardState, snapshot: reset, entries: [] };
}

/** The id of a node's first replicas: its place among the founding nodes. */
const foundingReplicaId = (map: ClusterMap, node: NodeId): ReplicaId =>
  replicaId(map.nodes.findIndex(({ id }) => id === node) + 1);

function firstState(map: ClusterMap, shard: MapShard): Restored {
  const members = shard.replicas.map(({ nodeId }) => [foundingReplicaId(map, nodeId), nodeId] as const);
  const configuration: Configuration = {
    ...noMembers,
    voters: members.map(([id]) => id),
    nodes: Object.fromEntries(members),
  };
  return { hardState: newHardState, snapshot: { index: 0, term: 0, configuration }, entries: [] };
}

function termAt({ snapshot, entries }: RecoveredGroup, index: number): number | undefined {
  if (index === snapshot.index) return snapshot.term;
  return entries[index - snapshot.index - 1]?.term;
}

/** What is applied was committed, even when the hard state on disk is older than that. */
const withCommit = (hardState: HardState, appliedIndex: number): HardState =>
  hardState.commitIndex >= appliedIndex ? hardState : { ...hardState, commitIndex: appliedIndex };

const atLeastTerm = (hardState: HardState, term: number): HardState =>
  hardState.currentTerm >= term ? hardState : { ...hardState, currentTerm: term, votedFor: noReplica };

/** Everything appended so far is durable. */
export const commit = (wal: Wal): Promise<void> =>
  new Promise((resolve, reject) => wal.commit((error) => (error === undefined ? resolve() : reject(error))));
