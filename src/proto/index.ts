/** The compiled messages. The only door to protobufjs; everything else speaks the domain types of src/wire. */
import protobuf from 'protobufjs/minimal.js';

export { ringraft as messages } from './generated/messages.js';

/** For a message's `decode`: keeps what the schema does not know in `$unknowns`, instead of passing over it. */
export function strictReader(payload: Uint8Array): protobuf.Reader {
  const reader = protobuf.Reader.create(payload);
  reader.discardUnknown = false;
  return reader;
}

/** For messages of others, written and read field by field. */
export const { Reader, Writer } = protobuf;
