/**
 * Several operations on keys of one bucket in one request, and as many outcomes in one answer.
 *
 * Invariants:
 * 1. The outcome of a write is never lost for want of room: every outcome has room for its short form from the start, and
 *    a batch that could not have is refused before anything is done.
 * 2. Values are read no faster than they find room: a small request cannot make a node gather gigabytes.
 */
import { isRingraftError, RingraftError } from '../base/index.js';
import type { BatchOperation, BatchResult, Settled } from '../client/index.js';
import { encodePublicAnswer } from '../wire/index.js';
import { type Answer, type AnswerFields, errorFields, type Form, headersOf, jsonFields } from './answer.js';
import type { Serving, Work } from './endpoint.js';
import { badRequest, type Fields, quoted } from './fields.js';
import { type KeyOperation, operationNames, operations } from './operations.js';
import { defined, timeoutOf } from './options.js';

export const maxBatchOperations = 1000;
/** Any outcome without its key, its value and its error's message. */
const shortFormBytes = 256;
const surroundingBytes = 1024;
/** Gets that run at once with everything else; each further round is twice as large. */
const firstRoundGets = 64;

type Item = { readonly operation: KeyOperation; readonly asked: BatchOperation };
type Outcome = AnswerFields | RingraftError;

const noRoom = new RingraftError('TOO_LARGE', 'no room is left in the answer; ask for it alone');

function parseItem(open: () => Fields, timeoutMs: number | undefined): Item | RingraftError {
  try {
    const fields = open();
    const name = fields.string('op');
    const known = operationNames.find((each) => each === name);
    if (name === undefined) throw badRequest(`${fields.nameOf('op')} is missing`);
    if (known === undefined) throw badRequest(`unknown op ${quoted(name)}; there are ${operationNames.join(', ')}`);
    const asked = operations[known].parse(fields);
    fields.finish();
    const options = { ...defined({ timeoutMs }), ...asked.options };
    return { operation: operations[known], asked: { ...asked, options } as BatchOperation };
  } catch (error) {
    if (!isRingraftError(error)) throw error;
    return error;
  }
}

/** In one message they cost a node a good deal less than alone. */
const operationsPerRequest = 4;

export function prepareBatch(fields: Fields, bucket: string, form: Form): Work {
  const timeoutMs = timeoutOf(fields);
  const opens = fields.list('ops');
  fields.finish();
  if (opens === undefined) throw badRequest(`${fields.nameOf('ops')} is missing`);
  if (opens.length > maxBatchOperations) {
    throw new RingraftError('TOO_LARGE', `a batch has at most ${maxBatchOperations} operations, not ${opens.length}`);
  }
  const items = opens.map((open) => parseItem(open, timeoutMs));
  const weight = Math.max(1, Math.ceil(items.length / operationsPerRequest));
  return { weight, run: (serving) => new BatchRun(serving, bucket, form, items).run() };
}

class BatchRun {
  private readonly pieces: Buffer[] = [];
  private room: number;
  private isFull = false;

  constructor(
    private readonly serving: Serving,
    private readonly bucket: string,
    private readonly form: Form,
    private readonly items: readonly (Item | RingraftError)[],
  ) {
    this.room = serving.maxPayloadBytes - surroundingBytes - items.length * shortFormBytes;
    if (this.room < 0) {
      const most = Math.floor((serving.maxPayloadBytes - surroundingBytes) / shortFormBytes);
      throw new RingraftError('TOO_LARGE', `an answer has room for ${most} operations, not ${items.length}`);
    }
  }

  async run(): Promise<Answer> {
    const first: number[] = [];
    const later: number[] = [];
    let gets = 0;
    for (const [at, item] of this.items.entries()) {
      if (isRingraftError(item)) this.settle(at, item);
      else if (item.asked.op === 'get' && ++gets > firstRoundGets) later.push(at);
      else first.push(at);
    }
    this.settleAll(first, await this.ask(first));
    for (let begin = 0, size = 2 * firstRoundGets; begin < later.length; begin += size, size *= 2) {
      await this.readOn(later.slice(begin, begin + size));
    }
    return this.answer();
  }

  private ask(places: readonly number[]): Promise<Settled<BatchResult>[]> {
    const { client } = this.serving;
    const asked = places.map((at) => (this.items[at] as Item).asked);
    return client.batch(this.bucket, asked);
  }

  /** A round that fails as a whole must not take the outcomes of writes with it. */
  private async readOn(places: readonly number[]): Promise<void> {
    const skipped = this.isFull ? noRoom : undefined;
    const results = skipped ?? (await this.ask(places).catch((error: unknown) => error));
    if (Array.isArray(results)) this.settleAll(places, results);
    else if (isRingraftError(results)) for (const at of places) this.settle(at, results);
    else throw results;
  }

  private settleAll(places: readonly number[], results: readonly Settled<BatchResult>[]): void {
    for (const [index, at] of places.entries())
      this.settle(at, this.outcome(at, results[index] as Settled<BatchResult>));
  }

  private outcome(at: number, settled: Settled<BatchResult>): Outcome {
    try {
      if (!settled.ok) throw settled.error;
      const { operation, asked } = this.items[at] as Item;
      const shown = operation.show(settled.result, this.serving.clock.wallMs());
      return { key: asked.key as Buffer, ...shown };
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      return error;
    }
  }

  private settle(at: number, outcome: Outcome): void {
    const whole = this.encode(outcome);
    const more = Math.max(0, whole.length - shortFormBytes);
    if (more <= this.room) {
      this.room -= more;
      this.pieces[at] = whole;
    } else {
      this.isFull ||= !isRingraftError(outcome) && outcome.value !== undefined;
      this.pieces[at] = this.encode(outcome, true);
    }
  }

  private encode(outcome: Outcome, isShort = false): Buffer {
    let fields: object;
    if (isRingraftError(outcome)) {
      const error = errorFields(outcome);
      fields = { error: isShort ? { ...error, message: '' } : error };
    } else if (isShort && outcome.value !== undefined) {
      fields = { error: errorFields(noRoom) };
    } else {
      const { key: _, ...rest } = outcome;
      const shown = isShort ? rest : outcome;
      fields = this.form === 'protobuf' ? shown : jsonFields(shown);
    }
    // Encoded messages that stand one behind the other are one message, with the results of both.
    if (this.form === 'protobuf') return encodePublicAnswer('KvBatchAnswer', { results: [fields] });
    return Buffer.from(`${JSON.stringify(fields)},`);
  }

  private answer(): Answer {
    const headers = headersOf(this.form);
    if (this.form === 'protobuf') return { payload: Buffer.concat(this.pieces), headers };
    const results = Buffer.concat(this.pieces);
    const list = results.subarray(0, Math.max(0, results.length - 1));
    return { payload: Buffer.concat([Buffer.from('{"results":['), list, Buffer.from(']}')]), headers };
  }
}
