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
import { codeNumber } from '../wire/index.js';
import type { Outcome } from './types.js';

export type SessionLimits = { readonly maxSessions: number; readonly maxOutcomes: number; readonly idleMs: number };

export const defaultSessionLimits: SessionLimits = { maxSessions: 10_000, maxOutcomes: 4096, idleMs: 3_600_000 };

type Session = { ackedBelow: number; lastUsedMs: number; readonly outcomes: Map<number, Outcome> };

/** One remembered answer, as it is persisted with the entry it came from. */
export type SessionOutcome = { readonly clientId: string; readonly sequence: number; readonly outcome: Outcome };

export const expiredOutcome: Outcome = { code: codeNumber('SESSION_EXPIRED'), revision: 0, found: false };

const clientIdBytes = 8;
const outcomeBytes = 14;
const foundFlag = 1;
const numberFlag = 2;
const numberBytes = 8;
const sizeOf = ({ number }: Outcome): number => outcomeBytes + (number === undefined ? 0 : numberBytes);

export class SessionTable {
  /** Least recently used first. */
  private sessions = new Map<string, Session>();

  constructor(private readonly limits: SessionLimits = defaultSessionLimits) {}

  get size(): number {
    return this.sessions.size;
  }

  /** An entry speaks for this client at session time `nowMs`, which never falls. */
  touch(clientId: string, ackedBelow: number, nowMs: number): void {
    const session = this.sessions.get(clientId) ?? { ackedBelow: 0, lastUsedMs: nowMs, outcomes: new Map() };
    this.sessions.delete(clientId);
    this.sessions.set(clientId, session);
    session.lastUsedMs = nowMs;
    if (ackedBelow > session.ackedBelow) {
      session.ackedBelow = ackedBelow;
      for (const sequence of session.outcomes.keys()) if (sequence < ackedBelow) session.outcomes.delete(sequence);
    }
    this.evict(nowMs);
  }

  private evict(nowMs: number): void {
    for (const [clientId, session] of this.sessions) {
      const isIdle = session.lastUsedMs + this.limits.idleMs < nowMs;
      if (!isIdle && this.sessions.size <= this.limits.maxSessions) return;
      this.sessions.delete(clientId);
    }
  }

  /** The answer this write got before, or SESSION_EXPIRED for a stale copy; undefined: it is new. */
  recall(clientId: string, sequence: number): Outcome | undefined {
    const session = this.sessions.get(clientId);
    if (session === undefined) return undefined;
    if (sequence < session.ackedBelow) return expiredOutcome;
    return session.outcomes.get(sequence);
  }

  remember(clientId: string, sequence: number, outcome: Outcome): void {
    const session = this.sessions.get(clientId);
    if (session === undefined) return;
    session.outcomes.set(sequence, outcome);
    while (session.outcomes.size > this.limits.maxOutcomes) {
      let least = Number.POSITIVE_INFINITY;
      for (const known of session.outcomes.keys()) if (known < least) least = known;
      session.outcomes.delete(least);
      session.ackedBelow = Math.max(session.ackedBelow, least + 1);
    }
  }

  /** count, then per session: client id, ackedBelow:u48, lastUsed:u48, count:u32, outcomes. In order of use. */
  encode(): Buffer {
    let bytes = 4;
    for (const session of this.sessions.values()) {
      bytes += clientIdBytes + 16;
      for (const outcome of session.outcomes.values()) bytes += sizeOf(outcome);
    }
    const encoded = Buffer.alloc(bytes);
    let at = encoded.writeUInt32BE(this.sessions.size, 0);
    for (const [clientId, session] of this.sessions) {
      at += encoded.write(clientId, at, clientIdBytes, 'latin1');
      at = encoded.writeUIntBE(session.ackedBelow, at, 6);
      at = encoded.writeUIntBE(session.lastUsedMs, at, 6);
      at = encoded.writeUInt32BE(session.outcomes.size, at);
      for (const [sequence, outcome] of session.outcomes) at = writeOutcome(encoded, at, sequence, outcome);
    }
    return encoded;
  }

  /** Replaces the table by an encoded one. */
  decode(encoded: Buffer): void {
    this.sessions = new Map();
    const count = encoded.readUInt32BE(0);
    let at = 4;
    for (let i = 0; i < count; i++) {
      const clientId = encoded.toString('latin1', at, at + clientIdBytes);
      const ackedBelow = encoded.readUIntBE(at + 8, 6);
      const lastUsedMs = encoded.readUIntBE(at + 14, 6);
      const outcomes = new Map<number, Outcome>();
      const held = encoded.readUInt32BE(at + 20);
      at += clientIdBytes + 16;
      for (let j = 0; j < held; j++) {
        const outcome = readOutcome(encoded, at);
        outcomes.set(encoded.readUIntBE(at, 6), outcome);
        at += sizeOf(outcome);
      }
      this.sessions.set(clientId, { ackedBelow, lastUsedMs, outcomes });
    }
  }
}

/** sequence:u48 code:u8 flags:u8 revision:u48 [number:f64]; flags: 1 found, 2 a number follows. */
function writeOutcome(bytes: Buffer, at: number, sequence: number, { code, found, revision, number }: Outcome): number {
  bytes.writeUIntBE(sequence, at, 6);
  bytes[at + 6] = code;
  bytes[at + 7] = (found ? foundFlag : 0) | (number === undefined ? 0 : numberFlag);
  const end = bytes.writeUIntBE(revision, at + 8, 6);
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

export type SessionTouch = { readonly clientId: string; readonly ackedBelow: number };

/** What one entry did to the sessions: its session time, the sessions it speaks for, the answers it gave. */
export function encodeEntryOutcomes(
  timeMs: number,
  touched: readonly SessionTouch[],
  outcomes: readonly SessionOutcome[],
): Buffer {
  let size = 6 + 2 + touched.length * (clientIdBytes + 6) + 4;
  for (const { outcome } of outcomes) size += clientIdBytes + sizeOf(outcome);
  const bytes = Buffer.alloc(size);
  let at = bytes.writeUIntBE(timeMs, 0, 6);
  at = bytes.writeUInt16BE(touched.length, at);
  for (const { clientId, ackedBelow } of touched) {
    at += bytes.write(clientId, at, clientIdBytes, 'latin1');
    at = bytes.writeUIntBE(ackedBelow, at, 6);
  }
  at = bytes.writeUInt32BE(outcomes.length, at);
  for (const { clientId, sequence, outcome } of outcomes) {
    at += bytes.write(clientId, at, clientIdBytes, 'latin1');
    at = writeOutcome(bytes, at, sequence, outcome);
  }
  return bytes;
}

/** Does to the table again what the entry did. */
export function replayEntryOutcomes(table: SessionTable, bytes: Buffer): void {
  const timeMs = bytes.readUIntBE(0, 6);
  const touched = bytes.readUInt16BE(6);
  let at = 8;
  for (let i = 0; i < touched; i++, at += clientIdBytes + 6) {
    const clientId = bytes.toString('latin1', at, at + clientIdBytes);
    table.touch(clientId, bytes.readUIntBE(at + clientIdBytes, 6), timeMs);
  }
  const count = bytes.readUInt32BE(at);
  at += 4;
  for (let i = 0; i < count; i++) {
    const clientId = bytes.toString('latin1', at, at + clientIdBytes);
    const from = at + clientIdBytes;
    const outcome = readOutcome(bytes, from);
    table.remember(clientId, bytes.readUIntBE(from, 6), outcome);
    at = from + sizeOf(outcome);
  }
}
