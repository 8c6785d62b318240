/**
 * What the entries that gather for one batch of the engine did to a shard's sessions: one record, the entries' parts one
 * after another (docs/data-format.md). Hot: bytes are written as commands are applied, and nothing else is kept.
 *
 *   record = entry*
 *   entry  = session time:u48 count:u16 (client id, ackedBelow:u48)* count:u32 (client id, outcome)*
 *
 * Invariant: bytes that were taken are not written to any more: they are the engine's.
 */
import { emptyBytes } from '../base/index.js';
import { writeU48 } from './keys.js';
import { mostOutcomeBytes, writeOutcome } from './sessions.js';
import type { Outcome } from './types.js';

const clientIdBytes = 8;
const headBytes = 8;
const touchBytes = clientIdBytes + 6;
const countBytes = 4;

export type SessionTouch = { readonly clientId: string; readonly ackedBelow: number };

export class OutcomeRecord {
  private bytes = emptyBytes;
  private end = 0;
  /** Of the entry that is being written. */
  private touchesAt = 0;
  private countAt = 0;
  private count = 0;
  /** The last entry in it. */
  private lastIndex = 0;
  /** What the record before came to: the next one is begun with as much room. */
  private usualBytes = 0;

  /** An entry begins: its session time, the sessions it speaks for, and how many outcomes may follow. */
  begin(timeMs: number, touched: readonly SessionTouch[], mostOutcomes: number): void {
    const headEnd = headBytes + touched.length * touchBytes + countBytes;
    this.makeRoomFor(headEnd + mostOutcomes * (clientIdBytes + mostOutcomeBytes));
    const { bytes } = this;
    let at = bytes.writeUInt16BE(touched.length, writeU48(bytes, timeMs, this.end));
    this.touchesAt = at;
    for (const { clientId, ackedBelow } of touched) {
      at += bytes.write(clientId, at, clientIdBytes, 'latin1');
      at = writeU48(bytes, ackedBelow, at);
    }
    this.countAt = at;
    this.count = 0;
    this.end = at + countBytes;
  }

  /** What a write came to, of the session at this place of those the entry speaks for. */
  add(place: number, sequence: number, outcome: Outcome): void {
    const { bytes } = this;
    const from = this.touchesAt + place * touchBytes;
    for (let at = 0; at < clientIdBytes; at++) bytes[this.end + at] = bytes[from + at] as number;
    this.end = writeOutcome(bytes, this.end + clientIdBytes, sequence, outcome);
    this.count++;
  }

  finish(index: number): void {
    this.bytes.writeUInt32BE(this.count, this.countAt);
    this.lastIndex = index;
  }

  private makeRoomFor(more: number): void {
    if (this.end + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.usualBytes, 2 * this.bytes.length, this.end + more));
    this.bytes.copy(larger, 0, 0, this.end);
    this.bytes = larger;
  }

  /** The record, with the index of its last entry; undefined when no entry was written. It is empty afterwards. */
  take(): { readonly index: number; readonly bytes: Buffer } | undefined {
    if (this.end === 0) return undefined;
    const taken = { index: this.lastIndex, bytes: this.bytes.subarray(0, this.end) };
    this.usualBytes = this.end;
    this.clear();
    return taken;
  }

  clear(): void {
    this.bytes = emptyBytes;
    this.end = 0;
  }
}
