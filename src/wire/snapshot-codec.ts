/**
 * A snapshot's metadata inside a consensus message, as protobuf's `RaftSnapshot`. A message that has it twice has the
 * two merged: numbers of the later one, lists of both.
 */
import type { ReplicaId } from '../base/index.js';
import {
  lengthFieldBytes,
  numberFieldBytes,
  packedFieldBytes,
  type WireReader,
  type WireWriter,
} from '../proto/index.js';
import type { Configuration, SnapshotMetadata } from '../raft/index.js';

export type ReadSnapshot = {
  index: number;
  term: number;
  readonly configuration: { readonly [List in MemberList]: ReplicaId[] };
};
type MemberList = 'voters' | 'outgoing' | 'learners' | 'learnersNext';

export const blankSnapshot = (): ReadSnapshot => ({
  index: 0,
  term: 0,
  configuration: { voters: [], outgoing: [], learners: [], learnersNext: [] },
});

const configurationBytes = ({ voters, outgoing, learners, learnersNext }: Configuration): number =>
  packedFieldBytes(voters) + packedFieldBytes(outgoing) + packedFieldBytes(learners) + packedFieldBytes(learnersNext);

export const snapshotBytes = ({ index, term, configuration }: SnapshotMetadata): number =>
  numberFieldBytes(index) + numberFieldBytes(term) + lengthFieldBytes(configurationBytes(configuration));

export function writeSnapshot(writer: WireWriter, { index, term, configuration }: SnapshotMetadata): void {
  writer.numberField(8, index);
  writer.numberField(16, term);
  writer.lengthField(26, configurationBytes(configuration));
  writer.packedField(10, configuration.voters);
  writer.packedField(18, configuration.outgoing);
  writer.packedField(26, configuration.learners);
  writer.packedField(34, configuration.learnersNext);
}

export function readSnapshot(reader: WireReader, snapshot: ReadSnapshot): void {
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
        snapshot.index = reader.uint64();
        break;
      case 16:
        snapshot.term = reader.uint64();
        break;
      case 26: {
        const outer = reader.enter();
        readConfiguration(reader, snapshot.configuration);
        reader.leave(outer);
        break;
      }
      default:
        reader.skip(tag, 2);
    }
  }
}

function readConfiguration(reader: WireReader, configuration: ReadSnapshot['configuration']): void {
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
      case 10:
        reader.uint32s(tag, configuration.voters);
        break;
      case 16:
      case 18:
        reader.uint32s(tag, configuration.outgoing);
        break;
      case 24:
      case 26:
        reader.uint32s(tag, configuration.learners);
        break;
      case 32:
      case 34:
        reader.uint32s(tag, configuration.learnersNext);
        break;
      default:
        reader.skip(tag, 3);
    }
  }
}
