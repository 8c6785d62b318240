/**
 * Membership: who votes, who listens, and the steps from one configuration to the next (thesis §4.3, joint consensus).
 */
import { type ReplicaId, RingraftError } from '../base/index.js';
import type { Configuration } from './types.js';

const formatVersion = 1;

/** Version byte, then four lists, each a u16 count and u32 replica ids, big-endian. */
export function encodeConfiguration(configuration: Configuration): Buffer {
  const lists = [configuration.voters, configuration.outgoing, configuration.learners, configuration.learnersNext];
  const bytes = Buffer.alloc(1 + lists.reduce((sum, list) => sum + 2 + 4 * list.length, 0));
  let at = bytes.writeUInt8(formatVersion, 0);
  for (const list of lists) {
    at = bytes.writeUInt16BE(list.length, at);
    for (const id of list) at = bytes.writeUInt32BE(id, at);
  }
  return bytes;
}

/** Throws CORRUPT for anything `encodeConfiguration` cannot have written. */
export function decodeConfiguration(bytes: Buffer): Configuration {
  if (bytes[0] !== formatVersion) throw new RingraftError('CORRUPT', `unknown configuration format ${bytes[0]}`);
  let at = 1;
  const list = (): ReplicaId[] => {
    const ids: ReplicaId[] = [];
    const end = at + 2 > bytes.length ? at + 2 : at + 2 + 4 * bytes.readUInt16BE(at);
    if (end > bytes.length) throw new RingraftError('CORRUPT', 'a configuration is cut short');
    for (at += 2; at < end; at += 4) ids.push(bytes.readUInt32BE(at) as ReplicaId);
    return ids;
  };
  const configuration = { voters: list(), outgoing: list(), learners: list(), learnersNext: list() };
  if (at !== bytes.length) throw new RingraftError('CORRUPT', 'a configuration has bytes left over');
  return configuration;
}

export const isJoint = (configuration: Configuration): boolean => configuration.outgoing.length > 0;

export const isVoter = (configuration: Configuration, id: ReplicaId): boolean =>
  configuration.voters.includes(id) || configuration.outgoing.includes(id);

/** Everyone who gets entries, each once. */
export const members = (configuration: Configuration): readonly ReplicaId[] => [
  ...new Set([
    ...configuration.voters,
    ...configuration.outgoing,
    ...configuration.learners,
    ...configuration.learnersNext,
  ]),
];

/**
 * The first step from `current` (not joint) to the target: at once final when the voters stay the same, else joint.
 * undefined when the target makes no sense: no voter, or someone both voter and learner, or twice.
 */
export function enterConfiguration(
  current: Configuration,
  target: { readonly voters: readonly ReplicaId[]; readonly learners: readonly ReplicaId[] },
): Configuration | undefined {
  const all = [...target.voters, ...target.learners];
  if (target.voters.length === 0 || new Set(all).size !== all.length || all.some((id) => id === 0)) return undefined;
  const sameVoters =
    target.voters.length === current.voters.length && target.voters.every((id) => current.voters.includes(id));
  if (sameVoters) return { voters: current.voters, outgoing: [], learners: target.learners, learnersNext: [] };
  // An outgoing voter cannot be a learner as well before the joint configuration is left.
  const learnersNext = target.learners.filter((id) => current.voters.includes(id));
  return {
    voters: target.voters,
    outgoing: current.voters,
    learners: target.learners.filter((id) => !learnersNext.includes(id)),
    learnersNext,
  };
}

/** The final configuration of a joint one. */
export const leaveConfiguration = (joint: Configuration): Configuration => ({
  voters: joint.voters,
  outgoing: [],
  learners: [...joint.learners, ...joint.learnersNext],
  learnersNext: [],
});
