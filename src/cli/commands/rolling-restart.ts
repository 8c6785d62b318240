/** cluster rolling-restart: every node once, one after the other, none before the last one is back. */
import { isRingraftError, RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { memberIds } from '../local/nodes.js';
import { requireLocal, requireLocalNode, restartLocalNode } from '../local/restart.js';
import type { LocalState } from '../local/state.js';
import { json } from '../output.js';
import { startGauge } from '../progress.js';
import { counted, parseDuration } from '../values.js';
import { type Arguments, type Command, text, texts } from './command.js';

const instead =
  'stop one node after the other with SIGTERM, start it again, and before the next wait until `kvctl cluster status` exits with 0';

type Plan = { readonly ids: readonly string[]; readonly pauseMs: number; readonly timeoutMs: number };

function planOf(context: Context, args: Arguments): Plan {
  const state = requireLocal(context, instead);
  const asked = [...new Set(texts(args, 'node'))];
  for (const id of asked) requireLocalNode(context, state, id);
  return {
    ids: asked.length > 0 ? asked : runningIds(context, state),
    pauseMs: parseDuration(text(args, 'pause'), 0),
    timeoutMs: parseDuration(text(args, 'waitTimeout')),
  };
}

/** Members that run: one that was stopped on purpose stays so, one that left for good is nobody's business. */
function runningIds({ stateDirectory, processes }: Context, state: LocalState): readonly string[] {
  const members = memberIds(stateDirectory, state.configPath);
  return state.nodes.filter((node) => members.includes(node.id) && processes.isRunning(node)).map(({ id }) => id);
}

type Restarted = { readonly node: string; readonly tookMs: number };

const listed = (ids: readonly string[]): string => (ids.length === 0 ? 'none' : ids.join(', '));

/** Where it stopped, and why. */
function stoppedAt(error: unknown, ids: readonly string[], at: number): unknown {
  if (!isRingraftError(error)) return error;
  const { code, happened, fields } = error;
  const rest = `restarted before it: ${listed(ids.slice(0, at))}; not restarted: ${listed(ids.slice(at + 1))}`;
  const message = `stopped at ${ids[at]}: ${error.message}\n${rest}`;
  return new RingraftError(code, message, { happened, fields, cause: error });
}

/** Those that are back; fewer than planned after Ctrl-C. */
async function restartAll(context: Context, client: RingraftClient, { ids, pauseMs, timeoutMs }: Plan) {
  const { io, clock } = context;
  const gauge = startGauge(io, 'restarting', 'nodes');
  const restarted: Restarted[] = [];
  try {
    for (const [at, id] of ids.entries()) {
      if (at > 0) await context.pause(pauseMs);
      if (io.signal.aborted) break;
      const note = (what: string): void => gauge.show(at, ids.length, `${id}: ${what}`);
      const startedMs = clock.nowMs();
      try {
        if (!(await restartLocalNode(context, client, { id, timeoutMs, note }))) break;
      } catch (error) {
        throw stoppedAt(error, ids, at);
      }
      restarted.push({ node: id, tookMs: Math.round(clock.nowMs() - startedMs) });
      gauge.show(at + 1, ids.length, `${id}: is back`);
    }
  } finally {
    gauge.stop();
  }
  return restarted;
}

export const rollingRestart: Command = {
  command: 'rolling-restart',
  describe: 'Restart the nodes of the cluster on this machine, one after the other, while it serves',
  builder: (parser) =>
    parser
      .option('node', { type: 'string', requiresArg: true, describe: 'Only this node; may be given several times' })
      .option('pause', { type: 'string', default: '0s', requiresArg: true, describe: 'So long between two nodes' })
      .option('wait-timeout', {
        type: 'string',
        default: '2m',
        requiresArg: true,
        describe: 'How long a node may take to be back; then no further one is stopped',
      })
      .example('$0 cluster rolling-restart', 'every node; the next one once the last one has caught up')
      .example('$0 cluster rolling-restart --node n2 --node n3 --pause 10s', 'some of them, with time between'),
  async run(context, args) {
    const plan = planOf(context, args);
    const client = await context.connect();
    const { clock, io } = context;
    const startedMs = clock.nowMs();
    const restarted = await restartAll(context, client, plan);
    const tookMs = Math.round(clock.nowMs() - startedMs);
    const isWhole = restarted.length === plan.ids.length;
    if (context.args.output === 'json') {
      await write(io.out, json({ cluster: context.cluster, planned: plan.ids, restarted, tookMs }));
    } else if (isWhole) {
      const seconds = (tookMs / 1000).toFixed(1);
      await write(io.out, `restarted ${counted(restarted.length, 'node')}: ${plan.ids.join(', ')}, in ${seconds} s\n`);
    }
    if (isWhole) return exitCodes.ok;
    const done = listed(restarted.map(({ node }) => node));
    io.err.write(`interrupted; back after their restart: ${done}; no further node is stopped (\`kvctl node ls\`)\n`);
    return exitCodes.interrupted;
  },
};
