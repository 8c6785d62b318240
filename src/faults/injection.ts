/**
 * Puts a fault in force, sees that it is, and takes it back.
 *
 * Invariants: 1. A fault stands in the ledger before anything is done, until everything is undone: whoever heals after a
 * crash finds it. 2. What cannot be seen to have happened is undone and reported: nothing counts that was not seen.
 */
import { assertNever, messageOf, RingraftError } from '../base/index.js';
import type { FaultGround } from './ground.js';
import type { LedgerEntry } from './ledger.js';
import { linkEffectsOf } from './link-plans.js';
import { mergeNodeFaults } from './node-faults.js';
import { describeFault, type FaultSpec } from './specs.js';
import { brokerOf, type Endpoint, type Link, type NodeFaults } from './types.js';

const probeMs = 1000;
const pollMs = 25;
const endTimeoutMs = 15_000;
const slowConsumerPatienceMs = 10_000;

type InForce = Pick<LedgerEntry, 'id' | 'spec'>;

export type Injection = InForce & {
  readonly description: string;
  /** What shows that it is in force; undefined when nothing has so far, and nothing had to. */
  readonly evidence: string | undefined;
};

export type InjectOptions = {
  /** How long to look for what shows the fault. Some show only under load. */
  readonly seenTimeoutMs: number;
  /** Whether a fault that does not show is taken back, with an error. */
  readonly mustShow: boolean;
  /** Ends the looking. */
  readonly signal?: AbortSignal;
};

/** Resolves once the fault has been seen to be in force. TIMEOUT where it has not, and had to be. */
export async function injectFault(
  ground: FaultGround,
  spec: FaultSpec,
  { seenTimeoutMs, mustShow, signal }: InjectOptions,
): Promise<Injection> {
  check(ground, spec);
  const description = describeFault(spec);
  const before = await witnessOf(ground, spec);
  const entry = ground.ledger.add(spec);
  try {
    await putInForce(ground, entry);
    const evidence = await firstOf(ground, before, seenTimeoutMs, signal);
    if (evidence === undefined && mustShow) throw notSeen(description);
    return { id: entry.id, spec, description, evidence };
  } catch (error) {
    await removeFault(ground, entry).catch(() => {});
    throw error;
  }
}

/** Undoes everything of it; again after it failed halfway, too. */
export async function removeFault(ground: FaultGround, { id, spec }: InForce): Promise<void> {
  await undo(ground, id, spec);
  ground.ledger.remove(id);
}

/** Removes all that is in force; what could not be undone is reported once everything else is. */
export async function healAll(ground: FaultGround): Promise<readonly LedgerEntry[]> {
  const entries = ground.ledger.list();
  const failures: string[] = [];
  for (const entry of [...entries].reverse()) {
    await removeFault(ground, entry).catch((error: unknown) => failures.push(`${entry.id}: ${messageOf(error)}`));
  }
  await ground.control?.heal();
  if (failures.length > 0) throw new RingraftError('UNREACHABLE', `not healed: ${failures.join('; ')}`);
  return entries;
}

/** BAD_REQUEST for what this cluster has not. */
function check({ nodes, control }: FaultGround, spec: FaultSpec): void {
  for (const node of nodesOf(spec)) {
    if (!nodes.includes(node)) {
      throw new RingraftError('BAD_REQUEST', `there is no node ${node} here; there are ${nodes.join(', ')}`);
    }
  }
  if (control === undefined && needsTopology(spec)) {
    const how = 'start one with `kvctl up --topology clustered`';
    throw new RingraftError('BAD_REQUEST', `${spec.kind} needs a cluster with a nats-server for each node: ${how}`);
  }
}

/** The nodes it names. */
export function nodesOf(spec: FaultSpec): readonly string[] {
  switch (spec.kind) {
    case 'split':
      return spec.groups.flat();
    case 'majorities-ring':
      return [];
    case 'one-way':
      return [spec.from, spec.to];
    case 'flaky':
    case 'throttle':
    case 'reset':
      return spec.nodes;
    default:
      return [spec.node];
  }
}

const withoutTopology: readonly FaultSpec['kind'][] = ['kill', 'pause'];

const needsTopology = ({ kind }: FaultSpec): boolean => !withoutTopology.includes(kind);

async function putInForce(ground: FaultGround, { id, spec }: InForce): Promise<void> {
  const { processes } = ground;
  switch (spec.kind) {
    case 'kill':
      processes.signal(spec.node, 'SIGKILL');
      return;
    case 'pause':
      processes.signal(spec.node, 'SIGSTOP');
      return;
    case 'broker-restart':
      processes.signal(brokerOf(spec.node), 'SIGTERM');
      return;
    case 'disk-full':
    case 'disk-slow':
    case 'clock-jump':
      await tellNode(ground, spec.node);
      return;
    case 'reset':
      return;
    default: {
      const effects = linkEffectsOf(spec, ground.nodes);
      await ground.control?.inject({ id, description: describeFault(spec), effects });
    }
  }
}

async function undo(ground: FaultGround, id: string, spec: FaultSpec): Promise<void> {
  const { processes } = ground;
  switch (spec.kind) {
    case 'kill':
      await processes.start(spec.node);
      return;
    case 'pause':
      processes.signal(spec.node, 'SIGCONT');
      return;
    case 'broker-restart':
      await untilEnded(ground, brokerOf(spec.node));
      await processes.start(brokerOf(spec.node));
      return;
    case 'disk-full':
    case 'disk-slow':
    case 'clock-jump':
      await tellNode(ground, spec.node, id);
      return;
    case 'reset':
      return;
    default:
      await ground.control?.remove(id);
  }
}

/** All that the ledger says of the node, but for one that ends. */
async function tellNode(ground: FaultGround, node: string, ending?: string): Promise<void> {
  const mine = ground.ledger.list().filter(({ id }) => id !== ending);
  const faults = mine.flatMap(({ spec }) => ('node' in spec && spec.node === node ? insideOf(spec) : []));
  await ground.setNodeFaults(node, mergeNodeFaults(faults));
}

function insideOf(spec: FaultSpec): readonly NodeFaults[] {
  switch (spec.kind) {
    case 'disk-full':
      return [{ disk: { full: true } }];
    case 'disk-slow':
      return [{ disk: { writeDelayMs: spec.delayMs } }];
    case 'clock-jump':
      return [{ clockOffsetMs: spec.offsetMs }];
    default:
      return [];
  }
}

/** Looks again and again; what shows the fault, once something does. */
type Witness = () => Promise<string | undefined> | string | undefined;

async function firstOf(
  ground: FaultGround,
  look: Witness,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const deadlineMs = ground.nowMs() + timeoutMs;
  for (;;) {
    const evidence = await look();
    if (evidence !== undefined || ground.nowMs() >= deadlineMs || signal?.aborted === true) return evidence;
    await ground.pause(pollMs);
  }
}

const notSeen = (what: string): RingraftError =>
  new RingraftError('TIMEOUT', `${what}: tried, but nothing shows it`, { happened: 'unknown' });

async function untilEnded(ground: FaultGround, endpoint: Endpoint): Promise<void> {
  const look = (): string | undefined => (ground.processes.conditionOf(endpoint) === 'ended' ? 'ended' : undefined);
  if ((await firstOf(ground, look, endTimeoutMs)) === undefined) throw notSeen(`the end of ${endpoint}`);
}

/** What will show it: prepared before anything is done, since most is a difference. */
async function witnessOf(ground: FaultGround, spec: FaultSpec): Promise<Witness> {
  const { processes } = ground;
  const conditionIs = (endpoint: Endpoint, wanted: string, evidence: string): Witness => {
    if (processes.conditionOf(endpoint) === 'ended') throw new RingraftError('CONFLICT', `${endpoint} does not run`);
    return () => (processes.conditionOf(endpoint) === wanted ? evidence : undefined);
  };
  switch (spec.kind) {
    case 'kill':
      return conditionIs(spec.node, 'ended', `the process of ${spec.node} is gone`);
    case 'pause':
      return conditionIs(spec.node, 'stopped', `the process of ${spec.node} is stopped`);
    case 'broker-restart':
      return conditionIs(brokerOf(spec.node), 'ended', `${brokerOf(spec.node)} has ended`);
    case 'slow-consumer':
      return slowConsumerWitness(ground, spec.node);
    case 'disk-full':
    case 'disk-slow':
    case 'clock-jump':
      return nodeFaultWitness(ground, spec);
    case 'reset':
      return resetWitness(ground, spec.nodes);
    case 'flaky':
      return delayWitness(ground, spec);
    case 'throttle':
      return throttleWitness(ground, spec);
    case 'split':
    case 'isolate':
    case 'bridge':
    case 'majorities-ring':
    case 'one-way':
      return cutWitness(ground, spec);
    default:
      return assertNever(spec, 'fault');
  }
}

const linkText = ({ from, to }: Link): string => `${from} -> ${to}`;

const mostNamed = 4;

/** All of a few, some of many. */
function listed(links: readonly string[]): string {
  const named = links.slice(0, mostNamed).join(', ');
  return links.length > mostNamed ? `${named} and ${links.length - mostNamed} more` : named;
}

async function cutWitness(ground: FaultGround, spec: FaultSpec): Promise<Witness> {
  const { control } = ground;
  if (control === undefined) return () => undefined;
  const cut = new Set(linkEffectsOf(spec, ground.nodes).map(linkText));
  const open = (await control.probe(probeMs)).filter((reach) => reach.reached && cut.has(linkText(reach)));
  if (open.length === 0) throw new RingraftError('CONFLICT', 'no message passes there already: heal first');
  const watched = new Set(open.map(linkText));
  return async () => {
    const reaches = await control.probe(probeMs);
    const left = reaches.filter((reach) => reach.reached && watched.has(linkText(reach)));
    return left.length === 0 ? `no message passes any more: ${listed([...watched])}` : undefined;
  };
}

/** The slowest of so many messages must have taken what the fault makes them take. */
const delayProbes = 8;

async function delayWitness(ground: FaultGround, spec: FaultSpec & { kind: 'flaky' }): Promise<Witness> {
  const { control } = ground;
  const links = linkEffectsOf(spec, ground.nodes).map(linkText);
  // A lost packet is sent again after 200 ms at the earliest.
  const expectedMs = Math.max(spec.delayMs, spec.lossShare > 0 ? 150 : 0);
  return async () => {
    for (let probe = 0; probe < delayProbes; probe++) {
      const reaches = (await control?.probe(probeMs)) ?? [];
      const slow = reaches.find((reach) => links.includes(linkText(reach)) && (reach.afterMs ?? 1e9) >= expectedMs);
      if (slow === undefined) continue;
      const took = slow.afterMs === undefined ? 'did not arrive' : `took ${Math.round(slow.afterMs)} ms`;
      return `a message ${linkText(slow)} ${took}`;
    }
    return undefined;
  };
}

async function throttleWitness(ground: FaultGround, spec: FaultSpec & { kind: 'throttle' }): Promise<Witness> {
  const { control } = ground;
  const links = linkEffectsOf(spec, ground.nodes).map(linkText);
  // As much as takes a quarter of a second, and no more than a message can hold.
  const bytes = Math.min(512 * 1024, Math.ceil(spec.bytesPerSecond / 4));
  const leastMs = (bytes / spec.bytesPerSecond) * 500;
  return async () => {
    const reaches = (await control?.probe(2 * probeMs, bytes)) ?? [];
    const slow = reaches.filter((reach) => links.includes(linkText(reach)) && (reach.afterMs ?? 1e9) >= leastMs);
    if (slow.length < links.length) return undefined;
    const took = slow.map(({ afterMs }) => (afterMs === undefined ? 'longer' : `${Math.round(afterMs)} ms`));
    return `${bytes} bytes took ${took.join(' and ')}`;
  };
}

async function resetWitness(ground: FaultGround, nodes: readonly [string, string]): Promise<Witness> {
  const [from, to] = nodes.map(brokerOf) as [Endpoint, Endpoint];
  return async () => {
    const ended = (await ground.control?.reset([{ from, to }])) ?? 0;
    return ended > 0 ? `${ended} connections between ${from} and ${to} were reset` : undefined;
  };
}

async function slowConsumerWitness(ground: FaultGround, node: string): Promise<Witness> {
  const before = ground.dropsOf(node);
  const startedMs = ground.nowMs();
  return () => {
    const { slow, stale, givenUp } = ground.dropsOf(node);
    if (slow > before.slow) return `${brokerOf(node)} dropped ${slow - before.slow} connections of ${node} as too slow`;
    if (stale > before.stale) return `${brokerOf(node)} dropped a connection of ${node} that answers no more`;
    // Where too little is written to fill the buffers first.
    const isPatient = ground.nowMs() - startedMs < slowConsumerPatienceMs;
    return isPatient || givenUp === before.givenUp
      ? undefined
      : `${node} heard nothing of ${brokerOf(node)} and gave it up`;
  };
}

async function nodeFaultWitness(
  ground: FaultGround,
  spec: FaultSpec & { kind: 'disk-full' | 'disk-slow' | 'clock-jump' },
): Promise<Witness> {
  const { node } = spec;
  const before = await ground.nodeFaultsSeen(node);
  if (before === undefined) {
    throw new RingraftError('BAD_REQUEST', `${node} does not take faults: it was started without --faults`);
  }
  return async () => {
    const seen = await ground.nodeFaultsSeen(node);
    if (seen === undefined || seen.pid !== before.pid) return undefined;
    switch (spec.kind) {
      case 'disk-full': {
        const refused = seen.refusedWrites - before.refusedWrites;
        return refused > 0 ? `${refused} writes of ${node} were refused for want of space` : undefined;
      }
      case 'disk-slow': {
        const delayed = seen.delayedWrites - before.delayedWrites;
        return delayed > 0 ? `${delayed} writes of ${node} took ${spec.delayMs} ms longer` : undefined;
      }
      case 'clock-jump': {
        const movedMs = (seen.inForce.clockOffsetMs ?? 0) - (before.inForce.clockOffsetMs ?? 0);
        return movedMs === spec.offsetMs ? `the clock of ${node} has moved by ${movedMs} ms` : undefined;
      }
      default:
        return assertNever(spec, 'fault of a node');
    }
  };
}
