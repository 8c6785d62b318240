/** A log entry inside a consensus message, as protobuf's `LogEntry`. Its data are a view of the input. */
import { emptyBytes } from '../base/index.js';
import { bytesFieldBytes, numberFieldBytes, type WireReader, type WireWriter } from '../proto/index.js';
import type { Entry, EntryType } from '../raft/index.js';

export const logEntryBytes = ({ term, type, data }: Entry): number =>
  numberFieldBytes(term) + numberFieldBytes(type) + bytesFieldBytes(data);

export function writeLogEntry(writer: WireWriter, { term, type, data }: Entry): void {
  writer.numberField(8, term);
  writer.numberField(16, type);
  writer.bytesField(26, data);
}

/** Indexes are not sent: whoever reads the message sets it, once it has the index before the first entry. */
export type ReadEntry = { -readonly [Field in keyof Entry]: Entry[Field] };

export function readLogEntry(reader: WireReader): ReadEntry {
  const entry: ReadEntry = { term: 0, index: 0, type: 0, data: emptyBytes };
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
        entry.term = reader.uint64();
        break;
      case 16:
        entry.type = reader.uint32() as EntryType;
        break;
      case 26:
        entry.data = reader.view();
        break;
      default:
        reader.skip(tag, 2);
    }
  }
  return entry;
}
