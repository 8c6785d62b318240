/** Stopping, starting and restarting single nodes of a local cluster, so that no shard is taken away. */
import { pause, RingraftError } from '../../base/index.js';
import type { RingraftClient } from '../../client/index.js';
import type { Context } from '../context.js';
import { askView, waitUntil } from '../managing.js';
import { missingOf, reasonToKeep, type Situation } from '../restart-check.js';
import { survey } from '../survey.js';
import { logPathOf, logTail, memberIds, startNode } from './nodes.js';
import type { LocalNode, LocalState } from './state.js';

const stopPollMs = 50;
/** How long kvctl stays after Ctrl-C to start again what it has stopped. */
const lastChanceMs = 1500;

/** The cluster on this machine, running. `instead`: what to do where there is none. */
export function requireLocal({ local, processes, stateDirectory }: Context, instead: string): LocalState {
  if (local === undefined) {
    const message = `this is not a cluster that \`kvctl up\` started here (see --state-dir, ${stateDirectory})`;
    throw new RingraftError('BAD_REQUEST', `${message}: ${instead}`);
  }
  if (!local.brokers.some((broker) => processes.isRunning(broker))) {
    throw new RingraftError('UNREACHABLE', 'the local cluster does not run any more: `kvctl up` starts it again');
  }
  return local;
}

/** The node's process, if it was ever started; BAD_REQUEST when kvctl has no such node here. */
export function requireLocalNode(context: Context, state: LocalState, id: string): LocalNode | undefined {
  const members = memberIds(context.stateDirectory, state.configPath);
  const ids = [...new Set([...members, ...state.nodes.map((node) => node.id)])];
  if (!ids.includes(id)) {
    throw new RingraftError('BAD_REQUEST', `there is no node ${id} here; there are ${ids.join(', ')}`);
  }
  return state.nodes.find((node) => node.id === id);
}

/** False after Ctrl-C: the process may go on ending. TIMEOUT when it does not end in time. */
export function untilEnded(context: Context, node: LocalNode, timeoutMs: number): Promise<boolean> {
  return waitUntil(context, {
    unmet: () =>
      `${node.id} (process ${node.pid}) has not ended; \`kvctl node stop ${node.id} --kill\` ends it at once`,
    timeoutMs,
    look: async () => !context.processes.isRunning(node),
    onSilence: () => {},
    everyMs: stopPollMs,
  });
}

/** The end of its log, where a node stopped that should run. */
export const stoppedByItself = (stateDirectory: string, id: string): RingraftError => {
  const tail = logTail(logPathOf(stateDirectory, id));
  return new RingraftError('UNREACHABLE', `node ${id} stopped. The end of its log:\n${tail}`);
};

/** Starts the node; it need not answer yet. */
export function startLocalNode(context: Context, id: string): LocalNode {
  const state = requireLocal(context, 'it went away meanwhile');
  const { nodes } = startNode(context.stateDirectory, state, id, context.processes);
  return nodes.find((node) => node.id === id) as LocalNode;
}

export type Restart = {
  readonly id: string;
  /** For each of its waits. */
  readonly timeoutMs: number;
  readonly note: (text: string) => void;
};

/**
 * Stops a node when no shard needs it, starts it again, waits until it is back. False after Ctrl-C; then the node was not
 * stopped, or was started again, or `note` said that it was not.
 */
export async function restartLocalNode(
  context: Context,
  client: RingraftClient,
  { id, timeoutMs, note }: Restart,
): Promise<boolean> {
  const state = requireLocal(context, 'it went away meanwhile');
  const running = requireLocalNode(context, state, id);
  if (running !== undefined && context.processes.isRunning(running)) {
    if (!(await untilDispensable(context, client, { id, timeoutMs, note }))) return false;
    note('stops');
    context.processes.signal(running, 'SIGTERM');
    if (!(await untilEnded(context, running, timeoutMs))) await lastChance(context, running, note);
    if (context.processes.isRunning(running)) return false;
  }
  note('starts');
  return untilBack(context, client, { id, timeoutMs, note });
}

async function lastChance({ processes, clock }: Context, node: LocalNode, note: Restart['note']): Promise<void> {
  const deadlineMs = clock.nowMs() + lastChanceMs;
  while (processes.isRunning(node) && clock.nowMs() < deadlineMs) await pause(clock, stopPollMs);
  if (processes.isRunning(node)) note(`is stopping still: \`kvctl node start ${node.id}\` starts it again`);
}

async function situationOf(client: RingraftClient, timeoutMs: number): Promise<Situation> {
  const view = await askView(client, timeoutMs);
  const { map } = await client.map(timeoutMs);
  const ids = map.nodes.map(({ id }) => id);
  return { view, map, nodes: await survey(client, ids, timeoutMs) };
}

function untilDispensable(context: Context, client: RingraftClient, { id, timeoutMs, note }: Restart) {
  let reason: string | undefined = 'the manager has not answered';
  const look = async (): Promise<boolean> => {
    reason = reasonToKeep(id, await situationOf(client, context.timeoutMs));
    if (reason !== undefined) note(reason);
    return reason === undefined;
  };
  const onSilence = (why: string): void => {
    reason = why;
    note(why);
  };
  const unmet = () => `${id} was not stopped: ${reason}`;
  return waitUntil(context, { unmet, timeoutMs, look, onSilence, happened: 'no' });
}

/** Starts it first. */
async function untilBack(context: Context, client: RingraftClient, { id, timeoutMs, note }: Restart): Promise<boolean> {
  const started = startLocalNode(context, id);
  let reason: string | undefined = 'it does not answer';
  let hasDied = false;
  const look = async (): Promise<boolean> => {
    hasDied = !context.processes.isRunning(started);
    if (hasDied) return true;
    const situation = await situationOf(client, context.timeoutMs);
    const isItself = situation.nodes.find((node) => node.id === id)?.status?.pid === started.pid;
    reason = isItself ? missingOf(id, situation) : 'it does not answer';
    if (reason !== undefined) note(reason);
    return reason === undefined;
  };
  const onSilence = (why: string): void => {
    reason = why;
    note(why);
  };
  const isDone = await waitUntil(context, { unmet: () => `${id} is not back: ${reason}`, timeoutMs, look, onSilence });
  if (hasDied) throw stoppedByItself(context.stateDirectory, id);
  return isDone;
}
