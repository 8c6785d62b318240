/** A cluster of words alone, as fault injection sees it: links that are open or not, processes that run or do not. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  brokerOf,
  type FaultControl,
  type FaultGround,
  Ledger,
  type LinkFault,
  type NodeFaults,
  type ProcessCondition,
  type Reach,
} from '../../src/faults/index.js';

export class FakeGround implements FaultGround {
  readonly nodes: readonly string[];
  readonly ledger = new Ledger(join(mkdtempSync(join(tmpdir(), 'ringraft-ground-')), 'in-force'));
  readonly conditions = new Map<string, ProcessCondition>();
  readonly told = new Map<string, NodeFaults>();
  /** What was done, in order. */
  readonly done: string[] = [];
  links: LinkFault[] = [];
  /** Whether links do what they are told. */
  obeys = true;
  refusedWrites = 0;
  private timeMs = 0;

  constructor(count: number) {
    this.nodes = Array.from({ length: count }, (_, at) => `n${at + 1}`);
    for (const node of this.nodes) {
      this.conditions.set(node, 'running');
      this.conditions.set(brokerOf(node), 'running');
    }
  }

  readonly processes = {
    signal: (endpoint: string, signal: string): boolean => {
      this.done.push(`${signal} ${endpoint}`);
      const next = { SIGKILL: 'ended', SIGTERM: 'ended', SIGSTOP: 'stopped', SIGCONT: 'running' } as const;
      this.conditions.set(endpoint, next[signal as keyof typeof next]);
      return true;
    },
    conditionOf: (endpoint: string): ProcessCondition => this.conditions.get(endpoint) ?? 'ended',
    start: async (endpoint: string): Promise<void> => {
      this.done.push(`start ${endpoint}`);
      this.conditions.set(endpoint, 'running');
    },
  };

  readonly control: FaultControl = {
    inject: async (fault) => void this.links.push(fault),
    remove: async (id) => {
      const before = this.links.length;
      this.links = this.links.filter((fault) => fault.id !== id);
      return this.links.length < before;
    },
    heal: async () => this.links.splice(0).length,
    list: async () => this.links,
    reset: async (links) => links.length,
    probe: async () => this.reaches(),
  };

  private reaches(): readonly Reach[] {
    const effects = this.obeys ? this.links.flatMap((fault) => fault.effects) : [];
    const brokers = this.nodes.map(brokerOf);
    return brokers.flatMap((from) =>
      brokers
        .filter((to) => to !== from)
        .map((to) => {
          const mine = effects.filter((each) => each.from === from && each.to === to);
          const reached = !mine.some(({ effect }) => effect.cut === true);
          return { from, to, reached, afterMs: 1 + Math.max(0, ...mine.map(({ effect }) => effect.delayMs ?? 0)) };
        }),
    );
  }

  setNodeFaults = async (nodeId: string, faults: NodeFaults): Promise<void> => void this.told.set(nodeId, faults);

  nodeFaultsSeen = async (nodeId: string) => ({
    pid: 7,
    inForce: this.told.get(nodeId) ?? {},
    refusedWrites: this.refusedWrites,
    delayedWrites: 0,
    wallMs: 0,
  });

  drops = { slow: 0, stale: 0, givenUp: 0 };
  dropsOf = () => this.drops;
  nowMs = (): number => this.timeMs;
  pause = async (ms: number): Promise<void> => {
    this.timeMs += ms;
  };
}
