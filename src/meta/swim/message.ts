/**
 * Gossip messages: JSON, a few a second. Whatever comes from outside is checked field by field; what does not fit is no
 * message at all. Unknown fields are passed over, so that a later version may add some.
 *
 * Wire form: `{"v":1,"type":"ping","mapEpoch":3,"sequence":12,"target":"n2","sender":{record},"news":[{record},...],
 * "heartbeats":[["n1",life,heartbeat],...]}`. A record leaves out empty accusers and absent facts.
 */
import { isNodeId, type NodeId } from '../../base/index.js';
import type { NodeFacts } from '../../wire/index.js';
import { type MemberRecord, type MemberState, memberStates, mostAccusers } from './record.js';

/**
 * - `ping`, `ack`: are you there; yes. An `ack` names who is alive: its sender, or whom its sender has asked.
 * - `pingRequest`: ask the target for me.
 * - `sync`: here is all I know, tell me yours. `state`: here is all I know, or a part of it.
 * - `hello`, `goodbye`: to everybody.
 * - `echo`: to oneself. It proves that one's own link works.
 */
export const gossipTypes = ['ping', 'ack', 'pingRequest', 'hello', 'goodbye', 'sync', 'state', 'echo'] as const;
export type GossipType = (typeof gossipTypes)[number];

export type Heartbeat = { readonly nodeId: NodeId; readonly life: number; readonly heartbeat: number };

export type GossipHead = {
  readonly type: GossipType;
  /** Given back in the answer; 0 where there is none. */
  readonly sequence: number;
  /** Of `ack` and `pingRequest`. */
  readonly target: NodeId | undefined;
};

export type GossipMessage = GossipHead & {
  /** The sender about itself, without facts: alive or left. */
  readonly sender: MemberRecord;
  readonly mapEpoch: number;
  readonly news: readonly MemberRecord[];
  readonly heartbeats: readonly Heartbeat[];
};

const formatVersion = 1;
/** Leaves room for refutations above any that is believed, so that arithmetic stays exact. */
export const largestRefutation = 2 ** 40;
const mostItems = 4096;
const longestText = 128;
const largestPayloadBytes = 1024 * 1024;

export function encodeRecord(record: MemberRecord, withFacts: boolean): string {
  const { nodeId, life, refutation, state, heartbeat, accusers, factsVersion, facts } = record;
  return JSON.stringify({
    nodeId,
    life,
    refutation,
    state,
    heartbeat,
    ...(accusers.length === 0 ? {} : { accusers }),
    ...(withFacts && facts !== undefined ? { factsVersion, facts } : {}),
  });
}

export const encodeHeartbeat = ({ nodeId, life, heartbeat }: MemberRecord): string =>
  `["${nodeId}",${life},${heartbeat}]`;

/** `news` and `heartbeats` are encoded already, so that their sizes could be weighed. */
export function encodeMessage(
  head: GossipHead,
  sender: MemberRecord,
  mapEpoch: number,
  news: readonly string[] = [],
  heartbeats: readonly string[] = [],
): Buffer {
  const { type, sequence, target } = head;
  const start = JSON.stringify({
    v: formatVersion,
    type,
    mapEpoch,
    sequence,
    ...(target === undefined ? {} : { target }),
  });
  const parts = `"sender":${encodeRecord(sender, false)},"news":[${news.join()}],"heartbeats":[${heartbeats.join()}]`;
  return Buffer.from(`${start.slice(0, -1)},${parts}}`);
}

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown, most = Number.MAX_SAFE_INTEGER): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most;
const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= longestText;
const isAmount = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= 0;
const isName = (value: unknown): value is NodeId => typeof value === 'string' && isNodeId(value);
const isOneOf = <T extends string>(choices: readonly T[], value: unknown): value is T =>
  (choices as readonly unknown[]).includes(value);

/** A copy with these fields in this order and no others; undefined when one does not fit. */
export function readFacts(value: unknown): NodeFacts | undefined {
  if (!isFields(value)) return undefined;
  const { version, zone, weight, groups, leaders, diskFreeBytes, diskUsedBytes, mapEpoch, startedAtMs } = value;
  if (!isText(version) || !isText(zone) || !isAmount(weight) || !isAmount(startedAtMs)) return undefined;
  if (!isCount(groups) || !isCount(leaders) || !isCount(mapEpoch)) return undefined;
  if (!(diskFreeBytes === null || isAmount(diskFreeBytes))) return undefined;
  if (!(diskUsedBytes === null || isAmount(diskUsedBytes))) return undefined;
  return { version, zone, weight, groups, leaders, diskFreeBytes, diskUsedBytes, mapEpoch, startedAtMs };
}

function readAccusers(value: unknown, state: MemberState): readonly NodeId[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > mostAccusers || !value.every(isName)) return undefined;
  return state === 'suspect' ? [...new Set(value)].sort() : [];
}

/** Nobody passes on that he waits for somebody, and only the dead were never alive. */
const isSayable = (state: MemberState, life: number): boolean =>
  state !== 'unknown' && (life > 0 || state === 'suspect' || state === 'dead');

function readRecord(value: unknown): MemberRecord | undefined {
  if (!isFields(value)) return undefined;
  const { nodeId, life, refutation, state, heartbeat, factsVersion = 0 } = value;
  if (!isName(nodeId) || !isCount(life) || !isCount(refutation, largestRefutation) || !isCount(heartbeat)) {
    return undefined;
  }
  if (!isOneOf(memberStates, state) || !isSayable(state, life) || !isCount(factsVersion)) return undefined;
  const accusers = readAccusers(value.accusers, state);
  const facts = readFacts(value.facts);
  // Facts and their version come together or not at all.
  if (accusers === undefined || (facts === undefined) !== (factsVersion === 0)) return undefined;
  if (facts === undefined && value.facts !== undefined) return undefined;
  return { nodeId, life, refutation, state, accusers, heartbeat, factsVersion, facts };
}

function readHeartbeat(value: unknown): Heartbeat | undefined {
  if (!Array.isArray(value) || value.length !== 3) return undefined;
  const [nodeId, life, heartbeat] = value as readonly unknown[];
  return isName(nodeId) && isCount(life) && life > 0 && isCount(heartbeat) ? { nodeId, life, heartbeat } : undefined;
}

/** All of them, or undefined when one does not fit. */
function readAll<T>(value: unknown, read: (item: unknown) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(value) || value.length > mostItems) return undefined;
  const items: T[] = [];
  for (const each of value) {
    const item = read(each);
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

function readJson(payload: Buffer): unknown {
  if (payload.length > largestPayloadBytes) return undefined;
  try {
    return JSON.parse(payload.toString());
  } catch {
    return undefined;
  }
}

/** Undefined when the payload is no gossip message. */
export function decodeMessage(payload: Buffer): GossipMessage | undefined {
  const value = readJson(payload);
  if (!isFields(value) || value.v !== formatVersion) return undefined;
  const { type, sequence, target, mapEpoch } = value;
  if (!isOneOf(gossipTypes, type) || !isCount(sequence) || !isCount(mapEpoch)) return undefined;
  if (!(target === undefined || isName(target))) return undefined;
  if (target === undefined && (type === 'ack' || type === 'pingRequest')) return undefined;
  const sender = readRecord(value.sender);
  if (sender === undefined || sender.life === 0 || !(sender.state === 'alive' || sender.state === 'left')) {
    return undefined;
  }
  const news = readAll(value.news, readRecord);
  const heartbeats = readAll(value.heartbeats, readHeartbeat);
  if (news === undefined || heartbeats === undefined) return undefined;
  return { type, sequence, target, sender, mapEpoch, news, heartbeats };
}
