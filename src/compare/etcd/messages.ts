/**
 * The few messages of etcd's v3 API that are needed, by field number (etcd's rpc.proto and kv.proto). Whatever else an
 * answer holds is passed over.
 */
import { Reader, Writer } from '../../proto/index.js';

export const methods = {
  range: '/etcdserverpb.KV/Range',
  put: '/etcdserverpb.KV/Put',
  txn: '/etcdserverpb.KV/Txn',
  status: '/etcdserverpb.Maintenance/Status',
} as const;

/** Tag of a field whose value has a length, and of one that is a number. */
const bytesField = (number: number): number => (number << 3) | 2;
const numberField = (number: number): number => number << 3;

export type RangeRequest = {
  readonly key: string;
  /** First key that is not read any more; undefined: the one key. */
  readonly end?: string;
  readonly limit?: number;
  /** From the member that is asked, without asking the others. */
  readonly serializable?: boolean;
};

function rangeTo(writer: InstanceType<typeof Writer>, request: RangeRequest): InstanceType<typeof Writer> {
  writer.uint32(bytesField(1)).string(request.key);
  if (request.end !== undefined) writer.uint32(bytesField(2)).string(request.end);
  if (request.limit !== undefined) writer.uint32(numberField(3)).int64(request.limit);
  if (request.serializable === true) writer.uint32(numberField(7)).bool(true);
  return writer;
}

const putTo = (writer: InstanceType<typeof Writer>, key: string, value: Uint8Array): InstanceType<typeof Writer> =>
  writer.uint32(bytesField(1)).string(key).uint32(bytesField(2)).bytes(value);

export const encodeRange = (request: RangeRequest): Uint8Array => rangeTo(Writer.create(), request).finish();

export const encodePut = (key: string, value: Uint8Array): Uint8Array => putTo(Writer.create(), key, value).finish();

/** A transaction without conditions: `success` (2) holds the operations, each a range (1) or a put (2). */
export function encodePuts(keys: readonly string[], value: Uint8Array): Uint8Array {
  const writer = Writer.create();
  for (const key of keys) {
    writer.uint32(bytesField(2)).fork();
    putTo(writer.uint32(bytesField(2)).fork(), key, value)
      .ldelim()
      .ldelim();
  }
  return writer.finish();
}

export function encodeRanges(keys: readonly string[]): Uint8Array {
  const writer = Writer.create();
  for (const key of keys) {
    writer.uint32(bytesField(2)).fork();
    rangeTo(writer.uint32(bytesField(1)).fork(), { key })
      .ldelim()
      .ldelim();
  }
  return writer.finish();
}

/** Calls `field` with the number of each field; what it does not read is skipped. */
function eachField(bytes: Uint8Array, field: (number: number, reader: InstanceType<typeof Reader>) => boolean): void {
  const reader = Reader.create(bytes);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!field(tag >>> 3, reader)) reader.skipType(tag & 7);
  }
}

/** The values of a RangeResponse: `kvs` (2), each with `value` (5). */
export function decodeRange(bytes: Uint8Array): readonly Uint8Array[] {
  const values: Uint8Array[] = [];
  eachField(bytes, (number, reader) => {
    if (number !== 2) return false;
    values.push(storedValue(reader.bytes()));
    return true;
  });
  return values;
}

function storedValue(keyValue: Uint8Array): Uint8Array {
  // An empty value is not written.
  let value: Uint8Array = new Uint8Array(0);
  eachField(keyValue, (number, reader) => {
    if (number !== 5) return false;
    value = reader.bytes();
    return true;
  });
  return value;
}

/** Of a TxnResponse of ranges: how many of them found their key. `responses` (3), each with a range (1). */
export function decodeFoundRanges(bytes: Uint8Array): number {
  let found = 0;
  eachField(bytes, (number, reader) => {
    if (number !== 3) return false;
    eachField(reader.bytes(), (kind, inner) => {
      if (kind !== 1) return false;
      found += decodeRange(inner.bytes()).length;
      return true;
    });
    return true;
  });
  return found;
}

/** Whether the member that answered a StatusRequest leads: `header.member_id` (1.2) is `leader` (4). */
export function decodeIsLeader(bytes: Uint8Array): boolean {
  let member = -1;
  let leader = -2;
  eachField(bytes, (number, reader) => {
    if (number === 4) {
      leader = Number(reader.uint64());
      return true;
    }
    if (number !== 1) return false;
    eachField(reader.bytes(), (of, header) => {
      if (of !== 2) return false;
      member = Number(header.uint64());
      return true;
    });
    return true;
  });
  return member === leader;
}
