/** From counts to figures an operation: what the guard compares and people read. */
import type { CopyCounts } from './copies.js';
import type { Figures } from './run-child.js';
import { type Counts, valueBytes } from './workload.js';

/** By what is counted; an operation, unless the name says otherwise. */
export function figuresOf(before: Counts, after: Counts, operations: number): Figures {
  const each = (of: (counts: Counts) => number): number => (of(after) - of(before)) / operations;
  return {
    'messages, client to node': each(({ legs }) => legs['client to node'].messages),
    'messages, node to node': each(({ legs }) => legs['node to node'].messages),
    'messages, node to client': each(({ legs }) => legs['node to client'].messages),
    'Raft messages in them': each(({ raftMessages }) => raftMessages),
    'bytes, client to node': each(({ legs }) => legs['client to node'].bytes),
    'bytes, node to node': each(({ legs }) => legs['node to node'].bytes),
    'bytes, node to client': each(({ legs }) => legs['node to client'].bytes),
    'syncs of the log': each(({ storage }) => storage.syncs),
    'pieces written to the log': each(({ storage }) => storage.logChunks),
    'bytes written to the log': each(({ storage }) => storage.logBytes),
    'batches to the engine': each(({ storage }) => storage.batches),
    'keys written to the engine': each(({ storage }) => storage.mutations),
    'bytes written to the engine': each(({ storage }) => storage.mutationBytes),
    'keys asked of the engine': each(({ storage }) => storage.lookedUp),
    'keys walked in the engine': each(({ storage }) => storage.iterated),
    'turns of the nodes': each(({ nodeTurns }) => nodeTurns),
    'timers, client': each(({ clientTimers }) => clientTimers),
    'timers, nodes': each(({ nodeTimers }) => nodeTimers),
    'virtual microseconds from first to last': 1000 * each(({ virtualMs }) => virtualMs),
  };
}

export const copyFiguresOf = (counts: CopyCounts, operations: number): Figures => ({
  'copies of bytes': counts.copies / operations,
  'bytes copied per byte of value': counts.copied / operations / valueBytes,
  'buffers made': counts.buffers / operations,
  'bytes of buffers made': counts.bufferBytes / operations,
  'bytes to and from strings': counts.converted / operations,
});
