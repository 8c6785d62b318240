/** The network namespaces of a cluster: made, used, removed. Takes root and Linux. */
import { isRingraftError, type Random, RingraftError } from '../base/index.js';
import { type CommandRunner, mustRun, runCommand } from './command-runner.js';
import { type NetnsHost, type NetnsPlan, planNetns } from './netns-plan.js';

const linkBits = 30;

type Route = { readonly dst?: string };

/** Everything this machine knows a way to, but for the default one. */
async function occupiedSubnets(run: CommandRunner): Promise<readonly string[]> {
  const text = await mustRun(run, ['ip', '-json', '-4', 'route', 'show', 'table', 'all']);
  const routes = JSON.parse(text || '[]') as readonly Route[];
  return routes.flatMap(({ dst }) => (dst === undefined || dst === 'default' ? [] : [dst]));
}

const restorePrograms = ['iptables-legacy-restore', 'iptables-restore'] as const;

/** The older kind where it is installed: it works on kernels without nftables, too. Rejects with BAD_REQUEST where none is. */
export async function findRestore(run: CommandRunner): Promise<string> {
  for (const program of restorePrograms) if ((await run([program, '--version'])).code === 0) return program;
  throw new RingraftError('BAD_REQUEST', 'iptables is not installed (Debian: apt-get install iptables)');
}

/**
 * Names and addresses that are free here. Nothing is made yet: record the plan, then call `setUpNetns`. Rejects with BAD_REQUEST
 * where the programs are missing that the links are shaped with.
 */
export async function prepareNetns(
  nodes: readonly string[],
  random: Random,
  run: CommandRunner = runCommand,
): Promise<NetnsPlan> {
  await findRestore(run);
  return planNetns(nodes, await occupiedSubnets(run), random);
}

function hostCommands(router: string, { namespace, device, address, gatewayAddress }: NetnsHost): readonly string[][] {
  return [
    ['ip', 'netns', 'add', namespace],
    ['ip', 'link', 'add', device, 'netns', router, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace],
    ['ip', '-n', router, 'address', 'add', `${gatewayAddress}/${linkBits}`, 'dev', device],
    ['ip', '-n', router, 'link', 'set', 'dev', device, 'up'],
    ['ip', '-n', namespace, 'link', 'set', 'dev', 'lo', 'up'],
    ['ip', '-n', namespace, 'address', 'add', `${address}/${linkBits}`, 'dev', 'eth0'],
    ['ip', '-n', namespace, 'link', 'set', 'dev', 'eth0', 'up'],
    ['ip', '-n', namespace, 'route', 'add', 'default', 'via', gatewayAddress],
  ];
}

function setUpCommands({ router, subnet, rootDevice, rootAddress, gatewayAddress, hosts }: NetnsPlan) {
  return [
    ['ip', 'netns', 'add', router],
    ['ip', 'link', 'add', rootDevice, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', router],
    ['ip', 'address', 'add', `${rootAddress}/${linkBits}`, 'dev', rootDevice],
    ['ip', 'link', 'set', 'dev', rootDevice, 'up'],
    ['ip', '-n', router, 'link', 'set', 'dev', 'lo', 'up'],
    ['ip', '-n', router, 'address', 'add', `${gatewayAddress}/${linkBits}`, 'dev', 'uplink'],
    ['ip', '-n', router, 'link', 'set', 'dev', 'uplink', 'up'],
    ['ip', 'route', 'add', subnet, 'via', gatewayAddress],
    // Of the router alone: this machine does not become one.
    ['ip', 'netns', 'exec', router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1'],
    ...hosts.flatMap((host) => hostCommands(router, host)),
  ];
}

/** Makes what was planned. BAD_REQUEST, with nothing left behind, where this machine or this user cannot. */
export async function setUpNetns(plan: NetnsPlan, run: CommandRunner = runCommand): Promise<void> {
  try {
    for (const command of setUpCommands(plan)) await mustRun(run, command);
  } catch (cause) {
    await tearDownNetns(plan, run).catch(() => {});
    if (!isRingraftError(cause)) throw cause;
    const message = `network namespaces take root on Linux with iproute2: ${cause.message}`;
    throw new RingraftError('BAD_REQUEST', message, { cause });
  }
}

const isGone = (stderr: string): boolean => /No such file|Cannot find device/.test(stderr);

/** Removes all of it, as far as it is there: after the last process in it has ended, or what a crashed run left. */
export async function tearDownNetns(plan: NetnsPlan, run: CommandRunner = runCommand): Promise<void> {
  const commands = [
    ['ip', 'link', 'delete', 'dev', plan.rootDevice],
    ...[...plan.hosts.map(({ namespace }) => namespace), plan.router].map((name) => ['ip', 'netns', 'delete', name]),
  ];
  const failures: string[] = [];
  for (const command of commands) {
    const { code, stderr } = await run(command);
    if (code !== 0 && !isGone(stderr)) failures.push(`\`${command.join(' ')}\`: ${stderr.trim()}`);
  }
  if (failures.length > 0) throw new RingraftError('BAD_REQUEST', `not all was removed: ${failures.join('; ')}`);
}

export function netnsHost({ hosts }: NetnsPlan, node: string): NetnsHost {
  const found = hosts.find((host) => host.node === node);
  if (found === undefined) throw new RingraftError('BAD_REQUEST', `there is no namespace of ${node}`);
  return found;
}

/** What stands before a command that is to run on this host; the process keeps its id. */
export const commandPrefix = (plan: NetnsPlan, node: string): readonly string[] => [
  'ip',
  'netns',
  'exec',
  netnsHost(plan, node).namespace,
];

export const addressOf = (plan: NetnsPlan, node: string): string => netnsHost(plan, node).address;
