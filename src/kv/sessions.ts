/**
 * Client sessions: what became of each client's writes, so that a repeated one takes effect once (thesis §6.3).
 *
 * Invariants:
 * 1. Everything here follows from the log alone (its order, its time stamps), so replicas agree. Time here is the shard's
 *    session time, which a leader's wrong clock cannot drive ahead.
 * 2. A sequence below the session's `ackedBelow` is never applied: its client has its answer and will not ask again, so
 *    it is a stale copy of a message.
 * 3. Bounded: sessions by number and idle time, remembered outcomes by number a session. An outcome that must go takes
 *    `ackedBelow` with it: its repetition is refused, never applied again.
 */
import { lowerBound } from '../base/index.js';
import { codeNumber } from '../wire/index.js';
import { writeU48 } from './keys.js';
import type { Outcome } from './types.js';

export type SessionLimits = { readonly maxSessions: number; readonly maxOutcomes: number; readonly idleMs: number };

export const defaultSessionLimits: SessionLimits = { maxSessions: 10_000, maxOutcomes: 4096, idleMs: 3_600_000 };

export const expiredOutcome: Outcome = { code: codeNumber('SESSION_EXPIRED'), revision: 0, found: false };

/** Apart from its caller, which then makes no closure for what it almost always finds at the end. */
const firstFrom = (sequences: readonly number[], sequence: number): number =>
  lowerBound(sequences, (other) => other < sequence);

const clientIdBytes = 8;
const outcomeBytes = 14;
/** Of an outcome with a number. */
export const mostOutcomeBytes = 22;
const foundFlag = 1;
const numberFlag = 2;
const numberBytes = 8;
const sizeOf = ({ number }: Outcome): number => outcomeBytes + (number === undefined ? 0 : numberBytes);

/** What became of one client's writes. Hot: arrays in the order of sequences, which is nearly that of arrival. */
export class Session {
  ackedBelow = 0;
  private readonly sequences: number[] = [];
  private readonly outcomes: Outcome[] = [];

  constructor(
    readonly clientId: string,
    public lastUsedMs: number,
  ) {}

  /** The client has its answers to what is below. */
  acknowledge(ackedBelow: number): void {
    if (ackedBelow <= this.ackedBelow) return;
    this.ackedBelow = ackedBelow;
    this.dropFirst(this.placeOf(ackedBelow));
  }

  /** The answer this write got before, or SESSION_EXPIRED for a stale copy; undefined: it is new. */
  recall(sequence: number): Outcome | undefined {
    if (sequence < this.ackedBelow) return expiredOutcome;
    const at = this.placeOf(sequence);
    return this.sequences[at] === sequence ? this.outcomes[at] : undefined;
  }

  remember(sequence: number, outcome: Outcome, maxOutcomes: number): void {
    const { sequences, outcomes } = this;
    const at = this.placeOf(sequence);
    if (at === sequences.length) {
      sequences.push(sequence);
      outcomes.push(outcome);
    } else {
      const replaced = sequences[at] === sequence ? 1 : 0;
      sequences.splice(at, replaced, sequence);
      outcomes.splice(at, replaced, outcome);
    }
    while (sequences.length > maxOutcomes) {
      this.ackedBelow = Math.max(this.ackedBelow, (sequences[0] as number) + 1);
      this.dropFirst(1);
    }
  }

  /** Where the sequence is, or would be. */
  private placeOf(sequence: number): number {
    const { sequences } = this;
    const last = sequences[sequences.length - 1];
    if (last === undefined || last < sequence) return sequences.length;
    return firstFrom(sequences, sequence);
  }

  private dropFirst(count: number): void {
    if (count === 0) return;
    this.sequences.splice(0, count);
    this.outcomes.splice(0, count);
  }

  get encodedBytes(): number {
    let bytes = clientIdBytes + 16;
    for (const outcome of this.outcomes) bytes += sizeOf(outcome);
    return bytes;
  }

  /** Client id, ackedBelow:u48, lastUsed:u48, count:u32, outcomes. */
  encodeTo(bytes: Buffer, start: number): number {
    let at = start + bytes.write(this.clientId, start, clientIdBytes, 'latin1');
    at = writeU48(bytes, this.ackedBelow, at);
    at = writeU48(bytes, this.lastUsedMs, at);
    at = bytes.writeUInt32BE(this.outcomes.length, at);
    for (const [place, outcome] of this.outcomes.entries()) {
      at = writeOutcome(bytes, at, this.sequences[place] as number, outcome);
    }
    return at;
  }
}

export class SessionTable {
  /** Least recently used first. */
  private sessions = new Map<string, Session>();
  /** The last of them: most entries speak for the client that the one before spoke for. */
  private newest: Session | undefined;
  /** No session is idle for too long before session time passes this. */
  private noneIdleUntilMs = 0;

  constructor(private readonly limits: SessionLimits = defaultSessionLimits) {}

  get size(): number {
    return this.sessions.size;
  }

  find(clientId: string): Session | undefined {
    return this.newest?.clientId === clientId ? this.newest : this.sessions.get(clientId);
  }

  /** An entry speaks for this client at session time `nowMs`, which never falls. */
  touch(clientId: string, ackedBelow: number, nowMs: number): void {
    const session = this.find(clientId) ?? new Session(clientId, nowMs);
    if (session !== this.newest) {
      this.sessions.delete(clientId);
      this.sessions.set(clientId, session);
      this.newest = session;
    }
    session.lastUsedMs = nowMs;
    session.acknowledge(ackedBelow);
    this.evict(nowMs);
  }

  private evict(nowMs: number): void {
    const { maxSessions, idleMs } = this.limits;
    if (nowMs <= this.noneIdleUntilMs && this.sessions.size <= maxSessions) return;
    for (const session of this.sessions.values()) {
      this.noneIdleUntilMs = session.lastUsedMs + idleMs;
      if (nowMs <= this.noneIdleUntilMs && this.sessions.size <= maxSessions) return;
      this.sessions.delete(session.clientId);
      if (session === this.newest) this.newest = undefined;
    }
  }

  /** Of a session that is in the table. */
  remember(session: Session, sequence: number, outcome: Outcome): void {
    session.remember(sequence, outcome, this.limits.maxOutcomes);
  }

  /** count, then the sessions in order of use. */
  encode(): Buffer {
    let bytes = 4;
    for (const session of this.sessions.values()) bytes += session.encodedBytes;
    const encoded = Buffer.allocUnsafe(bytes);
    let at = encoded.writeUInt32BE(this.sessions.size, 0);
    for (const session of this.sessions.values()) at = session.encodeTo(encoded, at);
    return encoded;
  }

  /** Replaces the table by an encoded one. */
  decode(encoded: Buffer): void {
    this.sessions = new Map();
    this.newest = undefined;
    this.noneIdleUntilMs = 0;
    const count = encoded.readUInt32BE(0);
    let at = 4;
    for (let i = 0; i < count; i++) {
      const clientId = encoded.toString('latin1', at, at + clientIdBytes);
      const session = new Session(clientId, encoded.readUIntBE(at + 14, 6));
      session.ackedBelow = encoded.readUIntBE(at + 8, 6);
      const held = encoded.readUInt32BE(at + 20);
      at += clientIdBytes + 16;
      for (let j = 0; j < held; j++) {
        const outcome = readOutcome(encoded, at);
        session.remember(encoded.readUIntBE(at, 6), outcome, held);
        at += sizeOf(outcome);
      }
      this.sessions.set(clientId, session);
    }
  }
}

/** sequence:u48 code:u8 flags:u8 revision:u48 [number:f64]; flags: 1 found, 2 a number follows. Gives where it ends. */
export function writeOutcome(bytes: Buffer, at: number, sequence: number, outcome: Outcome): number {
  const { code, found, revision, number } = outcome;
  writeU48(bytes, sequence, at);
  bytes[at + 6] = code;
  bytes[at + 7] = (found ? foundFlag : 0) | (number === undefined ? 0 : numberFlag);
  const end = writeU48(bytes, revision, at + 8);
  return number === undefined ? end : bytes.writeDoubleBE(number, end);
}

function readOutcome(bytes: Buffer, at: number): Outcome {
  const flags = bytes[at + 7] as number;
  const outcome = {
    code: bytes[at + 6] as number,
    found: (flags & foundFlag) !== 0,
    revision: bytes.readUIntBE(at + 8, 6),
  };
  return (flags & numberFlag) === 0 ? outcome : { ...outcome, number: bytes.readDoubleBE(at + outcomeBytes) };
}

/** Does to the table again what the entries of a record did, one after another (`OutcomeRecord`). */
export function replayOutcomes(table: SessionTable, record: Buffer): void {
  for (let at = 0; at < record.length; ) at = replayEntry(table, record, at);
}

function replayEntry(table: SessionTable, bytes: Buffer, start: number): number {
  const timeMs = bytes.readUIntBE(start, 6);
  const touched = bytes.readUInt16BE(start + 6);
  let at = start + 8;
  for (let i = 0; i < touched; i++, at += clientIdBytes + 6) {
    const clientId = bytes.toString('latin1', at, at + clientIdBytes);
    table.touch(clientId, bytes.readUIntBE(at + clientIdBytes, 6), timeMs);
  }
  const count = bytes.readUInt32BE(at);
  at += 4;
  for (let i = 0; i < count; i++) {
    const session = table.find(bytes.toString('latin1', at, at + clientIdBytes));
    const from = at + clientIdBytes;
    const outcome = readOutcome(bytes, from);
    if (session !== undefined) table.remember(session, bytes.readUIntBE(from, 6), outcome);
    at = from + sizeOf(outcome);
  }
  return at;
}
