/**
 * The port to a system under comparison. A `Peer` starts a cluster of three on this machine and knows its processes; a
 * `PeerClient`, in a process of its own, asks it. Adapters mirror each other: peer.ts and client.ts in a folder each.
 */
import type { ServerProcess } from './server-processes.js';
import type { Dataset, ReadLevel, Workload } from './workload.js';

export const peerNames = ['ringraft', 'etcd', 'jetstream', 'jetstream-sync'] as const;
export type PeerName = (typeof peerNames)[number];

/** What a load process needs to reach a cluster. */
export type Target = {
  readonly peer: PeerName;
  /** `host:port` or URL of each server. */
  readonly servers: readonly string[];
};

export type StartRequest = {
  /** Its own, empty, for data and logs. */
  readonly directory: string;
  /** Heeded by those that have shards. */
  readonly shards: number;
};

export type Peer = {
  readonly name: PeerName;
  readonly title: string;
  /** How it is run here, and what a write that was answered has survived. */
  readonly deployment: string;
  /** What its load processes speak. */
  readonly client: string;
  /** The Debian package of its server; undefined: set up with the project. */
  readonly debianPackage: string | undefined;
  /** Why it cannot run here; undefined: it can. */
  missing(): string | undefined;
  version(): string;
  /** Why it cannot do this; undefined: it can. */
  lacks(workload: Workload): string | undefined;
  /** What is different in what it does for this; undefined: nothing. */
  remark(workload: Workload): string | undefined;
  /** Resolves once it serves. */
  start(request: StartRequest): Promise<Target>;
  /** Of the cluster that runs. */
  servers(): readonly ServerProcess[];
  /** Ends whatever was started, also when `start` has not returned or has failed. */
  stop(): Promise<void>;
};

export type PeerClient = {
  /** Ways to the servers that a user could choose from; the better one is measured. Never empty. */
  readonly routes: readonly string[];
  /** From here on requests go this way. */
  takeRoute(route: string): Promise<void>;
  put(key: string, value: Buffer): Promise<void>;
  /** undefined: there is no such key. */
  get(key: string, level: ReadLevel): Promise<Uint8Array | undefined>;
  /** In whatever way the system does many at once; rejects when one of them fails. */
  putMany(keys: readonly string[], value: Buffer): Promise<void>;
  /** How many of them there are. */
  getMany(keys: readonly string[]): Promise<number>;
  /** How many items there were, of at most `limit`, from a key on, in the order of keys, within the dataset. */
  scan(dataset: Dataset, from: string, limit: number): Promise<number>;
  close(): Promise<void>;
};

/** Something a system answered; its name is what errors are counted by. */
export class PeerError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}
