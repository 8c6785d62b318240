/**
 * The compiled messages. The only door to protobufjs; everything else speaks the domain types of src/wire. Messages that
 * every operation passes through are written and read by hand, with `WireWriter` and `WireReader`, to the same bytes.
 */
import protobuf from 'protobufjs/minimal.js';

export { ringraft as messages } from './generated/messages.js';
export * from './wire-reader.js';
export * from './wire-writer.js';

/** For a message's `decode`: keeps what the schema does not know in `$unknowns`, instead of passing over it. */
export function strictReader(payload: Uint8Array): protobuf.Reader {
  const reader = protobuf.Reader.create(payload);
  reader.discardUnknown = false;
  return reader;
}

/** For messages of others, written and read field by field. */
export const { Reader, Writer } = protobuf;

/** Most messages fit; one that does not makes it larger, up to what NATS carries. */
const usualMessageBytes = 64 * 1024;
const mostKeptBytes = 4 * 1024 * 1024;

/**
 * One writer for all messages: a new one each time begins with a few bytes and copies what it has again and again as it
 * grows. Nothing that writes a message comes back here before it has finished.
 */
let kept: protobuf.Writer | undefined;

function newWriter(): protobuf.Writer {
  const writer = protobuf.Writer.create();
  writer.buf = Buffer.allocUnsafeSlow(usualMessageBytes);
  return writer;
}

/** The bytes of what `write` writes, in a buffer of their own. */
export function encoded(write: (writer: protobuf.Writer) => unknown): Buffer {
  const writer = kept ?? newWriter();
  // Whatever is thrown on the way, a writer that was left in the middle is not used again.
  kept = undefined;
  write(writer);
  const bytes = writer.finish() as Buffer;
  writer.pos = 0;
  if (writer.buf.length <= mostKeptBytes) kept = writer;
  return bytes;
}
