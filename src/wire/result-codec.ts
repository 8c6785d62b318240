/**
 * Batches of results, from nodes to smart clients, as protobuf (src/proto/kv.proto). Bytes are views of the input; every
 * field is present. `decodeResultBatch` throws BAD_REQUEST for bytes that are no such message.
 */
import { emptyBytes } from '../base/index.js';
import {
  bytesFieldBytes,
  doubleFieldBytes,
  flagFieldBytes,
  lengthFieldBytes,
  numberFieldBytes,
  packedFieldBytes,
  textFieldBytes,
  WireReader,
  WireWriter,
} from '../proto/index.js';
import type { ConsistencyLevel, OperationResult, ReplicaFacts, ResultBatch } from './operations.js';

const factsBytes = ({ replicaId, touchedIndex, voters, outgoing }: ReplicaFacts): number =>
  numberFieldBytes(replicaId) + numberFieldBytes(touchedIndex) + packedFieldBytes(voters) + packedFieldBytes(outgoing);

function writeFacts(writer: WireWriter, facts: ReplicaFacts): void {
  writer.lengthField(122, factsBytes(facts));
  writer.numberField(8, facts.replicaId);
  writer.numberField(16, facts.touchedIndex);
  writer.packedField(26, facts.voters);
  writer.packedField(34, facts.outgoing);
}

const resultBytes = (result: OperationResult): number =>
  numberFieldBytes(result.requestId) +
  numberFieldBytes(result.code) +
  bytesFieldBytes(result.value) +
  numberFieldBytes(result.revision) +
  flagFieldBytes(result.found) +
  flagFieldBytes(result.maybeHappened) +
  numberFieldBytes(result.servedLevel) +
  flagFieldBytes(result.maybeStale) +
  textFieldBytes(result.leaderHint) +
  textFieldBytes(result.message) +
  doubleFieldBytes(result.number) +
  numberFieldBytes(result.expiresAtMs) +
  numberFieldBytes(result.appliedIndex) +
  numberFieldBytes(result.ageMs) +
  (result.replica ? lengthFieldBytes(factsBytes(result.replica)) : 0) +
  // Its tag has two bytes.
  (result.shownIndex ? 1 + numberFieldBytes(result.shownIndex) : 0);

function writeResult(writer: WireWriter, result: OperationResult): void {
  writer.numberField(8, result.requestId);
  writer.numberField(16, result.code);
  writer.bytesField(26, result.value);
  writer.numberField(32, result.revision);
  writer.flagField(40, result.found);
  writer.flagField(48, result.maybeHappened);
  writer.numberField(56, result.servedLevel);
  writer.flagField(64, result.maybeStale);
  writer.textField(74, result.leaderHint);
  writer.textField(82, result.message);
  writer.doubleField(89, result.number);
  writer.numberField(96, result.expiresAtMs);
  writer.numberField(104, result.appliedIndex);
  writer.numberField(112, result.ageMs);
  if (result.replica) writeFacts(writer, result.replica);
  writer.numberField(128, result.shownIndex);
}

export function encodeResultBatch({ results, mapEpoch }: ResultBatch): Buffer {
  let size = numberFieldBytes(mapEpoch);
  const sizes = results.map(resultBytes);
  for (const bytes of sizes) size += lengthFieldBytes(bytes);
  const writer = new WireWriter(Buffer.allocUnsafe(size));
  let at = 0;
  for (const result of results) {
    writer.lengthField(10, sizes[at++] as number);
    writeResult(writer, result);
  }
  writer.numberField(16, mapEpoch);
  return writer.finish();
}

/** What came twice is merged. */
function readFacts(reader: WireReader, before: ReplicaFacts | null): ReplicaFacts {
  let replicaId = before?.replicaId ?? 0;
  let touchedIndex = before?.touchedIndex ?? 0;
  const voters = [...(before?.voters ?? [])];
  const outgoing = [...(before?.outgoing ?? [])];
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
        replicaId = reader.uint32();
        break;
      case 16:
        touchedIndex = reader.uint64();
        break;
      case 24:
      case 26:
        reader.uint32s(tag, voters);
        break;
      case 32:
      case 34:
        reader.uint32s(tag, outgoing);
        break;
      default:
        reader.skip(tag, 2);
    }
  }
  return { replicaId, touchedIndex, voters, outgoing };
}

/** Every field in one literal: all results have one shape. */
export const blankResult = (): OperationResult => ({
  requestId: 0,
  code: 0,
  value: emptyBytes,
  revision: 0,
  found: false,
  maybeHappened: false,
  servedLevel: 0,
  maybeStale: false,
  leaderHint: '',
  message: '',
  number: 0,
  expiresAtMs: 0,
  appliedIndex: 0,
  ageMs: 0,
  replica: null,
  shownIndex: 0,
});

function readResult(reader: WireReader): OperationResult {
  const result = blankResult();
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
        result.requestId = reader.uint32();
        break;
      case 16:
        result.code = reader.uint32();
        break;
      case 26:
        result.value = reader.view();
        break;
      case 32:
        result.revision = reader.uint64();
        break;
      case 40:
        result.found = reader.flag();
        break;
      case 48:
        result.maybeHappened = reader.flag();
        break;
      case 56:
        result.servedLevel = reader.int32() as ConsistencyLevel;
        break;
      case 64:
        result.maybeStale = reader.flag();
        break;
      case 74:
        result.leaderHint = reader.text();
        break;
      case 82:
        result.message = reader.text();
        break;
      case 89:
        result.number = reader.double();
        break;
      case 96:
        result.expiresAtMs = reader.uint64();
        break;
      case 104:
        result.appliedIndex = reader.uint64();
        break;
      case 112:
        result.ageMs = reader.uint64();
        break;
      case 122: {
        const outer = reader.enter();
        result.replica = readFacts(reader, result.replica);
        reader.leave(outer);
        break;
      }
      case 128:
        result.shownIndex = reader.uint64();
        break;
      default:
        reader.skip(tag, 1);
    }
  }
  return result;
}

export function decodeResultBatch(payload: Buffer): ResultBatch {
  const reader = new WireReader(payload, 'batch of results');
  const batch: ResultBatch = { results: [], mapEpoch: 0 };
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 10: {
        const outer = reader.enter();
        batch.results.push(readResult(reader));
        reader.leave(outer);
        break;
      }
      case 16:
        batch.mapEpoch = reader.uint64();
        break;
      default:
        reader.skip(tag, 0);
    }
  }
  return batch;
}
