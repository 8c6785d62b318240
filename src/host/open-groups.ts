/**
 * Brings the replicas of this node back from disk: puts what the log remembers and what the state machine has applied
 * together, or begins a new group.
 *
 * What can be found, per shard:
 * 1. Neither: a new replica with the map's first configuration.
 * 2. Both, the state at or after the log's beginning: go on from the state's applied index. A state ahead of the log's
 *    end (a snapshot was installed, then the machine stopped before the log said so) makes the log begin after it;
 *    what was applied was committed, so nothing is lost by that.
 * 3. A state behind the log's beginning, or damage in the log: acknowledged entries are missing here. The replica must
 *    neither vote nor acknowledge; the node says so and refuses to start.
 */
import {
  type Clock,
  type Logger,
  type NodeId,
  noReplica,
  type Random,
  type ReplicaId,
  RingraftError,
} from '../base/index.js';
import type { ShardPosition, Store } from '../kv/index.js';
import { type Configuration, type Entry, type HardState, Raft, type SnapshotMetadata } from '../raft/index.js';
import type { RecoveredGroup, Wal } from '../wal/index.js';
import type { MapShard } from '../wire/index.js';
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

type Restored = {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMetadata;
  readonly entries: readonly Entry[];
};

export async function openGroups(parts: OpenGroupsParts, options: HostOptions): Promise<readonly OpenedGroup[]> {
  const opened: OpenedGroup[] = [];
  for (const [at, shard] of options.map.shards.entries()) {
    const replica = shard.replicas.find(({ nodeId }) => nodeId === options.nodeId);
    if (replica !== undefined) opened.push({ group: await openGroup(parts, options, shard, replica.replicaId), at });
  }
  await commit(parts.wal);
  return opened;
}

async function openGroup(
  parts: OpenGroupsParts,
  options: HostOptions,
  shard: MapShard,
  replicaId: ReplicaId,
): Promise<Group> {
  const { wal, store, clock, random } = parts;
  const arc = { start: shard.arcStart, end: shard.arcEnd };
  const position = await store.openShard(shard.id, arc);
  const restored = restore(parts, shard, replicaId, position);
  if (position.appliedIndex === 0) store.createShard(shard.id, restored.snapshot.configuration);
  const raft = new Raft(
    { ...options.raft, replicaId },
    random,
    { ...restored, appliedIndex: position.appliedIndex },
    clock.nowMs(),
  );
  const nodes = new Map<ReplicaId, NodeId>(shard.replicas.map(({ replicaId: id, nodeId }) => [id, nodeId]));
  const preferred = shard.replicas[0]?.replicaId ?? replicaId;
  if (wal.recovered.get(shard.id) === undefined) wal.appendGroup(shard.id, replicaId, restored.snapshot);
  return new Group(shard.id, replicaId, arc, nodes, preferred, raft, options.raft.maxAppendBytes);
}

function restore(
  { wal, logger }: OpenGroupsParts,
  shard: MapShard,
  replicaId: ReplicaId,
  position: ShardPosition,
): Restored {
  const recovered = wal.recovered.get(shard.id);
  const corrupt = (what: string): never => {
    throw new RingraftError('CORRUPT', `shard ${shard.id}: ${what}; the replica must be rebuilt from its leader`, {
      fields: { shardId: shard.id },
    });
  };
  if (recovered === undefined) {
    if (wal.damage !== undefined) corrupt(wal.damage);
    return firstState(shard, position);
  }
  if (recovered.replicaId !== replicaId) {
    corrupt(`the log belongs to replica ${recovered.replicaId}, the cluster map places replica ${replicaId} here`);
  }
  if (recovered.damage !== undefined) corrupt(recovered.damage);
  if (position.needsSnapshot) corrupt('a snapshot was being installed and its staged bytes are gone');
  const { snapshot, entries } = recovered;
  if (position.appliedIndex < snapshot.index) {
    corrupt(`the log begins after ${snapshot.index}, the state ends at ${position.appliedIndex}`);
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

function firstState(shard: MapShard, position: ShardPosition): Restored {
  if (position.appliedIndex > 0) {
    throw new RingraftError('CORRUPT', `shard ${shard.id}: there is state and no log; was the log directory removed?`);
  }
  const configuration: Configuration = {
    voters: shard.replicas.map((replica) => replica.replicaId),
    outgoing: [],
    learners: [],
    learnersNext: [],
  };
  return {
    hardState: { currentTerm: 0, votedFor: noReplica, commitIndex: 0 },
    snapshot: { index: 0, term: 0, configuration },
    entries: [],
  };
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

const commit = (wal: Wal): Promise<void> =>
  new Promise((resolve, reject) => wal.commit((error) => (error === undefined ? resolve() : reject(error))));
