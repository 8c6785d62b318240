/**
 * RocksDB under the engine port. The only file that imports `level-rocksdb`, which opens and closes the database; batches, reads
 * and iterators go to the binding under it: the layers between encode keys that are bytes already, one by one.
 */
import { mkdir } from 'node:fs/promises';
import levelRocksdb, {
  type RocksBinding,
  type RocksChainedBatch,
  type RocksIterator,
  type RocksLevel,
} from 'level-rocksdb';
import { assert, emptyBytes, messageOf, RingraftError } from '../base/index.js';
import type { Engine, EngineBatch, EngineCallback, EngineIterator, EnginePair, EngineRange } from './engine.js';

const blockCacheBytes = 8 * 1024 * 1024;
const writeBufferBytes = 16 * 1024 * 1024;

/** A batch that took more gives its memory back when it is collected. */
const mostKeptBytes = 2 * 1024 * 1024;
const mostSpares = 2;

/**
 * What batches are written in. The binding frees one when V8 collects it, and V8 knows nothing of its size: hundreds of megabytes
 * would wait for that. So they are used again, with the memory that they have.
 */
class BatchMemory {
  private readonly spares: RocksChainedBatch[] = [];

  constructor(private readonly db: RocksBinding) {}

  take(): RocksChainedBatch {
    return this.spares.pop() ?? this.db.batch();
  }

  giveBack(batch: RocksChainedBatch, bytes: number): void {
    if (bytes > mostKeptBytes || this.spares.length === mostSpares) return;
    batch._clear();
    this.spares.push(batch);
  }
}

class RocksBatch implements EngineBatch {
  size = 0;
  private bytes = 0;
  private batch: RocksChainedBatch | undefined;

  constructor(private readonly memory: BatchMemory) {
    this.batch = memory.take();
  }

  /** It may be another's once it is written. */
  private get open(): RocksChainedBatch {
    assert(this.batch !== undefined, 'a batch is not used after it was written');
    return this.batch;
  }

  put(key: Buffer, value: Buffer): void {
    assert(key.length > 0, 'a key is not empty');
    this.open._put(key, value);
    this.size++;
    this.bytes += key.length + value.length;
  }

  delete(key: Buffer): void {
    assert(key.length > 0, 'a key is not empty');
    this.open._del(key);
    this.size++;
    this.bytes += key.length;
  }

  write(sync: boolean, callback: (error: Error | undefined) => void): void {
    const batch = this.open;
    this.batch = undefined;
    batch._write({ sync }, (error) => {
      this.memory.giveBack(batch, this.bytes);
      callback(error ?? undefined);
    });
  }
}

class RocksRangeIterator implements EngineIterator {
  constructor(
    private readonly iterator: RocksIterator,
    private readonly keysOnly: boolean,
  ) {}

  next(count: number, callback: EngineCallback<readonly EnginePair[]>): void {
    const pairs: EnginePair[] = [];
    const step = (): void => {
      this.iterator.next((error, key, value) => {
        if (error) return callback(error, pairs);
        if (key === undefined) return callback(undefined, pairs);
        this.add(pairs, key, value);
        this.takeReadAhead(pairs, count);
        // The first that is read comes alone.
        if (pairs.length > 1 || count === 1 || this.iterator.finished) callback(undefined, pairs);
        else step();
      });
    };
    step();
  }

  /** What is in memory already; asked for one by one, each would take a turn of its own. */
  private takeReadAhead(pairs: EnginePair[], count: number): void {
    const { cache } = this.iterator;
    while (cache !== null && cache.length > 0 && pairs.length < count) {
      const key = cache.pop() as Buffer;
      this.add(pairs, key, cache.pop());
    }
  }

  private add(pairs: EnginePair[], key: Buffer, value: Buffer | undefined): void {
    pairs.push([key, this.keysOnly || value === undefined ? emptyBytes : value]);
  }

  close(callback: () => void = () => {}): void {
    this.iterator.end(() => callback());
  }
}

class RocksEngine implements Engine {
  readonly name = 'rocksdb';
  private level: RocksLevel | undefined;
  private batches: BatchMemory | undefined;

  constructor(private readonly path: string) {}

  private get db(): RocksBinding {
    if (this.level === undefined) throw notOpen();
    return this.level.db.db;
  }

  async open(): Promise<void> {
    await mkdir(this.path, { recursive: true });
    this.level = await new Promise((resolve, reject) => {
      levelRocksdb(
        this.path,
        {
          keyEncoding: 'binary',
          valueEncoding: 'binary',
          cacheSize: blockCacheBytes,
          writeBufferSize: writeBufferBytes,
          compression: true,
        },
        (error, db) => {
          if (error || db === undefined) reject(openError(this.path, error));
          else resolve(db);
        },
      );
    });
    this.batches = new BatchMemory(this.db);
  }

  async close(): Promise<void> {
    const { level } = this;
    this.level = undefined;
    this.batches = undefined;
    if (level === undefined) return;
    await new Promise<void>((resolve, reject) => level.close((error) => (error ? reject(error) : resolve())));
  }

  getMany(keys: readonly Buffer[], callback: EngineCallback<readonly (Buffer | undefined)[]>): void {
    this.db.getMany(keys as Buffer[], (error, values) => callback(error ?? undefined, values ?? []));
  }

  batch(): EngineBatch {
    if (this.batches === undefined) throw notOpen();
    return new RocksBatch(this.batches);
  }

  iterate({ gte, lt, reverse = false, keysOnly = false, readAheadBytes }: EngineRange): EngineIterator {
    const options = {
      gte,
      lt,
      reverse,
      values: !keysOnly,
      keyAsBuffer: true,
      valueAsBuffer: true,
      ...(readAheadBytes === undefined ? {} : { highWaterMark: readAheadBytes }),
    };
    return new RocksRangeIterator(this.db.iterator(options), keysOnly);
  }

  compactRange(gte: Buffer, lt: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.db.compactRange(gte, lt, (error) => (error ? reject(error) : resolve()));
    });
  }

  approximateBytes(gte: Buffer, lt: Buffer): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      this.db.approximateSize(gte, lt, (error, bytes) => (error ? reject(error) : resolve(bytes)));
    });
  }
}

const notOpen = (): RingraftError => new RingraftError('CLOSED', 'the engine is not open');

function openError(path: string, error: (Error & { cause?: Error }) | null | undefined): RingraftError {
  const text = `${messageOf(error)} ${messageOf(error?.cause)}`;
  if (/lock/i.test(text)) {
    return new RingraftError('LOCKED', `${path} is in use by another process`, { cause: error });
  }
  return new RingraftError('CORRUPT', `${path} cannot be opened: ${text}`, { cause: error });
}

/** One RocksDB database in this directory. `open` rejects with LOCKED when another process has it. */
export const rocksEngine = (path: string): Engine => new RocksEngine(path);
