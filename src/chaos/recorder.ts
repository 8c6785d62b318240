/**
 * The history as a file, one JSON object a line: a first line about the run, then operations as they end, faults as they
 * end, violations as they are found. What the disk cannot take yet makes the workers wait, not the memory grow.
 */
import { createWriteStream, type WriteStream } from 'node:fs';
import type { Fault } from './availability.js';
import type { Operation, Violation } from './operation.js';

const bufferBytes = 1 << 20;

export class Recorder {
  readonly totals = { ok: 0, failed: 0, unknown: 0 };
  lines = 0;
  private readonly stream: WriteStream;
  private readonly waiting: (() => void)[] = [];
  private isFull = false;
  private failure: Error | undefined;

  constructor(path: string) {
    this.stream = createWriteStream(path, { highWaterMark: bufferBytes });
    this.stream.on('error', (error) => {
      this.failure = error;
      this.onRoom();
    });
    this.stream.on('drain', () => this.onRoom());
  }

  /** A refused compare-and-swap is an answer: it counts as ok. */
  operation(operation: Operation): void {
    const { kind } = operation.outcome;
    this.totals[kind === 'refused' ? 'ok' : kind]++;
    this.line(operation);
  }

  fault({ kind, description, sides, fromMs, toMs }: Fault): void {
    this.line({ fault: kind, description, sides, from: fromMs, to: Number.isFinite(toMs) ? toMs : null });
  }

  violation({ workload, key, what }: Violation): void {
    this.line({ violation: what, workload, key });
  }

  line(value: object): void {
    this.lines++;
    if (!this.stream.write(`${JSON.stringify(value)}\n`)) this.isFull = this.failure === undefined;
  }

  /** Resolves once more may be written, or nothing can be any more. */
  async ready(): Promise<void> {
    if (!this.isFull) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  /** Rejects when the file could not be written. */
  async close(): Promise<void> {
    if (this.failure === undefined) await new Promise<void>((resolve) => this.stream.end(() => resolve()));
    if (this.failure !== undefined) throw this.failure;
  }

  private onRoom(): void {
    this.isFull = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
