/** The part of `level-rocksdb` we use; it ships no types. */
declare module 'level-rocksdb' {
  type Callback<T> = (error: (Error & { code?: string; cause?: Error }) | null | undefined, result: T) => void;

  /** What the layer above calls, which allows one write a batch; the binding under it does not mind. */
  export type RocksChainedBatch = {
    _put(key: Buffer, value: Buffer): void;
    _del(key: Buffer): void;
    _clear(): void;
    _write(options: { sync: boolean }, callback: (error?: Error | null) => void): void;
  };

  export type RocksIterator = {
    /** What was read ahead, from the back: key, value, key, value... A conformance test needs it to be there. */
    readonly cache: Buffer[] | null;
    /** Nothing follows what was read ahead. */
    readonly finished: boolean;
    next(callback: (error: Error | null | undefined, key?: Buffer, value?: Buffer) => void): void;
    end(callback: (error?: Error | null) => void): void;
  };

  export type RocksLevel = {
    open(callback: (error?: (Error & { cause?: Error }) | null) => void): void;
    close(callback: (error?: Error | null) => void): void;
    /** encoding-down, and under it the binding. */
    readonly db: { readonly db: RocksBinding };
  };

  /** Keys and values are what they are: Buffers go in, Buffers come out. */
  export type RocksBinding = {
    getMany(keys: Buffer[], callback: Callback<(Buffer | undefined)[]>): void;
    batch(): RocksChainedBatch;
    iterator(options: {
      gte: Buffer;
      lt: Buffer;
      reverse?: boolean;
      keys?: boolean;
      values?: boolean;
      keyAsBuffer: boolean;
      valueAsBuffer: boolean;
      highWaterMark?: number;
    }): RocksIterator;
    compactRange(start: Buffer, end: Buffer, callback: (error?: Error | null) => void): void;
    approximateSize(start: Buffer, end: Buffer, callback: Callback<number>): void;
  };

  export default function levelRocksdb(
    location: string,
    options: {
      keyEncoding: 'binary';
      valueEncoding: 'binary';
      cacheSize?: number;
      writeBufferSize?: number;
      compression?: boolean;
    },
    callback: (error?: (Error & { cause?: Error }) | null, db?: RocksLevel) => void,
  ): RocksLevel;
}
