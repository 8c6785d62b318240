/** What failure detection did and what it cost, since the start. */
export type GossipCounters = {
  periods: number;
  messagesSent: number;
  bytesSent: number;
  messagesReceived: number;
  messagesMalformed: number;
  /** From a node that has begun a new life since, or was removed. */
  messagesFromPastLives: number;
  probes: number;
  /** No direct answer in time: others were asked to try. */
  probesIndirect: number;
  /** Of these, by word of NATS that nobody listens. */
  probesRefused: number;
  probesFailed: number;
  probesForOthers: number;
  suspicionsRaised: number;
  deathsDeclared: number;
  /** Deaths told by a node that had seen less of the member than this one. */
  deathsDoubted: number;
  /** There are too many already. */
  membersRefused: number;
  /** How often this node had to contradict what was said of it. */
  refutations: number;
  syncs: number;
  /** How often this node could not judge others: not connected, deaf, or it stood still. */
  timesAway: number;
  /** Real time spent in here. */
  busyMs: number;
};

export const noCounts = (): GossipCounters => ({
  periods: 0,
  messagesSent: 0,
  bytesSent: 0,
  messagesReceived: 0,
  messagesMalformed: 0,
  messagesFromPastLives: 0,
  probes: 0,
  probesIndirect: 0,
  probesRefused: 0,
  probesFailed: 0,
  probesForOthers: 0,
  suspicionsRaised: 0,
  deathsDeclared: 0,
  deathsDoubted: 0,
  membersRefused: 0,
  refutations: 0,
  syncs: 0,
  timesAway: 0,
  busyMs: 0,
});
