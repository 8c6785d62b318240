/** Where outcomes go: one promise for one operation, or one promise for a whole batch of keys. */
import type { RingraftError } from '../base/index.js';
import type { OperationResult } from '../wire/index.js';
import type { OutcomeSink, PendingOperation } from './pending-operation.js';
import type { Settled } from './types.js';

export class SingleSink<T> implements OutcomeSink {
  constructor(
    private readonly convert: (result: OperationResult) => T,
    private readonly resolve: (value: T) => void,
    private readonly reject: (error: RingraftError) => void,
  ) {}

  succeed(_operation: PendingOperation, result: OperationResult): void {
    this.resolve(this.convert(result));
  }

  fail(_operation: PendingOperation, error: RingraftError): void {
    this.reject(error);
  }
}

/** `convert` is told which of the keys it is about. */
export class BatchSink<T> implements OutcomeSink {
  private readonly outcomes: Settled<T>[];
  private remaining: number;

  constructor(
    count: number,
    private readonly convert: (result: OperationResult, index: number) => T,
    private readonly resolve: (outcomes: Settled<T>[]) => void,
  ) {
    this.outcomes = new Array<Settled<T>>(count);
    this.remaining = count;
  }

  succeed(operation: PendingOperation, result: OperationResult): void {
    this.succeedAt(operation.index, result);
  }

  fail(operation: PendingOperation, error: RingraftError): void {
    this.failAt(operation.index, error);
  }

  succeedAt(index: number, result: OperationResult): void {
    this.settle(index, { ok: true, result: this.convert(result, index) });
  }

  /** A key that is wrong in itself and never becomes an operation. */
  failAt(index: number, error: Error): void {
    this.settle(index, { ok: false, error });
  }

  private settle(index: number, outcome: Settled<T>): void {
    this.outcomes[index] = outcome;
    if (--this.remaining === 0) this.resolve(this.outcomes);
  }
}
