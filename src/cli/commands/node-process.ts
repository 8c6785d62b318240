/** node add, start, stop, restart: single processes of the cluster on this machine. */
import { RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { NodeView } from '../../wire/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { readMembership, recordAdded, recordRemoved } from '../local/membership.js';
import { forgetNode } from '../local/nodes.js';
import {
  requireLocal,
  requireLocalNode,
  restartLocalNode,
  startLocalNode,
  stoppedByItself,
  untilEnded,
} from '../local/restart.js';
import type { LocalNode } from '../local/state.js';
import { askView, movesLeft, nodeIn, waitAsked, waitOptions, waitUntil } from '../managing.js';
import { json } from '../output.js';
import { startGauge } from '../progress.js';
import { counted, parseDuration, parseNodeId, parseWeight, parseZone } from '../values.js';
import type { Argv } from '../yargs.js';
import { type Arguments, type Command, flag, text } from './command.js';

/** A node that joins is taken in within seconds, or something is wrong. */
const joinTimeoutMs = 60_000;
/** A manager that has just taken a node in needs a moment to plan: so often nothing must be left to move. */
const settledLooks = 8;

const withSigterm = 'stop its process with SIGTERM';
const startElsewhere = 'start kvd on its machine';

const nodeArgument = (parser: Argv): Argv => parser.positional('node', { type: 'string', describe: 'The node' });

const nodeOf = (args: Arguments): string => parseNodeId(text(args, 'node'), 'the node');

async function report({ io, args }: Context, data: object, line: string): Promise<void> {
  await write(io.out, args.output === 'json' ? json(data) : `${line}\n`);
}

const timeoutOption = (parser: Argv, most: string): Argv =>
  parser.option('wait-timeout', { type: 'string', default: most, requiresArg: true, describe: 'Wait at most so long' });

const timeoutOf = (args: Arguments): number => parseDuration(text(args, 'waitTimeout'));

/** Its process; starts it unless it runs already, from an earlier attempt. */
function startJoining(context: Context, id: string, zone: string, weight: number): LocalNode {
  const { local, processes, stateDirectory } = context;
  const running = local?.nodes.find((node) => node.id === id);
  if (running !== undefined && processes.isRunning(running)) return running;
  recordAdded(stateDirectory, { id, zone, weight });
  return startLocalNode(context, id);
}

/** undefined after Ctrl-C. A node that dies instead is forgotten. */
async function untilMember(
  context: Context,
  client: RingraftClient,
  started: LocalNode,
): Promise<NodeView | undefined> {
  const { id } = started;
  const gauge = startGauge(context.io, `node ${id}`, '');
  let hasDied = false;
  let member: NodeView | undefined;
  const look = async (): Promise<boolean> => {
    hasDied = !context.processes.isRunning(started);
    if (hasDied) return true;
    member = nodeIn(await askView(client, context.timeoutMs), id);
    gauge.show(0, undefined, member === undefined ? 'asks to be taken in' : `is ${member.liveness}`);
    return member?.liveness === 'alive';
  };
  const unmet = () => `node ${id} runs, but the cluster has not taken it in; it goes on asking`;
  const onSilence = (reason: string): void => gauge.show(0, undefined, reason);
  const isDone = await waitUntil(context, { unmet, timeoutMs: joinTimeoutMs, look, onSilence }).finally(gauge.stop);
  if (!hasDied) return isDone ? member : undefined;
  recordRemoved(context.stateDirectory, id);
  forgetNode(context.stateDirectory, id);
  throw stoppedByItself(context.stateDirectory, id);
}

/** Until nothing is left to move. False after Ctrl-C. */
async function untilSettled(context: Context, client: RingraftClient, id: string, timeoutMs: number | undefined) {
  const gauge = startGauge(context.io, `moving replicas to ${id}`, 'replicas');
  let total = 0;
  let settled = 0;
  const look = async (): Promise<boolean> => {
    const left = movesLeft(await askView(client, context.timeoutMs));
    total = Math.max(total, left);
    settled = left === 0 ? settled + 1 : 0;
    if (total > 0) gauge.show(total - left, total, '');
    return settled >= settledLooks;
  };
  const unmet = () => 'replicas are still being moved; they go on';
  const onSilence = (reason: string): void => gauge.show(0, undefined, reason);
  return waitUntil(context, { unmet, timeoutMs, look, onSilence }).finally(gauge.stop);
}

export const nodeAdd: Command = {
  command: 'add <node>',
  describe: 'Start a further node on this machine, which joins the cluster',
  builder: (parser) =>
    waitOptions(nodeArgument(parser), 'Stay until replicas have been moved to it')
      .option('zone', { type: 'string', default: 'default', requiresArg: true, describe: 'Its zone' })
      .option('weight', { type: 'string', default: '1', requiresArg: true, describe: 'Its share of replicas' })
      .example('$0 node add n4 --zone z4', 'a fourth node; replicas move to it by themselves')
      .example('$0 node add n4 --zone z4 --weight 2 --wait', 'and stay until they have'),
  async run(context, args) {
    const node = nodeOf(args);
    const zone = parseZone(text(args, 'zone'), '--zone');
    const weight = parseWeight(text(args, 'weight'), '--weight');
    const wait = waitAsked(args);
    const { io, timeoutMs } = context;
    requireLocal(context, `${startElsewhere} with --join --cluster NAME --nats URL --node ${node} --zone ${zone}`);
    const client = await context.connect();
    // Before anything is started: there must be somebody to take it in.
    if (nodeIn(await askView(client, timeoutMs), node) !== undefined) {
      throw new RingraftError('CONFLICT', `${node} is in the cluster already; \`kvctl node start ${node}\` starts it`);
    }
    const member = await untilMember(context, client, startJoining(context, node, zone, weight));
    if (member === undefined) {
      io.err.write(`the order stays in force: ${node} runs and goes on asking to be taken in\n`);
      return exitCodes.interrupted;
    }
    if (wait !== undefined && !(await untilSettled(context, client, node, wait.timeoutMs))) {
      io.err.write(`the order stays in force: ${node} is in the cluster, replicas go on being moved\n`);
      return exitCodes.interrupted;
    }
    const { epoch, nodes } = await askView(client, timeoutMs);
    const replicas = nodes.find(({ id }) => id === node)?.replicas ?? 0;
    const line = `${node} is in the cluster (zone ${member.zone}, weight ${member.weight}, epoch ${epoch})`;
    const holds =
      wait === undefined ? '; replicas move to it by themselves' : `, ${counted(replicas, 'replica')} on it`;
    const { zone: itsZone, weight: itsWeight } = member;
    await report(
      context,
      { node, zone: itsZone, weight: itsWeight, epoch, replicas, settled: wait !== undefined },
      `${line}${holds}`,
    );
    return exitCodes.ok;
  },
};

export const nodeStop: Command = {
  command: 'stop <node>',
  describe: 'Stop one node of the cluster on this machine (its data stay)',
  builder: (parser) =>
    timeoutOption(nodeArgument(parser), '30s')
      .option('kill', { type: 'boolean', describe: 'With SIGKILL: as when the machine fails' })
      .example('$0 node stop n2', 'it hands its leaderships over and ends')
      .example('$0 node stop n2 --kill', 'see what the others do'),
  async run(context, args) {
    const id = nodeOf(args);
    const limitMs = timeoutOf(args);
    const { io, processes, stateDirectory } = context;
    const node = requireLocalNode(context, requireLocal(context, withSigterm), id);
    const wasRunning = node !== undefined && processes.signal(node, flag(args, 'kill') ? 'SIGKILL' : 'SIGTERM');
    if (wasRunning && !(await untilEnded(context, node, limitMs))) {
      io.err.write(`the order stays in force: ${id} goes on stopping\n`);
      return exitCodes.interrupted;
    }
    if (readMembership(stateDirectory).removed.includes(id)) forgetNode(stateDirectory, id);
    await report(context, { node: id, wasRunning }, wasRunning ? `${id} has stopped` : `${id} did not run`);
    return exitCodes.ok;
  },
};

export const nodeStart: Command = {
  command: 'start <node>',
  describe: 'Start one node of the cluster on this machine again',
  builder: (parser) =>
    timeoutOption(nodeArgument(parser), '60s').example('$0 node start n2', 'as it was started before'),
  async run(context, args) {
    const id = nodeOf(args);
    const limitMs = timeoutOf(args);
    const { io, processes, stateDirectory } = context;
    const before = requireLocalNode(context, requireLocal(context, startElsewhere), id);
    const wasRunning = before !== undefined && processes.isRunning(before);
    const client = await context.connect();
    const node = wasRunning ? before : startLocalNode(context, id);
    let hasDied = false;
    const look = async (): Promise<boolean> => {
      hasDied = !processes.isRunning(node);
      return hasDied || (await client.nodeStatus(id, context.timeoutMs)).pid === node.pid;
    };
    const unmet = () => `${id} runs (process ${node.pid}) and does not answer`;
    const isDone = await waitUntil(context, { unmet, timeoutMs: limitMs, look, onSilence: () => {} });
    if (hasDied) throw stoppedByItself(stateDirectory, id);
    if (!isDone) {
      io.err.write(`the order stays in force: ${id} goes on starting\n`);
      return exitCodes.interrupted;
    }
    const line = `${id} ${wasRunning ? 'runs already' : 'runs'} (process ${node.pid})`;
    await report(context, { node: id, pid: node.pid, wasRunning }, line);
    return exitCodes.ok;
  },
};

export const nodeRestart: Command = {
  command: 'restart <node>',
  describe: 'Restart one node of the cluster on this machine, once no shard needs it',
  builder: (parser) =>
    timeoutOption(nodeArgument(parser), '2m').example('$0 node restart n2', 'and stay until it is back'),
  async run(context, args) {
    const id = nodeOf(args);
    const limitMs = timeoutOf(args);
    const { io, clock } = context;
    const state = requireLocal(context, `${withSigterm} and start it again`);
    requireLocalNode(context, state, id);
    const client = await context.connect();
    const startedMs = clock.nowMs();
    const gauge = startGauge(io, `restarting ${id}`, '');
    const note = (what: string): void => gauge.show(0, undefined, what);
    const isDone = await restartLocalNode(context, client, { id, timeoutMs: limitMs, note }).finally(gauge.stop);
    if (!isDone) {
      io.err.write(`interrupted: \`kvctl node ls\` shows whether ${id} runs\n`);
      return exitCodes.interrupted;
    }
    const tookMs = Math.round(clock.nowMs() - startedMs);
    await report(context, { node: id, tookMs }, `${id} is back, after ${(tookMs / 1000).toFixed(1)} s`);
    return exitCodes.ok;
  },
};
