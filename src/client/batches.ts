/** Several operations on keys of one bucket, each with an outcome of its own. */
import type { BucketId } from '../base/index.js';
import { ringHash } from '../ring/index.js';
import type { Bus } from '../transport/index.js';
import type { Operation, OperationResult } from '../wire/index.js';
import { type BucketNames, isGone } from './bucket-names.js';
import { checkSize } from './operation-builder.js';
import type { OperationPipeline } from './operation-pipeline.js';
import { isWriteKind, type OutcomeSink, type PendingOperation } from './pending-operation.js';
import { isPlain, type Reads } from './reads.js';
import { BatchSink } from './sinks.js';
import type { ReadOptions, Settled, WriteOptions } from './types.js';

export type BatchesParts = {
  readonly bus: Bus;
  readonly buckets: BucketNames;
  readonly pipeline: OperationPipeline;
  readonly reads: Reads;
  readonly timeoutMs: number;
  readonly checkOpen: () => void;
  readonly pending: (
    operation: Operation,
    timeoutMs: number | undefined,
    sink: OutcomeSink,
    index: number,
  ) => PendingOperation;
};

export class Batches {
  constructor(private readonly parts: BatchesParts) {}

  /** Resolves with an outcome for every one of `count` operations, in their order; never rejects for one of them. */
  async run<T>(
    bucket: string,
    count: number,
    optionsOf: (at: number) => ReadOptions | WriteOptions,
    build: (bucketId: BucketId, at: number) => Operation,
    convert: (result: OperationResult, at: number) => T,
  ): Promise<Settled<T>[]> {
    this.parts.checkOpen();
    const bucketId = await this.parts.buckets.find(bucket);
    const settled = await this.manyIn(bucketId, count, optionsOf, build, convert);
    if (!settled.some((one) => !one.ok && isGone(one.error))) return settled;
    const next = await this.parts.buckets.after(bucket, bucketId);
    if (next === undefined) return settled;
    const places = [...settled.keys()].filter((at) => isGone((settled[at] as { readonly error?: unknown }).error));
    const placeOf = (at: number): number => places[at] as number;
    const again = await this.manyIn(
      next,
      places.length,
      (at) => optionsOf(placeOf(at)),
      (id, at) => build(id, placeOf(at)),
      (result, at) => convert(result, placeOf(at)),
    );
    places.forEach((place, at) => {
      settled[place] = again[at] as Settled<T>;
    });
    return settled;
  }

  private async manyIn<T>(
    bucketId: BucketId,
    count: number,
    optionsOf: (at: number) => ReadOptions | WriteOptions,
    build: (bucketId: BucketId, at: number) => Operation,
    convert: (result: OperationResult, at: number) => T,
  ): Promise<Settled<T>[]> {
    this.parts.checkOpen();
    if (count === 0) return [];
    const { bus, pipeline, reads, pending, timeoutMs } = this.parts;
    return new Promise((resolve) => {
      const sink = new BatchSink<T>(count, convert, resolve);
      pipeline.submitLazily(count, (at) => {
        try {
          const operation = build(bucketId, at);
          checkSize(operation, bus.maxPayloadBytes);
          const options: ReadOptions = optionsOf(at);
          if (isWriteKind(operation.kind) || isPlain(options)) {
            return pending(operation, options.timeoutMs, sink, at);
          }
          reads.read(operation, ringHash(operation.key), options, options.timeoutMs ?? timeoutMs).then(
            (result) => sink.succeedAt(at, result),
            (error: Error) => sink.failAt(at, error),
          );
          return undefined;
        } catch (error) {
          sink.failAt(at, error instanceof Error ? error : new Error(String(error)));
          return undefined;
        }
      });
    });
  }
}
