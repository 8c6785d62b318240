/** The record of a run read back: to judge it anew, or to draw other pictures of it. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { messageOf, RingraftError } from '../base/index.js';
import type { Fault, FaultFacts } from './availability.js';
import type { Operation } from './operation.js';

export type RecordedHistory = {
  readonly seed: number;
  readonly hosts: readonly string[];
  readonly shards: readonly number[];
  readonly operations: readonly Operation[];
  readonly faults: readonly Fault[];
};

type FaultLine = Omit<FaultFacts, 'kind'> & {
  readonly fault: string;
  readonly from: number;
  readonly to: number | null;
};

/** Rejects with BAD_REQUEST, naming the line, where it is no JSON object or the first one is missing. */
export async function readHistoryFile(path: string): Promise<RecordedHistory> {
  const operations: Operation[] = [];
  const faults: Fault[] = [];
  let head: Pick<RecordedHistory, 'seed' | 'hosts' | 'shards'> | undefined;
  let number = 0;
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    number++;
    const line = parsed(text, number);
    if ('run' in line) head = line as unknown as RecordedHistory;
    else if ('fault' in line) faults.push(faultOf(line as FaultLine));
    else if ('workload' in line && 'call' in line) operations.push(line as unknown as Operation);
  }
  if (head === undefined) throw new RingraftError('BAD_REQUEST', `${path} does not begin with the line of a run`);
  const { seed, hosts, shards } = head;
  return { seed, hosts, shards, operations, faults };
}

function parsed(text: string, number: number): object {
  try {
    const line: unknown = JSON.parse(text);
    if (typeof line === 'object' && line !== null) return line;
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', `line ${number} is not JSON: ${messageOf(cause)}`, { cause });
  }
  throw new RingraftError('BAD_REQUEST', `line ${number} is not an object`);
}

const faultOf = ({ fault: kind, description, sides, from, to }: FaultLine): Fault => ({
  kind,
  description,
  sides,
  fromMs: from,
  toMs: to ?? Number.POSITIVE_INFINITY,
});
