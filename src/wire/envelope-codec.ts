/**
 * Envelopes between nodes: consensus messages of many groups in one payload. Entry data are views of the input.
 *
 * Invariant: an envelope ends with the checksum of everything before it. Consensus is proven for messages that are lost, never
 * for messages that say something else than was sent, and a client library has mixed two streams of bytes before.
 */
import { crc32 } from 'node:zlib';
import { type NodeId, RingraftError, type ShardId } from '../base/index.js';
import { lengthFieldBytes, numberFieldBytes, textFieldBytes, WireReader, WireWriter } from '../proto/index.js';
import type { Message } from '../raft/index.js';
import { RaftMessageFields } from './raft-message-fields.js';

export type EnvelopeItem = { readonly shardId: ShardId; readonly message: Message };

export type Envelope = {
  readonly fromNode: NodeId;
  readonly fromIncarnation: number;
  /** 0: the sender does not know it yet. */
  readonly toIncarnation: number;
  readonly items: readonly EnvelopeItem[];
};

/** Field tags and numbers of one message, and of one entry in it; upper bounds. */
const messageOverheadBytes = 96;
const entryOverheadBytes = 24;

/** An upper bound of what an item adds to an envelope. */
export function envelopeItemBytes({ message }: EnvelopeItem): number {
  if (message.type !== 'AppendRequest') return messageOverheadBytes;
  let bytes = messageOverheadBytes;
  for (const entry of message.entries) bytes += entry.data.length + entryOverheadBytes;
  return bytes;
}

export function encodeEnvelope(
  fromNode: NodeId,
  fromIncarnation: number,
  toIncarnation: number,
  items: readonly EnvelopeItem[],
): Buffer {
  let size = textFieldBytes(fromNode) + numberFieldBytes(fromIncarnation) + numberFieldBytes(toIncarnation);
  const fields = new RaftMessageFields();
  const sizes = items.map(({ shardId, message }) => {
    fields.take(shardId, message);
    return fields.size;
  });
  for (const bytes of sizes) size += lengthFieldBytes(bytes);
  const writer = new WireWriter(Buffer.allocUnsafe(size + 1 + checksumBytes));
  writer.textField(10, fromNode);
  writer.numberField(16, fromIncarnation);
  writer.numberField(24, toIncarnation);
  let at = 0;
  for (const { shardId, message } of items) {
    writer.lengthField(34, sizes[at++] as number);
    fields.take(shardId, message);
    fields.write(writer);
  }
  writer.varint(checksumTag);
  writer.fixed32(crc32(writer.written));
  return writer.finish();
}

/** The field's tag and the value, as protobuf writes a `fixed32`. */
const checksumTag = (15 << 3) | 5;
const checksumBytes = 4;

function isWhole(payload: Buffer): boolean {
  const end = payload.length - checksumBytes;
  if (end < 1 || payload[end - 1] !== checksumTag) return false;
  return payload.readUInt32LE(end) === crc32(payload.subarray(0, end));
}

/** Throws BAD_REQUEST for bytes that are no envelope, or a damaged one; skips messages of types it does not know. */
export function decodeEnvelope(payload: Buffer): Envelope {
  if (!isWhole(payload)) throw new RingraftError('BAD_REQUEST', 'not an envelope: the checksum does not match');
  const reader = new WireReader(payload, 'envelope');
  const fields = new RaftMessageFields();
  let fromNode = '' as NodeId;
  let fromIncarnation = 0;
  let toIncarnation = 0;
  const items: EnvelopeItem[] = [];
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 10:
        fromNode = reader.text() as NodeId;
        break;
      case 16:
        fromIncarnation = reader.uint32();
        break;
      case 24:
        toIncarnation = reader.uint32();
        break;
      case 34: {
        const outer = reader.enter();
        fields.read(reader);
        reader.leave(outer);
        const message = fields.message();
        if (message !== undefined) items.push({ shardId: fields.shardId, message });
        break;
      }
      default:
        // The checksum was looked at before.
        reader.skip(tag, 0);
    }
  }
  return { fromNode, fromIncarnation, toIncarnation, items };
}
