/**
 * Membership: who votes, who listens, and the steps from one configuration to the next (thesis §4.3, joint consensus).
 */
import { type ReplicaId, RingraftError } from '../base/index.js';
import type { Configuration, MembershipTarget } from './types.js';

/** Version 1 has no nodes and is still read; 3 is written where there is an epoch, else 2. */
const versionWithoutNodes = 1;
const versionWithoutEpoch = 2;
const versionWithEpoch = 3;
const epochBytes = 6;

/** They do not change, and are written again and again. */
const encodedOf = new WeakMap<Configuration, Buffer>();

/** The bytes of `writeConfiguration`, made once: they are for reading only. */
export function encodeConfiguration(configuration: Configuration): Buffer {
  const known = encodedOf.get(configuration);
  if (known !== undefined) return known;
  const bytes = writeConfiguration(configuration);
  encodedOf.set(configuration, bytes);
  return bytes;
}

/**
 * Version byte, then four lists, each a u16 count and u32 replica ids, big-endian; then a u16 count of nodes: u32
 * replica id, u8 length, name; then the epoch as u48.
 */
function writeConfiguration(configuration: Configuration): Buffer {
  const lists = [configuration.voters, configuration.outgoing, configuration.learners, configuration.learnersNext];
  const nodes = Object.entries(configuration.nodes ?? {}).map(([id, name]) => [Number(id), Buffer.from(name)] as const);
  const listBytes = lists.reduce((sum, list) => sum + 2 + 4 * list.length, 0);
  const epoch = configuration.epoch ?? 0;
  const nodeBytes = nodes.reduce((sum, [, name]) => sum + 5 + name.length, 0);
  const bytes = Buffer.alloc(1 + listBytes + 2 + nodeBytes + (epoch > 0 ? epochBytes : 0));
  let at = bytes.writeUInt8(epoch > 0 ? versionWithEpoch : versionWithoutEpoch, 0);
  for (const list of lists) {
    at = bytes.writeUInt16BE(list.length, at);
    for (const id of list) at = bytes.writeUInt32BE(id, at);
  }
  at = bytes.writeUInt16BE(nodes.length, at);
  for (const [id, name] of nodes) {
    at = bytes.writeUInt32BE(id, at);
    at = bytes.writeUInt8(name.length, at);
    at += name.copy(bytes, at);
  }
  if (epoch > 0) bytes.writeUIntBE(epoch, at, epochBytes);
  return bytes;
}

/** Throws CORRUPT for anything `encodeConfiguration` cannot have written. */
export function decodeConfiguration(bytes: Buffer): Configuration {
  const version = bytes[0] ?? 0;
  if (version < versionWithoutNodes || version > versionWithEpoch) {
    throw new RingraftError('CORRUPT', `unknown configuration format ${version}`);
  }
  let at = 1;
  const need = (count: number): void => {
    if (at + count > bytes.length) throw new RingraftError('CORRUPT', 'a configuration is cut short');
  };
  const count = (): number => {
    need(2);
    at += 2;
    return bytes.readUInt16BE(at - 2);
  };
  const list = (): ReplicaId[] => {
    const ids: ReplicaId[] = [];
    for (let left = count(); left > 0; left--, at += 4) {
      need(4);
      ids.push(bytes.readUInt32BE(at) as ReplicaId);
    }
    return ids;
  };
  const configuration = { voters: list(), outgoing: list(), learners: list(), learnersNext: list() };
  const nodes: Record<number, string> = {};
  let named = 0;
  for (let left = version === versionWithoutNodes ? 0 : count(); left > 0; left--, named++) {
    need(5);
    const length = bytes.readUInt8(at + 4);
    need(5 + length);
    nodes[bytes.readUInt32BE(at)] = bytes.toString('utf8', at + 5, at + 5 + length);
    at += 5 + length;
  }
  let epoch = 0;
  if (version === versionWithEpoch) {
    need(epochBytes);
    epoch = bytes.readUIntBE(at, epochBytes);
    at += epochBytes;
  }
  if (at !== bytes.length) throw new RingraftError('CORRUPT', 'a configuration has bytes left over');
  return { ...configuration, ...(named === 0 ? {} : { nodes }), ...(epoch === 0 ? {} : { epoch }) };
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

/** The nodes of the members of `configuration`, from what is known of them. */
function withNodes(
  configuration: Configuration,
  known: Readonly<Record<number, string>> | undefined,
  added: Readonly<Record<number, string>> | undefined,
): Configuration {
  if (known === undefined && added === undefined) return configuration;
  const nodes: Record<number, string> = {};
  for (const id of members(configuration)) {
    const name = known?.[id] ?? added?.[id];
    if (name !== undefined) nodes[id] = name;
  }
  return { ...configuration, nodes };
}

/**
 * The first step from `current` (not joint) to the target: at once final when the voters stay the same, else joint.
 * undefined when the target makes no sense: no voter, or someone both voter and learner, or twice.
 */
export function enterConfiguration(current: Configuration, target: MembershipTarget): Configuration | undefined {
  const all = [...target.voters, ...target.learners];
  if (target.voters.length === 0 || new Set(all).size !== all.length || all.some((id) => id === 0)) return undefined;
  const newest = target.epoch ?? current.epoch;
  const epoch = newest === undefined ? {} : { epoch: newest };
  const sameVoters =
    target.voters.length === current.voters.length && target.voters.every((id) => current.voters.includes(id));
  if (sameVoters) {
    const next = { ...epoch, voters: current.voters, outgoing: [], learners: target.learners, learnersNext: [] };
    return withNodes(next, current.nodes, target.nodes);
  }
  // An outgoing voter cannot be a learner as well before the joint configuration is left.
  const learnersNext = target.learners.filter((id) => current.voters.includes(id));
  const next = {
    ...epoch,
    voters: target.voters,
    outgoing: current.voters,
    learners: target.learners.filter((id) => !learnersNext.includes(id)),
    learnersNext,
  };
  return withNodes(next, current.nodes, target.nodes);
}

/** The final configuration of a joint one. */
export const leaveConfiguration = (joint: Configuration): Configuration =>
  withNodes(
    {
      ...(joint.epoch === undefined ? {} : { epoch: joint.epoch }),
      voters: joint.voters,
      outgoing: [],
      learners: [...joint.learners, ...joint.learnersNext],
      learnersNext: [],
    },
    joint.nodes,
    undefined,
  );
