/**
 * A bucket that was removed is dropped by every shard, through its log. Nodes hear of the removal at different times, and
 * what a condition finds must be the same on every replica: so the log says from which command on there is nothing of the
 * bucket. Its data may go at any time after that.
 */
import { type BucketId, emptyBytes, systemShardId } from '../base/index.js';
import { CommandKind, encodeCommandBatch, ownCommand } from '../wire/index.js';
import type { Group } from './group.js';

/**
 * Has the group, which this node leads, drop what is in `removed` and not in `dropped`; whether it was asked to just now.
 * Asked again, as by the next leader, it does nothing.
 */
export function dropRemoved(
  group: Group,
  removed: readonly BucketId[],
  dropped: ReadonlySet<BucketId>,
  wallMs: number,
): boolean {
  const { raft, dropping } = group;
  if (group.shardId === systemShardId || removed.length <= dropped.size) return false;
  if (dropping.term === raft.currentTerm && raft.appliedIndex < dropping.index) return false;
  const commands = removed
    .filter((id) => !dropped.has(id))
    .map((bucketId) => ownCommand(CommandKind.DropBucket, bucketId, emptyBytes));
  if (commands.length === 0) return false;
  const proposed = raft.propose(encodeCommandBatch({ timeStampMs: wallMs, sessions: [], commands }));
  if (typeof proposed === 'string') return false;
  group.dropping = { term: proposed.term, index: proposed.index };
  return true;
}
