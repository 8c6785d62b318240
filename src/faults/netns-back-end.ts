/**
 * Links shaped by the kernel: rules and queues of the router's namespace.
 *
 * Invariant: rules are replaced as a whole, so that a partition is in force at once or not at all; queues, which take
 * effect one interface after the other, are touched only where they change.
 */
import { RingraftError } from '../base/index.js';
import { type CommandRunner, mustRun } from './command-runner.js';
import type { LinkBackEnd, ShapedLinkState } from './link-back-end.js';
import { findRestore, netnsHost } from './netns.js';
import type { NetnsHost, NetnsPlan } from './netns-plan.js';
import { hostTable, type LocalLink, queueLines, type RoutedLink, routerTable } from './netns-rules.js';
import { brokerOf, type Link, type LinkEffect, type LinkFault } from './types.js';

type Port = { readonly node: string; readonly clientPort: number };

const linksOf = (nodes: readonly string[]): readonly Link[] =>
  nodes.flatMap((node) => [
    ...nodes.filter((other) => other !== node).map((other) => ({ from: brokerOf(node), to: brokerOf(other) })),
    { from: node, to: brokerOf(node) },
    { from: brokerOf(node), to: node },
  ]);

const isDelay = ({ delayMs, jitterMs }: LinkEffect): boolean => (delayMs ?? 0) > 0 || (jitterMs ?? 0) > 0;

class NetnsBackEnd implements LinkBackEnd {
  readonly links: readonly Link[];
  private hasNetem: boolean | undefined;
  /** What each file of rules, and each interface's queues, are now. */
  private readonly inForce = new Map<string, string>();

  constructor(
    private readonly plan: NetnsPlan,
    private readonly ports: readonly Port[],
    private readonly restore: string,
    private readonly run: CommandRunner,
  ) {
    this.links = linksOf(plan.hosts.map(({ node }) => node));
  }

  async check(effects: LinkFault['effects']): Promise<void> {
    for (const link of effects) {
      const { from, to, effect } = link;
      if (this.isLocal(link) && (isDelay(effect) || effect.bytesPerSecond !== undefined)) {
        const message = `${from} -> ${to} is inside one network namespace: it can be cut or lose, nothing else`;
        throw new RingraftError('BAD_REQUEST', message);
      }
      if (isDelay(effect) && !(await this.canDelay())) {
        throw new RingraftError('BAD_REQUEST', 'this kernel cannot delay packets: it lacks netem (sch_netem)');
      }
    }
  }

  async apply(shapes: readonly ShapedLinkState[]): Promise<void> {
    const routed = shapes.filter((link) => !this.isLocal(link)).map((link) => this.routed(link));
    await this.replaceTable(this.plan.router, routerTable(routed));
    for (const { node, namespace } of this.plan.hosts) {
      const local: readonly LocalLink[] = shapes
        .filter(({ from, to }) => from === node || to === node)
        .map(({ to, shape }) => ({ direction: to === node ? 'toNode' : 'toBroker', shape }));
      await this.replaceTable(namespace, hostTable(local, this.clientPortOf(node)));
    }
    for (const [device, lines] of queueLines(routed)) await this.replaceQueues(device, lines.join('\n'));
  }

  /** By ending the sockets at both hosts: the kernel tells the other side with a TCP reset, which a cut may swallow. */
  async reset(links: readonly Link[]): Promise<number> {
    const ended = new Set<string>();
    for (const link of links) {
      for (const [here, peer] of this.endsOf(link)) {
        const filter = this.isLocal(link) ? this.localFilter(link) : ['dst', peer.address];
        const command = ['ip', 'netns', 'exec', here.namespace, 'ss', '-HntK', 'state', 'established', ...filter];
        const { code, stdout, stderr } = await this.run(command);
        if (code !== 0 || /not supported/i.test(stderr)) {
          throw new RingraftError('BAD_REQUEST', `this kernel cannot end connections (ss -K): ${stderr.trim()}`);
        }
        for (const line of stdout.split('\n')) {
          const ends = connectionOf(line);
          if (ends !== undefined) ended.add(ends);
        }
      }
    }
    return ended.size;
  }

  /** The namespaces go with what is in them. */
  async close(): Promise<void> {}

  /** What an earlier server of the same namespaces left in force. */
  async clear(): Promise<void> {
    for (const { device } of this.plan.hosts) {
      await this.run(['tc', '-n', this.plan.router, 'qdisc', 'delete', 'dev', device, 'root']);
    }
    for (const name of [this.plan.router, ...this.plan.hosts.map(({ namespace }) => namespace)]) {
      await this.replaceTable(name, hostTable([], 0));
    }
  }

  private isLocal({ from, to }: Link): boolean {
    return from === brokerOf(to) || to === brokerOf(from);
  }

  private hostOf(endpoint: string): NetnsHost {
    const node = this.plan.hosts.find((each) => each.node === endpoint || brokerOf(each.node) === endpoint)?.node;
    return netnsHost(this.plan, node ?? endpoint);
  }

  private clientPortOf(node: string): number {
    const port = this.ports.find((each) => each.node === node)?.clientPort;
    if (port === undefined) throw new RingraftError('BAD_REQUEST', `the client port of ${node} is not known`);
    return port;
  }

  private routed({ from, to, shape }: ShapedLinkState): RoutedLink {
    const { address: toAddress, device } = this.hostOf(to);
    return { fromAddress: this.hostOf(from).address, toAddress, device, shape };
  }

  private endsOf({ from, to }: Link): readonly (readonly [NetnsHost, NetnsHost])[] {
    const [one, other] = [this.hostOf(from), this.hostOf(to)];
    return one === other
      ? [[one, one]]
      : [
          [one, other],
          [other, one],
        ];
  }

  private localFilter({ from, to }: Link): readonly string[] {
    const { node } = this.hostOf(from === brokerOf(to) ? to : from);
    return ['dport', '=', `:${this.clientPortOf(node)}`];
  }

  /** The only way to know is to try. */
  private async canDelay(): Promise<boolean> {
    if (this.hasNetem === undefined) {
      const trial = ['tc', '-n', this.plan.router, 'qdisc'];
      this.hasNetem = (await this.run([...trial, 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms'])).code === 0;
      if (this.hasNetem) await this.run([...trial, 'delete', 'dev', 'lo', 'root']);
    }
    return this.hasNetem;
  }

  private async replaceTable(namespace: string, table: string): Promise<void> {
    if (this.inForce.get(namespace) === table) return;
    await mustRun(this.run, ['ip', 'netns', 'exec', namespace, this.restore], table);
    this.inForce.set(namespace, table);
  }

  private async replaceQueues(device: string, lines: string): Promise<void> {
    const before = this.inForce.get(device) ?? '';
    if (before === lines) return;
    const { router } = this.plan;
    // Not known while it is changed: a change that fails half-way is made whole by the next.
    this.inForce.set(device, 'unknown');
    if (before !== '') await this.run(['tc', '-n', router, 'qdisc', 'delete', 'dev', device, 'root']);
    if (lines !== '') await mustRun(this.run, ['tc', '-n', router, '-batch', '-'], `${lines}\n`);
    this.inForce.set(device, lines);
  }
}

/** Both ends of a line of `ss`, the same from either side; undefined: a line that names no connection. */
function connectionOf(line: string): string | undefined {
  const ends = line.split(/\s+/).filter((word) => /^\[?[0-9a-f.:]+\]?:\d+$/.test(word));
  return ends.length < 2 ? undefined : ends.slice(0, 2).sort().join(' ');
}

/** The namespaces have to be there. BAD_REQUEST without iptables. */
export async function openNetnsBackEnd(
  plan: NetnsPlan,
  ports: readonly Port[],
  run: CommandRunner,
): Promise<LinkBackEnd> {
  const backEnd = new NetnsBackEnd(plan, ports, await findRestore(run), run);
  await backEnd.clear();
  return backEnd;
}
