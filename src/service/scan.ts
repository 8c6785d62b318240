/** Scans, a message at a time, and counts. */
import { RingraftError } from '../base/index.js';
import type { ScanItem, ScanOptions } from '../client/index.js';
import { encodePublicAnswer } from '../wire/index.js';
import { type Answer, bytesField, type Form, headersOf, keyAnswer } from './answer.js';
import type { Serving, Work } from './endpoint.js';
import { badRequest, type Fields, quoted } from './fields.js';
import { defined, timeoutOf } from './options.js';

const defaultScanLimit = 100;
export const maxScanLimit = 10_000;
/** A scan asks every node and may look at many keys, a count looks at all of them: they count for as many requests. */
const scanWeight = (limit: number): number => 16 + Math.ceil(limit / 50);
const countWeight = 256;
/** Room in a message for headers and what surrounds the items. */
const surroundingBytes = 1024;

function boundsOf(fields: Fields): ScanOptions {
  const bounds = { prefix: fields.bytes('prefix'), gte: fields.bytes('gte'), lt: fields.bytes('lt') };
  const consistency = fields.string('consistency');
  if (consistency !== undefined && consistency !== 'linearizable' && consistency !== 'one') {
    throw badRequest(`a scan is linearizable or of level one, not ${quoted(consistency)}`);
  }
  const available = fields.boolean('available');
  return defined<ScanOptions>({ ...bounds, consistency, available, timeoutMs: timeoutOf(fields) });
}

/** `after` continues behind a key given before, in the direction of the scan. */
function scanOptions(fields: Fields): ScanOptions & { readonly limit: number } {
  const { gte, lt, ...bounds } = boundsOf(fields);
  const after = fields.bytes('after');
  const reverse = fields.boolean('reverse');
  const keysOnly = fields.boolean('keysOnly');
  const limit = fields.integer('limit', 1) ?? defaultScanLimit;
  if (limit > maxScanLimit) throw badRequest(`a scan gives at most ${maxScanLimit} keys a request, not ${limit}`);
  let low = gte;
  let high = lt;
  if (after !== undefined && reverse === true) {
    if (high === undefined || Buffer.compare(after, high) < 0) high = after;
  } else if (after !== undefined) {
    const next = Buffer.concat([after, Buffer.of(0)]);
    if (low === undefined || Buffer.compare(next, low) > 0) low = next;
  }
  return { ...bounds, ...defined<ScanOptions>({ gte: low, lt: high, reverse, keysOnly }), limit };
}

export function prepareScan(fields: Fields, bucket: string, form: Form): Work {
  const options = scanOptions(fields);
  fields.finish();
  return { weight: scanWeight(options.limit), run: (serving) => scan(serving, bucket, form, options) };
}

/** One item more than asked for is read, to know whether there is more. */
async function scan(
  { client, maxPayloadBytes }: Serving,
  bucket: string,
  form: Form,
  options: ScanOptions & { readonly limit: number },
): Promise<Answer> {
  const { limit } = options;
  const page = new ScanPage(form, maxPayloadBytes - surroundingBytes, options.keysOnly === true);
  let count = 0;
  const level = new ScanLevel();
  for await (const item of client.scan(bucket, { ...options, limit: limit + 1, onLevel: level.note })) {
    if (count === limit) return page.finish(true, level.facts);
    if (!page.add(item)) {
      if (!page.isEmpty) return page.finish(true, level.facts);
      throw new RingraftError('TOO_LARGE', 'an item of the scan does not fit into a message; read it by its key');
    }
    count++;
  }
  return page.finish(false, level.facts);
}

/** The weakest level that anything of the answer was served at. */
class ScanLevel {
  private level: 'linearizable' | 'one' = 'linearizable';

  readonly note = (level: 'linearizable' | 'one'): void => {
    this.level = level;
  };

  get facts(): { readonly consistency: string; readonly stale: boolean } {
    return { consistency: this.level, stale: this.level === 'one' };
  }
}

/** Gathers the items of a scan until a message is full. */
class ScanPage {
  private readonly pieces: Buffer[] = [];
  private bytes = 0;
  private last: Buffer | undefined;

  constructor(
    private readonly form: Form,
    private readonly maxBytes: number,
    private readonly keysOnly: boolean,
  ) {}

  get isEmpty(): boolean {
    return this.pieces.length === 0;
  }

  /** False when the item does not fit any more; there is room for the key to go on from. */
  add(item: ScanItem): boolean {
    const piece = this.encode(item);
    const resumeBytes = 2 * item.key.length;
    if (this.bytes + piece.length + resumeBytes > this.maxBytes) return false;
    this.pieces.push(piece);
    this.bytes += piece.length;
    this.last = item.key;
    return true;
  }

  private encode({ key, value, revision }: ScanItem): Buffer {
    if (this.form === 'protobuf') {
      const item = this.keysOnly ? { key, revision } : { key, value, revision };
      return encodePublicAnswer('KvScanAnswer', { items: [item] });
    }
    const fields = { ...bytesField('key', key), ...(this.keysOnly ? {} : bytesField('value', value)), revision };
    return Buffer.from(`${JSON.stringify(fields)},`);
  }

  /** `more`: ask again with `after` set to the key of `resumeAfter`. */
  finish(more: boolean, level: ScanLevel['facts']): Answer {
    const headers = headersOf(this.form);
    const resumeAfter = more ? this.last : undefined;
    if (this.form === 'protobuf') {
      const rest = encodePublicAnswer('KvScanAnswer', defined({ more, resumeAfter, ...level }));
      return { payload: Buffer.concat([...this.pieces, rest]), headers };
    }
    const resume = resumeAfter === undefined ? {} : bytesField('resumeAfter', resumeAfter);
    const items = Buffer.concat(this.pieces);
    const list = items.subarray(0, Math.max(0, items.length - 1));
    const rest = Buffer.from(`],${JSON.stringify({ more, ...resume, ...level }).slice(1)}`);
    return { payload: Buffer.concat([Buffer.from('{"items":['), list, rest]), headers };
  }
}

export function prepareCount(fields: Fields, bucket: string, form: Form): Work {
  const options = boundsOf(fields);
  fields.finish();
  const run = async ({ client }: Serving): Promise<Answer> => {
    const level = new ScanLevel();
    const count = await client.count(bucket, { ...options, onLevel: level.note });
    return keyAnswer(form, { count, ...level.facts }, 'count');
  };
  return { weight: countWeight, run };
}
