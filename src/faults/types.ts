/**
 * The words of fault injection. A *host* is what fails together on a network: one node and its broker (nats-server),
 * both named by the node. An *endpoint* is one of its processes: `n1` the node, `nats-n1` its broker. A *link* is one
 * direction between two endpoints, either two brokers or a broker and its own node.
 */
export type Endpoint = string;

export const brokerOf = (nodeId: string): Endpoint => `nats-${nodeId}`;

export type Link = { readonly from: Endpoint; readonly to: Endpoint };

/** What happens to the bytes of one direction. What is left out is as it would be without the fault. */
export type LinkEffect = {
  /** Nothing arrives while it lasts. What TCP still holds then arrives afterwards, as after a real partition. */
  readonly cut?: boolean;
  readonly delayMs?: number;
  /** Uniformly up to so much more or less than `delayMs`; bytes of one connection stay in order. */
  readonly jitterMs?: number;
  /** 0 to 1, of packets; TCP repeats them, so what is seen is delay. */
  readonly lossShare?: number;
  readonly bytesPerSecond?: number;
};

/** One fault of links, as one whole: injected and removed together. */
export type LinkFault = {
  readonly id: string;
  /** For people: "n1, n2 | n3, n4, n5". */
  readonly description: string;
  readonly effects: readonly (Link & { readonly effect: LinkEffect })[];
};

/** Who heard whom: for every pair of different brokers whether a message published at `from` reached `to`. */
export type Reach = {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly reached: boolean;
  /** How long it took; there where it reached. */
  readonly afterMs?: number;
};

/** What a local cluster with a topology can be told to do to its links. All faults in force add up. */
export type FaultControl = {
  /** Resolves once it is in force. CONFLICT when a fault of that id is; BAD_REQUEST, saying why, when this back end cannot. */
  inject(fault: LinkFault): Promise<void>;
  /** False: there is none of that id. */
  remove(id: string): Promise<boolean>;
  /** Removes all; how many there were. */
  heal(): Promise<number>;
  list(): Promise<readonly LinkFault[]>;
  /** Ends the connections of these links at once (TCP reset); how many there were. */
  reset(links: readonly Link[]): Promise<number>;
  /**
   * Publishes messages of about `bytes` at every broker and listens at every other for so long; ends early when all have
   * heard all.
   */
  probe(timeoutMs: number, bytes?: number): Promise<readonly Reach[]>;
};

/** What is done to one node from inside, for what needs no network and no root: kvd reads it from a file (`--faults`). */
export type NodeFaults = {
  readonly disk?: {
    /** New log segments are refused as by a full disk (ENOSPC). */
    readonly full?: boolean;
    /** Every durable write takes so much longer. */
    readonly writeDelayMs?: number;
  };
  /** Added to the wall clock; the monotonic clock goes on as ever, as when a real one is set. */
  readonly clockOffsetMs?: number;
};

/** What kvd writes beside the file (`<file>.seen`), so that who injects a fault can see that it is in force. */
export type NodeFaultsSeen = {
  readonly pid: number;
  readonly inForce: NodeFaults;
  /** Since the process began: writes that were refused, and that were delayed, by a fault. */
  readonly refusedWrites: number;
  readonly delayedWrites: number;
  readonly wallMs: number;
};
