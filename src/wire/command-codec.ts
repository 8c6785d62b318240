/**
 * Batches of commands, the data of log entries, as protobuf (src/proto/kv.proto). Bytes are views of the input; every
 * field is present. `decodeCommandBatch` throws BAD_REQUEST for bytes that are no such message.
 */
import { type BucketId, emptyBytes } from '../base/index.js';
import {
  bytesFieldBytes,
  latin1FieldBytes,
  lengthFieldBytes,
  numberFieldBytes,
  WireReader,
  WireWriter,
} from '../proto/index.js';
import type { Command, CommandBatch, CommandKind, ConditionKind, SessionReference } from './operations.js';

const sessionBytes = ({ clientId, ackedBelow }: SessionReference): number =>
  latin1FieldBytes(clientId) + numberFieldBytes(ackedBelow);

const commandBytes = (command: Command): number =>
  numberFieldBytes(command.kind) +
  numberFieldBytes(command.bucketId) +
  bytesFieldBytes(command.key) +
  bytesFieldBytes(command.value) +
  numberFieldBytes(command.condition) +
  numberFieldBytes(command.expectedRevision) +
  bytesFieldBytes(command.expectedValue) +
  numberFieldBytes(command.expiresAtMs) +
  numberFieldBytes(command.session) +
  numberFieldBytes(command.sequence) +
  numberFieldBytes(command.maxValueBytes);

function writeCommand(writer: WireWriter, command: Command): void {
  writer.numberField(8, command.kind);
  writer.numberField(16, command.bucketId);
  writer.bytesField(26, command.key);
  writer.bytesField(34, command.value);
  writer.numberField(40, command.condition);
  writer.numberField(48, command.expectedRevision);
  writer.bytesField(58, command.expectedValue);
  writer.numberField(64, command.expiresAtMs);
  writer.numberField(72, command.session);
  writer.numberField(80, command.sequence);
  writer.numberField(88, command.maxValueBytes);
}

export function encodeCommandBatch({ timeStampMs, sessions, commands }: CommandBatch): Buffer {
  let size = numberFieldBytes(timeStampMs);
  for (const session of sessions) size += lengthFieldBytes(sessionBytes(session));
  const sizes = commands.map(commandBytes);
  for (const bytes of sizes) size += lengthFieldBytes(bytes);
  // It stays in the log for long, and would keep alive all of the 8 KiB that Node shares out among what is made at the time.
  const writer = new WireWriter(Buffer.allocUnsafeSlow(size));
  writer.numberField(8, timeStampMs);
  for (const session of sessions) {
    writer.lengthField(18, sessionBytes(session));
    writer.latin1Field(10, session.clientId);
    writer.numberField(16, session.ackedBelow);
  }
  let at = 0;
  for (const command of commands) {
    writer.lengthField(26, sizes[at++] as number);
    writeCommand(writer, command);
  }
  return writer.finish();
}

function readSession(reader: WireReader): SessionReference {
  const session: SessionReference = { clientId: '', ackedBelow: 0 };
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 10:
        session.clientId = reader.latin1();
        break;
      case 16:
        session.ackedBelow = reader.uint64();
        break;
      default:
        reader.skip(tag, 1);
    }
  }
  return session;
}

/** Every field in one literal: all commands have one shape. */
const blankCommand = (): Command => ({
  kind: 0 as CommandKind,
  bucketId: 0 as BucketId,
  key: emptyBytes,
  value: emptyBytes,
  condition: 0,
  expectedRevision: 0,
  expectedValue: emptyBytes,
  expiresAtMs: 0,
  session: 0,
  sequence: 0,
  maxValueBytes: 0,
});

function readCommand(reader: WireReader): Command {
  const command = blankCommand();
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
        command.kind = reader.int32() as CommandKind;
        break;
      case 16:
        command.bucketId = reader.uint32() as BucketId;
        break;
      case 26:
        command.key = reader.view();
        break;
      case 34:
        command.value = reader.view();
        break;
      case 40:
        command.condition = reader.int32() as ConditionKind;
        break;
      case 48:
        command.expectedRevision = reader.uint64();
        break;
      case 58:
        command.expectedValue = reader.view();
        break;
      case 64:
        command.expiresAtMs = reader.uint64();
        break;
      case 72:
        command.session = reader.uint32();
        break;
      case 80:
        command.sequence = reader.uint64();
        break;
      case 88:
        command.maxValueBytes = reader.uint64();
        break;
      default:
        reader.skip(tag, 1);
    }
  }
  return command;
}

export function decodeCommandBatch(data: Buffer): CommandBatch {
  const reader = new WireReader(data, 'batch of commands');
  // Most have one session, and with many shards one command. What grows from an empty list has room for 17.
  let sessions: SessionReference[] | undefined;
  let commands: Command[] | undefined;
  let timeStampMs = 0;
  while (reader.hasMore) {
    const tag = reader.tag();
    switch (tag) {
      case 8:
        timeStampMs = reader.uint64();
        break;
      case 18: {
        const outer = reader.enter();
        const session = readSession(reader);
        if (sessions === undefined) sessions = [session];
        else sessions.push(session);
        reader.leave(outer);
        break;
      }
      case 26: {
        const outer = reader.enter();
        const command = readCommand(reader);
        if (commands === undefined) commands = [command];
        else commands.push(command);
        reader.leave(outer);
        break;
      }
      default:
        reader.skip(tag, 0);
    }
  }
  return { timeStampMs, sessions: sessions ?? [], commands: commands ?? [] };
}
