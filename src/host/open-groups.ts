/**
 * Brings the replicas of this node back from disk: puts what the log remembers and what the state machine has applied
 * together, or begins a new group. What the log remembers takes part, whatever the map says: the map may be old.
 *
 * What can be found, per shard:
 * 1. Neither, where the map places a replica here: on the first start of a founding node a new one, with the map's first
 *    configuration. Otherwise it was given up, or never begun, and is begun anew from its leader.
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
  systemShardId,
} from '../base/index.js';
import type { Arc, ShardPosition, Store } from '../kv/index.js';
import { type Configuration, type Entry, type HardState, Raft, type SnapshotMetadata } from '../raft/index.js';
import { ringSize } from '../ring/index.js';
import type { RecoveredGroup, Wal } from '../wal/index.js';
import type { ClusterMap, MapShard } from '../wire/index.js';
import { Group } from './group.js';
import { allShards, type LocalMap } from './local-map.js';
import type { HostOptions } from './options.js';

export type OpenGroupsParts = {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly wal: Wal;
  readonly store: Store;
  readonly maps: LocalMap;
};

/** A replica that must not take part any more, or that is only to be begun. */
export type DamagedReplica = {
  readonly shardId: ShardId;
  /** `noReplica`: not even that can be read. */
  readonly replicaId: ReplicaId;
  /** What is wrong with the one that was here; undefined: nothing, there was none. */
  readonly reason: string | undefined;
};

type Restored = {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMetadata;
  readonly entries: readonly Entry[];
};

const noMembers: Configuration = { voters: [], outgoing: [], learners: [], learnersNext: [] };
const newHardState: HardState = { currentTerm: 0, votedFor: noReplica, commitIndex: 0 };

/** What was found of a shard: a replica to go on with, or the need for another one. */
type Found = Restored | { readonly damage: string | undefined };

export async function openGroups(
  parts: OpenGroupsParts,
  options: HostOptions,
): Promise<{ readonly opened: readonly Group[]; readonly damaged: readonly DamagedReplica[] }> {
  const { wal, store, maps } = parts;
  const mayFound = await beginFirstStart(parts, options);
  const opened: Group[] = [];
  const damaged: DamagedReplica[] = [];
  for (const shard of allShards(maps.current)) {
    const { id: shardId } = shard;
    const isPlaced = shard.replicas.some(({ nodeId }) => nodeId === options.nodeId);
    const recovered = wal.recovered.get(shardId);
    if (!isPlaced && recovered === undefined) {
      // A replica was moved away, and the node ended before it had removed everything.
      if (await store.hasStateOf(shardId)) await store.removeShard(shardId, arcOf(shard));
      continue;
    }
    const position = await store.openShard(shardId, arcOf(shard));
    const found = restore(parts, shard, position, mayFound);
    if ('damage' in found) {
      damaged.push({ shardId, replicaId: recovered?.replicaId ?? noReplica, reason: found.damage });
      continue;
    }
    const replicaId = recovered?.replicaId ?? foundingReplicaId(maps.current, options.nodeId);
    if (position.appliedIndex === 0) store.createShard(shardId, found.snapshot.configuration);
    if (recovered === undefined) wal.appendGroup(shardId, replicaId, found.snapshot);
    opened.push(buildGroup(parts, options, shard, replicaId, found, position.appliedIndex));
  }
  await commit(wal);
  if ((await store.firstStart()) !== 'done') await store.noteFirstStart('done');
  return { opened, damaged };
}

/**
 * Whether replicas may begin here with the map's first configuration. The first start of a founding node may be broken
 * off anywhere and is then gone on with, which the mark says; without it a log is that of an earlier life whose state was
 * taken away.
 */
async function beginFirstStart({ store, wal }: OpenGroupsParts, { mayFound }: HostOptions): Promise<boolean> {
  const reached = await store.firstStart();
  if (reached !== 'none') return reached === 'begun';
  if (!mayFound || wal.recovered.size > 0 || wal.damage !== undefined) return false;
  await store.noteFirstStart('begun');
  return true;
}

export const arcOf = ({ id, arcStart, arcEnd }: MapShard): Arc =>
  id === systemShardId ? { start: 0, end: ringSize } : { start: arcStart, end: arcEnd };

/**
 * Begins a replica that knows nothing, under an id that was never used: whatever was there of the shard is removed
 * first. It waits for its leader.
 */
export async function createReplica(
  parts: OpenGroupsParts,
  options: HostOptions,
  shard: MapShard,
  replicaId: ReplicaId,
): Promise<Group> {
  const { wal, store } = parts;
  await store.clearShard(shard.id, arcOf(shard));
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
  const preferred = shard.replicas[0]?.nodeId ?? options.nodeId;
  // Where all nodes start at once, whoever should lead is elected at once: nobody stands against it. In a new group nobody
  // waits yet.
  const yieldedMs =
    restored.hardState.currentTerm === 0 ? options.raft.electionTimeoutMs : options.raft.electionTimeoutMs / 2;
  const yieldMs = preferred === options.nodeId ? 0 : yieldedMs;
  const initial = { ...restored, appliedIndex, yieldMs };
  const raft = new Raft({ ...options.raft, replicaId }, random, initial, clock.nowMs());
  return new Group(shard.id, replicaId, arcOf(shard), preferred, raft, options.raft.maxAppendBytes);
}

function restore(
  { wal, logger, maps }: OpenGroupsParts,
  shard: MapShard,
  position: ShardPosition,
  mayFound: boolean,
): Found {
  const recovered = wal.recovered.get(shard.id);
  if (recovered === undefined) {
    if (wal.damage !== undefined) return { damage: wal.damage };
    if (position.appliedIndex > 0) return { damage: 'there is state and no log' };
    // Given up and not yet begun anew; never with the first configuration again (RAFT-PITFALLS 22).
    return mayFound ? firstState(maps.current, shard) : { damage: undefined };
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
