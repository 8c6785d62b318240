/**
 * What the fixed workloads came to when this was last looked at, and how much more they may come to. Whoever makes a
 * figure worse on purpose writes the new one here; whoever makes it better too, so that it stays.
 *
 * All but the heap is the same in every run. Of the heap it is the most of twelve and 1 % (a message: of four, and 0.5 %), where
 * each is the least of three runs: the least of the twelve, some beside other work, was 0.2 % below the most for put, 0.4 % for get,
 * 4 % for put alone, 3 % for get alone. Single runs were up to 8 % above one another.
 */
import type { ChildResult, Figures } from './run-child.js';
import { type WorkloadName, workloads } from './workload.js';

type Row<Length extends readonly unknown[]> = { readonly [At in keyof Length]: number };

/** An operation: put and get with 256 in flight, scans of 50 keys with 16, put and get with one. */
const measured: Readonly<Record<string, Row<[put: 0, get: 0, scan: 0, putAlone: 0, getAlone: 0]>>> = {
  'messages, client to node': [0.01172, 0.01172, 1, 1, 1],
  'messages, node to node': [0.04688, 0.04688, 1.875, 4.031, 4.094],
  'messages, node to client': [0.01172, 0.01172, 1, 1, 1],
  'Raft messages in them': [0.25, 0.25, 8, 4.344, 4.438],
  'bytes, client to node': [286.2, 24.18, 56, 302, 39],
  'bytes, node to node': [578.5, 4.406, 144.4, 749, 125.6],
  'bytes, node to client': [12.02, 275, 13_970, 15, 277],
  'syncs of the log': [0.02344, 0, 0, 3, 0],
  'pieces written to the log': [0.02344, 0, 0, 3, 0],
  'bytes written to the log': [868.3, 0, 0, 1131, 0],
  'batches to the engine': [0.008789, 0, 0, 0, 0],
  'keys written to the engine': [2.354, 0, 0, 0, 0],
  'bytes written to the engine': [705.6, 0, 0, 0, 0],
  'keys asked of the engine': [0, 0, 0, 0, 0],
  'keys walked in the engine': [0, 0, 51, 0, 0],
  'turns of the nodes': [0.05859, 0.03516, 0.75, 7.023, 4.047],
  'timers, client': [0.0007324, 0.0002441, 1, 0.09375, 0.04688],
  'timers, nodes': [0.01099, 0, 0, 0.3281, 0.1406],
  'virtual microseconds from first to last': [5.078, 1.563, 43.75, 900, 400],
  'copies of bytes': [9.417, 5, 310.8, 16.57, 5],
  'bytes copied per byte of value': [13.38, 2.141, 218.5, 13.95, 2.141],
  'buffers made': [0.2749, 1.07, 109.9, 7.578, 7.094],
  'bytes of buffers made': [1364, 560, 28_600, 1613, 703],
  'bytes to and from strings': [3.06, 0.1875, 26.25, 60.06, 16.19],
  'bytes of heap': [7000, 4100, 212_300, 46_000, 29_000],
};
const columns: readonly WorkloadName[] = ['put', 'get', 'scan', 'put alone', 'get alone'];

/** By message: what is copied a byte of it, and what is allocated an item in it. */
const codecs: Readonly<Record<string, Row<[encodeCopies: 0, decodeCopies: 0, encodeHeap: 0, decodeHeap: 0]>>> = {
  'operations, 85 puts': [0.9299, 0, 95.8, 376.9],
  'results, 85 gets': [0.9376, 0, 95.7, 295.1],
  'commands, 16 puts': [0.9324, 0, 147.3, 364.1],
  'envelope, 16 appends': [0.9936, 0, 416.8, 581.7],
  'envelope, 16 answers': [0, 0, 330.4, 208.9],
};
const codecColumns = [
  'encode, bytes copied per byte',
  'decode, bytes copied per byte',
  'encode, bytes of heap an item',
  'decode, bytes of heap an item',
] as const;

const countMargin = 0.03;
/** Of whatever is counted this many more are not worth a failure. */
const countSlack = 2;
/** What a program takes depends on the compiler that is in this Node. */
const measuredWithNode = 20;
const heapMargin = 0.02;
const otherHeapMargin = 0.3;

const isHeap = (figure: string): boolean => figure.includes('of heap');

function mostOf(figure: string, usual: number, operations: number, nodeMajor: number): number {
  if (isHeap(figure)) return usual * (1 + (nodeMajor === measuredWithNode ? heapMargin : otherHeapMargin));
  return usual * (1 + countMargin) + countSlack / operations;
}

/** What is measured without a budget, or has a budget and was not measured, is wrong as well. */
function excessIn(
  what: string,
  found: Figures,
  usual: Figures,
  mostFor: (figure: string, value: number) => number,
): readonly string[] {
  const names = new Set([...Object.keys(found), ...Object.keys(usual)]);
  return [...names].flatMap((figure) => {
    const [value, before] = [found[figure], usual[figure]];
    if (value === undefined || before === undefined) {
      return [`${what}: ${figure}: ${value ?? 'not measured'}, ${before ?? 'no budget'}`];
    }
    const most = mostFor(figure, before);
    if (value <= most) return [];
    return [`${what}: ${figure}: ${value.toFixed(4)}; it was ${before}, at most ${most.toFixed(4)} is allowed`];
  });
}

const column = (rows: Readonly<Record<string, readonly number[]>>, at: number): Figures =>
  Object.fromEntries(Object.entries(rows).map(([figure, row]) => [figure, row[at] as number]));

const codecUsual = (row: readonly number[]): Figures =>
  Object.fromEntries(codecColumns.map((figure, at) => [figure, row[at] as number]));

/** What is worse than it may be, in words; empty when nothing is. */
export function excessOf(found: ChildResult, nodeVersion = process.versions.node): readonly string[] {
  const nodeMajor = Number.parseInt(nodeVersion, 10);
  const worse = columns.flatMap((name, at) => {
    const { operations } = workloads[name];
    return excessIn(name, found.workloads[name] ?? {}, column(measured, at), (figure, usual) =>
      mostOf(figure, usual, operations, nodeMajor),
    );
  });
  const names = new Set([...Object.keys(found.codecs), ...Object.keys(codecs)]);
  const worseCodecs = [...names].flatMap((name) =>
    excessIn(name, found.codecs[name] ?? {}, codecUsual(codecs[name] ?? []), (figure, usual) =>
      mostOf(figure, usual, Number.POSITIVE_INFINITY, nodeMajor),
    ),
  );
  return [...worse, ...worseCodecs];
}

/** Exactly what the budgets are: for whoever checks that they are kept. */
export function usualResult(): ChildResult {
  return {
    workloads: Object.fromEntries(columns.map((name, at) => [name, column(measured, at)])),
    codecs: Object.fromEntries(Object.entries(codecs).map(([name, row]) => [name, codecUsual(row)])),
  };
}
