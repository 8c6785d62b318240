/** Requests to a node's administration, from people and from other nodes. */
import {
  type AdminRequest,
  isCount,
  isReplicaId,
  isShardId,
  isText,
  listOf,
  type OperationChecks,
  optional,
  parseRequest,
  required,
} from '../wire/index.js';

const shardId = required('the number of a shard', isShardId);
const node = required('the name of a node', isText);

const operations: OperationChecks & Readonly<Record<AdminRequest['op'], unknown>> = {
  status: { shardId: optional('the number of a shard', isShardId) },
  metrics: {},
  transferLeader: { shardId, to: node },
  replaceReplica: { shardId, nodeId: node, newReplicaId: required('the id of a replica', isReplicaId) },
  hostReplica: {
    shardId,
    term: required('a term', isCount),
    configurationIndex: required('an index of the log', isCount),
    members: required('a list of ids of replicas', listOf(isReplicaId)),
  },
  rebuildReplica: { shardId },
  map: {},
  founding: {},
};

/** Throws BAD_REQUEST with what is wrong, for a person. Nodes of other versions may send fields nobody knows here. */
export const parseAdminRequest = (payload: Buffer): AdminRequest =>
  parseRequest(payload, 'an admin request', operations, () => false) as unknown as AdminRequest;
