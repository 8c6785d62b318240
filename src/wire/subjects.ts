/** Every NATS subject of the system (docs/protocol.md). `cluster` and node ids are subject tokens by construction. */
import type { NodeId } from '../base/index.js';

const internalRoot = '_kv.';
/** Whether nodes and administrators alone speak on it, of whatever cluster. */
export const isInternalSubject = (subject: string | undefined): boolean => subject?.startsWith(internalRoot) === true;

export const nodeSubject = (cluster: string, node: NodeId): string => `_kv.${cluster}.node.${node}`;
export const scanSubject = (cluster: string, node: NodeId): string => `_kv.${cluster}.scan.${node}`;
/** Of the shards that a node leads; asked by other nodes. */
export const readIndexSubject = (cluster: string, node: NodeId): string => `_kv.${cluster}.readindex.${node}`;
export const mapSubject = (cluster: string): string => `_kv.${cluster}.map`;
export const raftSubject = (cluster: string, node: NodeId): string => `_kv.${cluster}.raft.${node}`;
export const snapshotSubject = (cluster: string, node: NodeId, transfer: string): string =>
  `_kv.${cluster}.snap.${node}.${transfer}`;
export const adminSubject = (cluster: string, node: NodeId): string => `_kv.${cluster}.admin.${node}`;
/** Failure detection: one node's own subject. */
export const gossipSubject = (cluster: string, node: NodeId): string => `_kv.${cluster}.gossip.${node}`;
/** Failure detection: what every node is told at once, when one starts or leaves. */
export const gossipAllSubject = (cluster: string): string => `_kv.${cluster}.gossip`;
/** Queue group of everything any node may answer. */
export const queueGroup = 'kv';
/** The allocation manager: only the node that leads the system shard listens. */
export const managerSubject = (cluster: string): string => `_kv.${cluster}.manager`;
/** Every change of the cluster map, as it is made. */
export const mapChangeSubject = (cluster: string): string => `_kv.${cluster}.mapchange`;
