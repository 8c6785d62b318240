/** LevelDB under the engine port, for machines without a RocksDB binding. The only file that imports `classic-level`. */
import { ClassicLevel } from 'classic-level';
import { asBuffer, messageOf, RingraftError } from '../base/index.js';
import type { Engine, EngineBatch, EngineCallback, EngineIterator, EnginePair, EngineRange } from './engine.js';

type Level = ClassicLevel<Buffer, Buffer>;
type ChainedBatch = ReturnType<Level['batch']>;
type LevelIterator = ReturnType<Level['iterator']>;

const blockCacheBytes = 32 * 1024 * 1024;
const writeBufferBytes = 16 * 1024 * 1024;

class ClassicBatch implements EngineBatch {
  size = 0;

  constructor(private readonly batch: ChainedBatch) {}

  put(key: Buffer, value: Buffer): void {
    this.batch.put(key, value);
    this.size++;
  }

  delete(key: Buffer): void {
    this.batch.del(key);
    this.size++;
  }

  write(sync: boolean, callback: (error: Error | undefined) => void): void {
    this.batch.write({ sync }).then(
      () => callback(undefined),
      (error: Error) => callback(error),
    );
  }
}

class ClassicIterator implements EngineIterator {
  constructor(
    private readonly iterator: LevelIterator,
    private readonly keysOnly: boolean,
  ) {}

  next(count: number, callback: EngineCallback<readonly EnginePair[]>): void {
    this.iterator.nextv(count).then(
      (pairs) =>
        callback(
          undefined,
          (pairs as [Buffer, Buffer][]).map(
            ([key, value]) => [asBuffer(key), this.keysOnly ? Buffer.alloc(0) : asBuffer(value)] as const,
          ),
        ),
      (error: Error) => callback(error, []),
    );
  }

  close(callback: () => void = () => {}): void {
    this.iterator.close().then(callback, callback);
  }
}

class ClassicEngine implements Engine {
  readonly name = 'classic-level';
  private readonly level: Level;

  constructor(private readonly path: string) {
    this.level = new ClassicLevel(path, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      cacheSize: blockCacheBytes,
      writeBufferSize: writeBufferBytes,
    });
    // Opened by `open` alone: the library would do so by itself on the next turn.
    this.level.on('error', () => {});
  }

  async open(): Promise<void> {
    try {
      await this.level.open();
    } catch (error) {
      const cause = (error as { cause?: { code?: string } }).cause;
      if (cause?.code === 'LEVEL_LOCKED') {
        throw new RingraftError('LOCKED', `${this.path} is in use by another process`, { cause: error });
      }
      throw new RingraftError('CORRUPT', `${this.path} cannot be opened: ${messageOf(cause ?? error)}`, {
        cause: error,
      });
    }
  }

  close(): Promise<void> {
    return this.level.close();
  }

  getMany(keys: readonly Buffer[], callback: EngineCallback<readonly (Buffer | undefined)[]>): void {
    this.level.getMany([...keys]).then(
      (values) =>
        callback(
          undefined,
          values.map((value) => (value === undefined ? undefined : asBuffer(value))),
        ),
      (error: Error) => callback(error, []),
    );
  }

  batch(): EngineBatch {
    return new ClassicBatch(this.level.batch());
  }

  iterate({ gte, lt, reverse = false, keysOnly = false }: EngineRange): EngineIterator {
    const iterator = this.level.iterator({ gte, lt, reverse, keys: true, values: true });
    return new ClassicIterator(iterator, keysOnly);
  }

  compactRange(gte: Buffer, lt: Buffer): Promise<void> {
    return this.level.compactRange(gte, lt, { keyEncoding: 'buffer' });
  }

  approximateBytes(gte: Buffer, lt: Buffer): Promise<number | undefined> {
    return this.level.approximateSize(gte, lt, { keyEncoding: 'buffer' });
  }
}

/** One LevelDB database in this directory. `open` rejects with LOCKED when another process has it. */
export const classicEngine = (path: string): Engine => new ClassicEngine(path);
