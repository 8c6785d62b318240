/** node drain, recommission, decommission, set: what the map says of a node. */
import { isRingraftError, RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { ManagerRequest, NodeView } from '../../wire/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { recordRemoved } from '../local/membership.js';
import { askView, nodeIn, order, waitAsked, waitOptions, waitUntil } from '../managing.js';
import { json } from '../output.js';
import { startGauge } from '../progress.js';
import { parseNodeId, parseWeight, parseZone } from '../values.js';
import type { Argv } from '../yargs.js';
import { type Arguments, type Command, flag, optionalText, text } from './command.js';

const nodeArgument = (parser: Argv): Argv => parser.positional('node', { type: 'string', describe: 'The node' });

const nodeOf = (args: Arguments): string => parseNodeId(text(args, 'node'), 'the node');

async function report({ io, args }: Context, data: object, line: string): Promise<void> {
  await write(io.out, args.output === 'json' ? json(data) : `${line}\n`);
}

const toGo = ({ replicas, leaving }: NodeView): number => replicas + leaving;

/** A bar over the replicas a node still has to hand over. Its total grows when more than thought are to go. */
function leavingGauge(context: Context, what: string) {
  const gauge = startGauge(context.io, what, 'replicas');
  let total: number | undefined;
  let left = 0;
  const show = (note: string): void => gauge.show((total ?? 0) - left, total, note);
  return {
    look(node: NodeView): void {
      left = toGo(node);
      total = Math.max(total ?? 0, left);
      const gone = node.liveness === 'alive' ? '' : `the node is ${node.liveness}`;
      show(left === 0 ? '' : gone);
    },
    silent: show,
    stop: gauge.stop,
  };
}

/** Told once each: they stand in the view for as long as they last. */
function problemTeller({ io }: Context): (problems: readonly string[]) => void {
  const told = new Set<string>();
  return (problems) => {
    for (const problem of problems) {
      if (!told.has(problem)) io.err.write(`problem: ${problem}\n`);
      told.add(problem);
    }
  };
}

/** False after Ctrl-C. */
async function untilDrained(context: Context, client: RingraftClient, id: string, timeoutMs: number | undefined) {
  const gauge = leavingGauge(context, `draining ${id}`);
  const tell = problemTeller(context);
  const look = async (): Promise<boolean> => {
    const view = await askView(client, context.timeoutMs);
    const node = nodeIn(view, id);
    // Removed: it holds nothing any more.
    if (node === undefined) return true;
    if (node.condition === 'up') throw new RingraftError('CONFLICT', `${id} is up again: somebody recommissioned it`);
    tell(view.problems);
    gauge.look(node);
    return node.condition === 'drained';
  };
  const unmet = () => `node ${id} holds replicas still; they go on being moved away`;
  try {
    return await waitUntil(context, { unmet, timeoutMs, look, onSilence: gauge.silent });
  } finally {
    gauge.stop();
  }
}

export const drain: Command = {
  command: 'drain <node>',
  describe: 'Move every replica and leadership away from a node, so that it can be stopped',
  builder: (parser) =>
    waitOptions(nodeArgument(parser), 'Stay until it holds nothing')
      .example('$0 node drain n2 --wait', 'then n2 may be stopped for as long as you like')
      .example('$0 node recommission n2', 'when it is back'),
  async run(context, args) {
    const node = nodeOf(args);
    const wait = waitAsked(args);
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const epoch = await order(client, { op: 'drain', node }, timeoutMs);
    if (wait === undefined) {
      await report(context, { node, epoch }, `${node} is being drained (epoch ${epoch}); --wait stays until it is`);
      return exitCodes.ok;
    }
    if (!(await untilDrained(context, client, node, wait.timeoutMs))) {
      io.err.write(
        `the order stays in force: ${node} goes on draining; \`kvctl node recommission ${node}\` ends that\n`,
      );
      return exitCodes.interrupted;
    }
    await report(context, { node, epoch, condition: 'drained' }, `${node} is drained: it may be stopped now`);
    return exitCodes.ok;
  },
};

export const recommission: Command = {
  command: 'recommission <node>',
  describe: 'Take a drained or draining node into use again',
  builder: (parser) => nodeArgument(parser).example('$0 node recommission n2', 'it gets replicas again'),
  async run(context, args) {
    const node = nodeOf(args);
    const client = await context.connect();
    const epoch = await order(client, { op: 'recommission', node }, context.timeoutMs);
    await report(context, { node, epoch, condition: 'up' }, `${node} is up (epoch ${epoch})`);
    return exitCodes.ok;
  },
};

type Decommission = Extract<ManagerRequest, { readonly op: 'decommission' }>;

/** The epoch without the node; undefined while it still holds something. */
async function tryDecommission(client: RingraftClient, request: Decommission, timeoutMs: number) {
  try {
    return await order(client, request, timeoutMs);
  } catch (error) {
    if (isRingraftError(error, 'BUSY')) return undefined;
    throw error;
  }
}

/** The epoch without the node; undefined after Ctrl-C. */
async function untilRemoved(
  context: Context,
  client: RingraftClient,
  request: Decommission,
  timeoutMs: number | undefined,
): Promise<number | undefined> {
  const { node: id } = request;
  const gauge = leavingGauge(context, `draining ${id}`);
  const tell = problemTeller(context);
  let epoch: number | undefined;
  const look = async (): Promise<boolean> => {
    const view = await askView(client, context.timeoutMs);
    const node = nodeIn(view, id);
    if (node === undefined) {
      epoch ??= view.epoch;
      return true;
    }
    if (node.condition === 'up') throw new RingraftError('CONFLICT', `${id} is up again: somebody recommissioned it`);
    tell(view.problems);
    gauge.look(node);
    if (toGo(node) === 0) epoch = await tryDecommission(client, request, context.timeoutMs);
    return epoch !== undefined;
  };
  const unmet = () => `node ${id} holds replicas still; they go on being moved away, but it is not removed then`;
  try {
    const isDone = await waitUntil(context, { unmet, timeoutMs, look, onSilence: gauge.silent });
    return isDone ? epoch : undefined;
  } finally {
    gauge.stop();
  }
}

export const decommission: Command = {
  command: 'decommission <node>',
  describe: 'Take a node out of the cluster for good; one that holds something is drained first',
  builder: (parser) =>
    waitOptions(nodeArgument(parser), 'Stay until it is out')
      .option('force', { type: 'boolean', describe: 'It will not come back: replace it at once, do not wait for it' })
      .example('$0 node decommission n4 --wait', 'drains it, then removes it')
      .example('$0 node decommission n2 --force --wait', 'its machine is gone'),
  async run(context, args) {
    const node = nodeOf(args);
    const wait = waitAsked(args);
    const { io, timeoutMs } = context;
    const client = await context.connect();
    const request: Decommission = { op: 'decommission', node, ...(flag(args, 'force') ? { force: true } : {}) };
    let epoch = await tryDecommission(client, request, timeoutMs);
    if (epoch === undefined && wait === undefined) {
      const next = `\`kvctl node decommission ${node} --wait\` stays and removes it then`;
      throw new RingraftError('BUSY', `${node} still holds replicas and is being drained: ${next}`);
    }
    epoch ??= await untilRemoved(context, client, request, wait?.timeoutMs);
    if (epoch === undefined) {
      const how = `\`kvctl node decommission ${node}\` removes it once it is drained, \`recommission\` ends it`;
      io.err.write(`the order stays in force: ${node} goes on draining; ${how}\n`);
      return exitCodes.interrupted;
    }
    const runs = forgetLocally(context, node);
    const next = runs ? `; \`kvctl node stop ${node}\` ends its process` : '';
    await report(context, { node, epoch, removed: true }, `${node} is out of the cluster (epoch ${epoch})${next}`);
    return exitCodes.ok;
  },
};

/** So that `kvctl up` does not bring it back. True: its process still runs. */
function forgetLocally({ local, stateDirectory, processes }: Context, id: string): boolean {
  const found = local?.nodes.find((each) => each.id === id);
  if (local === undefined) return false;
  recordRemoved(stateDirectory, id);
  return found !== undefined && processes.isRunning(found);
}

export const nodeSet: Command = {
  command: 'set <node>',
  describe: 'Change the weight or the zone of a node',
  builder: (parser) =>
    nodeArgument(parser)
      .option('weight', { type: 'string', requiresArg: true, describe: 'Its share of replicas, 1 is usual' })
      .option('zone', { type: 'string', requiresArg: true, describe: 'Replicas of a shard are spread over zones' })
      .example('$0 node set n2 --weight 2', 'twice as many replicas as the others')
      .example('$0 node set n2 --weight 2 --zone b', 'both at once'),
  async run(context, args) {
    const node = nodeOf(args);
    const [weight, zone] = [optionalText(args, 'weight'), optionalText(args, 'zone')];
    if (weight === undefined && zone === undefined) {
      throw new RingraftError('BAD_REQUEST', 'say what should change: --weight 2, --zone b, or both');
    }
    const changes = {
      ...(weight === undefined ? {} : { weight: parseWeight(weight, '--weight') }),
      ...(zone === undefined ? {} : { zone: parseZone(zone, '--zone') }),
    };
    const client = await context.connect();
    const epoch = await order(client, { op: 'setNode', node, ...changes }, context.timeoutMs);
    const told = Object.entries(changes).map(([name, value]) => `${name} ${value}`);
    await report(context, { node, epoch, ...changes }, `${node}: ${told.join(', ')} (epoch ${epoch})`);
    return exitCodes.ok;
  },
};
