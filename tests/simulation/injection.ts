/** Carries faults out: what each kind does to the world, and how it ends. */
import { assertNever } from '../../src/base/index.js';
import type { Fault, FaultKind } from './faults.js';
import type { Network } from './network.js';
import type { SimNode } from './sim-node.js';
import type { World } from './world.js';

/** From half a day back to half a day ahead: longer than anything is remembered for. */
const mostJumpMs = 86_400_000;

export type InjectionParts = {
  readonly world: World;
  readonly network: Network;
  readonly nodes: readonly SimNode[];
  readonly clients: readonly string[];
  readonly trace: (node: string, what: string, fields?: Readonly<Record<string, unknown>>) => void;
  /** Whether a node may lose what it holds: everything stands on the others as well. */
  readonly mayLose: () => boolean;
  /** What this node held may be gone. */
  readonly onLost: (node: SimNode) => void;
  /** Changes the membership of a shard; whether a change was begun. */
  readonly changeMembership: (fault: Fault) => boolean;
  /** One of `clusterKinds`: begins it and says how it ends; undefined when there was nothing to do it to. */
  readonly onCluster?: (fault: Fault) => (() => void) | undefined;
};

export class Injection {
  readonly injected = new Map<FaultKind, number>();
  private over = false;
  /** Faults under way that kill whoever is elected. */
  private leaderCrashes = 0;

  constructor(private readonly parts: InjectionParts) {}

  /** Schedules everything. */
  plan(faults: readonly Fault[]): void {
    for (const fault of faults) {
      this.parts.world.at(fault.atMs, () => {
        if (this.over) return;
        const end = this.begin(fault);
        if (end === undefined) return;
        this.injected.set(fault.kind, (this.injected.get(fault.kind) ?? 0) + 1);
        this.parts.trace('fault', fault.kind, { nodes: fault.nodes.map((at) => `n${at + 1}`), forMs: fault.forMs });
        this.parts.world.at(fault.forMs, () => {
          if (this.over) return;
          this.parts.trace('fault', `end of ${fault.kind}`);
          end();
        });
      });
    }
  }

  /** Everything is put right and every node runs. */
  heal(): void {
    this.over = true;
    const { network, nodes } = this.parts;
    Object.assign(network.weather, { loss: 0, duplication: 0, reorder: 0, jitterMs: 0, damage: 0 });
    network.mendAll();
    for (const node of nodes) {
      Object.assign(node.machine.weather, { slowMs: 0.5, isFull: false, hangsUntilMs: 0, failNext: false });
      node.life?.settleClock();
      node.clockFault.rate = 1;
      node.life?.resume();
      node.endpoint?.setConnected(true);
      node.start();
    }
  }

  /** The fault as it is now that leaders are known. */
  private aimed(fault: Fault): Fault {
    const leaders = fault.nodes.filter((at) =>
      [...(this.parts.nodes[at]?.host?.replicas() ?? [])].some(({ raft }) => raft.isLeader),
    );
    const [leader] = leaders;
    if (!fault.atLeader || leader === undefined) return fault;
    const others = fault.nodes.filter((at) => at !== leader);
    return { ...fault, nodes: fault.kind === 'bridge' ? [...others, leader] : [leader, ...others] };
  }

  /**
   * Somebody was elected: the ill-fated ones die of it, some at once, some after a while in which nobody but clients
   * hears of them, so that their logs end in entries that no one else has (Raft Figure 8).
   */
  onElection(name: string): void {
    const node = this.parts.nodes.find(({ id }) => id === name);
    const { world, network, nodes } = this.parts;
    if (node === undefined || this.leaderCrashes === 0 || this.over) return;
    const power = world.chance(0.5);
    const { life } = node;
    const isAlone = world.chance(0.5);
    const cut: (readonly [string, string])[] = [];
    for (const { id } of isAlone ? nodes : []) {
      if (id === name || network.isCut(name, id)) continue;
      network.cut(name, id, 1e9);
      cut.push([name, id]);
    }
    const livesMs = isAlone ? world.between(1, 150) : world.pick([0, 1, 3, 10, 60]) * world.fraction();
    world.at(livesMs, () => {
      for (const [from, to] of cut) network.mend(from, to);
      if (node.life !== life || this.over) return;
      node.crash(power);
      world.at(world.pick([5, 100, 600]), () => node.start());
    });
  }

  private node(fault: Fault, at: number): SimNode {
    return this.parts.nodes[fault.nodes[at] as number] as SimNode;
  }

  /** Begins the fault; returns how it ends, or undefined when there was nothing to do it to. */
  private begin(drawn: Fault): (() => void) | undefined {
    const fault = this.aimed(drawn);
    const { network, nodes, clients } = this.parts;
    const { weather } = network;
    const first = this.node(fault, 0);
    const { strength } = fault;
    switch (fault.kind) {
      case 'loss':
        weather.loss = 0.02 + 0.4 * strength;
        return () => {
          weather.loss = 0;
        };
      case 'duplication':
        weather.duplication = 0.5 * strength;
        return () => {
          weather.duplication = 0;
        };
      case 'delay':
        weather.jitterMs = 1 + 1500 * strength ** 4;
        return () => {
          weather.jitterMs = 0;
        };
      case 'reorder':
        weather.reorder = 0.5 * strength;
        weather.jitterMs = 1 + 30 * strength;
        return () => {
          weather.reorder = 0;
          weather.jitterMs = 0;
        };
      case 'partition': {
        // A minority on one side, sometimes with a client; clients are somewhere.
        const size = 1 + Math.floor(strength * (nodes.length / 2));
        const side = new Set(fault.nodes.slice(0, size).map((at) => (nodes[at] as SimNode).id as string));
        for (const [at, client] of clients.entries()) if ((Math.floor(strength * 8) >> at) % 2 === 1) side.add(client);
        return this.cutAll((from, to) => side.has(from) !== side.has(to));
      }
      case 'link': {
        const other = this.node(fault, 1).id;
        return this.cutAll((from, to) => (from === first.id && to === other) || (from === other && to === first.id));
      }
      case 'one-way': {
        // Deaf to everyone, mute to everyone, or one direction of one link.
        const { id } = first;
        const other = this.node(fault, 1).id;
        if (strength < 0.4) return this.cutAll((from, to) => to === id && !clients.includes(from));
        if (strength < 0.7) return this.cutAll((from, to) => from === id && !clients.includes(to));
        return this.cutAll((from, to) => from === id && to === other);
      }
      case 'bridge': {
        // The first node sees everybody, the others only one half of the rest.
        const side = new Map(
          fault.nodes.map((at, order) => [(nodes[at] as SimNode).id as string, order === 0 ? 0 : 1 + (order % 2)]),
        );
        for (const [at, client] of clients.entries())
          side.set(client, strength < 0.3 ? 0 : 1 + ((at + Math.floor(strength * 8)) % 2));
        return this.cutAll((from, to) => {
          const sides = [side.get(from) ?? 0, side.get(to) ?? 0];
          return sides[0] !== sides[1] && !sides.includes(0);
        });
      }
      case 'disconnect':
        if (first.endpoint === undefined) return undefined;
        first.endpoint.setConnected(false);
        return () => first.endpoint?.setConnected(true);
      case 'kill':
      case 'power-loss':
        if (!first.isUp) return undefined;
        first.crash(fault.kind === 'power-loss');
        return () => first.start();
      case 'leader-crash':
        this.leaderCrashes++;
        if (first.isUp) {
          first.crash(strength < 0.5);
          this.parts.world.at(400 * strength, () => first.start());
        }
        return () => {
          this.leaderCrashes--;
        };
      case 'power-loss-all':
        for (const node of nodes) if (node.isUp) node.crash(true);
        return () => {
          for (const node of nodes) node.start();
        };
      case 'bit-flip':
        if (!first.isUp || !this.parts.mayLose()) return undefined;
        first.crash(strength < 0.5);
        if (!first.machine.flipBit()) return () => first.start();
        this.parts.onLost(first);
        return () => first.start();
      case 'slow-disk':
        first.machine.weather.slowMs = 2 + 1500 * strength ** 3;
        return () => {
          first.machine.weather.slowMs = 0.5;
        };
      case 'hung-disk':
        first.machine.weather.hangsUntilMs = this.parts.world.nowMs + fault.forMs;
        return () => {};
      case 'full-disk':
        first.machine.weather.isFull = true;
        return () => {
          first.machine.weather.isFull = false;
        };
      case 'disk-error':
        first.machine.weather.failNext = true;
        return () => {
          first.machine.weather.failNext = false;
          first.start();
        };
      case 'clock-drift': {
        first.life?.settleClock();
        // Two clocks may differ by this much and leases still hold: 200 ms of silence against 150 ms of lease.
        first.clockFault.rate = 0.9 + 0.2 * strength;
        return () => {
          first.life?.settleClock();
          first.clockFault.rate = 1;
        };
      }
      case 'clock-jump': {
        const jumpMs = (strength - 0.5) * mostJumpMs;
        first.clockFault.wallOffsetMs += jumpMs;
        return () => {
          first.clockFault.wallOffsetMs -= jumpMs;
        };
      }
      case 'pause': {
        const { life } = first;
        if (life === undefined || life.isPaused) return undefined;
        life.pause();
        return () => life.resume();
      }
      case 'transfer': {
        const leaders = nodes.flatMap((node) => [...(node.host?.replicas() ?? [])].filter(({ raft }) => raft.isLeader));
        if (leaders.length === 0) return undefined;
        const group = leaders[Math.floor(strength * leaders.length)];
        const to = group?.raft.status.configuration.voters.find((id) => id !== group.replicaId);
        const owner = nodes.find((node) => [...(node.host?.replicas() ?? [])].some((one) => one === group));
        if (group === undefined || to === undefined || owner?.life === undefined) return undefined;
        const { life } = owner;
        life.run(() => {
          group.raft.transferLeadership(to, life.clock.nowMs());
          owner.host?.wake(group);
        });
        return () => {};
      }
      case 'membership':
        return this.parts.changeMembership(fault) ? () => {} : undefined;
      case 'join':
      case 'drain':
      case 'recommission':
      case 'decommission':
      case 'move':
      case 'cancel-move':
      case 'set-moves':
      case 'restart':
      case 'die':
      case 'lose-disk':
        return this.parts.onCluster?.(fault);
      default:
        return assertNever(fault.kind, 'kind of fault');
    }
  }

  /** Cuts every link the rule names; the servers notice at once, later, or not before it is over. */
  private cutAll(isCut: (from: string, to: string) => boolean): () => void {
    const { network, nodes, clients, world } = this.parts;
    const everyone = [...nodes.map(({ id }) => id as string), ...clients];
    const cut: (readonly [string, string])[] = [];
    const noticedAfterMs = world.pick([0, 20, 300, 1e9]);
    for (const from of everyone) {
      for (const to of everyone) {
        if (from === to || !isCut(from, to) || network.isCut(from, to)) continue;
        network.cut(from, to, noticedAfterMs);
        cut.push([from, to]);
      }
    }
    return () => {
      for (const [from, to] of cut) network.mend(from, to);
    };
  }
}
