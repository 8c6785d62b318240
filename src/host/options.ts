import type { NodeId } from '../base/index.js';
import type { RaftOptions } from '../raft/index.js';

export type HostLimits = {
  readonly maxKeyBytes: number;
  readonly maxValueBytes: number;
  /** Operations accepted and not yet answered, all groups together; beyond it BUSY. */
  readonly maxInflightOperations: number;
  /** Bytes applied and not yet written to the engine; beyond it writes get BUSY. */
  readonly maxPendingWriteBytes: number;
  /** Log bytes a group keeps in memory for members that lag; beyond it they get a snapshot. */
  readonly retainedLogBytes: number;
  /** The same of entries that every member holds as far as this replica knows: who leads next may find one that lags. */
  readonly trailingLogBytes: number;
  /** Log bytes of all groups since the last trim beyond which the next one is due. */
  readonly trimEveryBytes: number;
  /** The same for what memory holds of the log, which is looked at four times a second anyway. */
  readonly packEveryBytes: number;
  /** A write of the log that takes longer means that the disk hangs. */
  readonly diskStallMs: number;
};

export type HostOptions = {
  readonly nodeId: NodeId;
  readonly cluster: string;
  readonly version: string;
  /** Greater at each start than ever before, never 0. */
  readonly incarnation: number;
  /**
   * Whether replicas the map places here, and of which nothing is known here, may begin as founding members: only on the
   * first start of a founding node, once it is certain that the cluster does not exist yet.
   */
  readonly mayFound: boolean;
  readonly raft: Omit<RaftOptions, 'replicaId'>;
  readonly limits: HostLimits;
};
