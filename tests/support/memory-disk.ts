/**
 * The disk port in memory, where a crash loses exactly what a real machine may lose.
 *
 * Every file has the bytes a reader sees and the bytes that are durable. What the port promises to be durable is so when
 * its callback or promise runs, never before: a crash in between loses it, or leaves a part of it (a torn write).
 */
import type { Disk, DiskFile } from '../../src/wal/index.js';

/** An operation whose effect is not durable yet. */
type Underway = { readonly settle: () => void; readonly tear: (keepBytes: number) => void; dead: boolean };
type Inode = { bytes: Buffer; durable: Buffer };

const failure = (code: string, path: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${code}: ${path}`), { code });

export class MemoryDisk implements Disk {
  /** What a reader sees. */
  private names = new Map<string, Inode>();
  private readonly durableNames = new Map<string, Inode>();
  private readonly underway: Underway[] = [];
  private held: 'none' | 'writes' | 'all' = 'none';
  private generation = 0;
  /** Bytes that may still be allocated. */
  freeBytes = Number.POSITIVE_INFINITY;
  /** The nth durable write from now on fails with EIO (1: the next); 0: none. Those after it go through. */
  failWrite = 0;
  /** Fails the removal, or the renaming, of a path that is there. */
  failRemove: ((path: string) => boolean) | undefined;
  /** How many turns until an operation is durable: a disk may take independent ones in any order. */
  turns: () => number = () => 1;
  readonly counts = { writes: 0, creates: 0, removes: 0 };

  /** From here on nothing, or no write, becomes durable until `release`. */
  hold(what: 'writes' | 'all' = 'all'): void {
    this.held = what;
  }

  release(): void {
    this.held = 'none';
    for (const operation of this.underway.splice(0)) operation.settle();
  }

  /** How many operations wait. */
  get waiting(): number {
    return this.underway.length;
  }

  /**
   * The machine stops. What was not durable is gone, but the first `tornBytes` of a write under way reached the disk.
   * Handles opened before are dead: their callbacks never run.
   */
  crash(tornBytes = 0): void {
    this.generation++;
    for (const operation of this.underway.splice(0)) {
      operation.tear(tornBytes);
      operation.dead = true;
    }
    this.held = 'none';
    this.names = new Map(this.durableNames);
    for (const inode of this.names.values()) inode.bytes = Buffer.from(inode.durable);
  }

  /** Flips one bit of what is durable. */
  flipBit(path: string, bit: number): void {
    const inode = this.inode(path);
    const at = bit >>> 3;
    for (const bytes of [inode.bytes, inode.durable]) bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7));
  }

  /** The durable image: path to bytes. */
  image(): Map<string, Buffer> {
    return new Map([...this.durableNames].map(([path, inode]) => [path, Buffer.from(inode.durable)]));
  }

  static of(image: ReadonlyMap<string, Buffer>): MemoryDisk {
    const disk = new MemoryDisk();
    for (const [path, bytes] of image) {
      const inode: Inode = { bytes: Buffer.from(bytes), durable: Buffer.from(bytes) };
      disk.names.set(path, inode);
      disk.durableNames.set(path, inode);
    }
    return disk;
  }

  private inode(path: string): Inode {
    const inode = this.names.get(path);
    if (inode === undefined) throw failure('ENOENT', path);
    return inode;
  }

  /** Makes an effect durable later: on another turn, or when `release` is called. */
  private later(effect: () => void, done: () => void, tear?: (keepBytes: number) => void): void {
    const isWrite = tear !== undefined;
    const settle = (): void => {
      effect();
      done();
    };
    const operation: Underway = { dead: false, tear: tear ?? (() => {}), settle };
    this.underway.push(operation);
    let turns = this.turns();
    const turn = (): void => {
      const at = this.underway.indexOf(operation);
      const isHeld = this.held === 'all' || (this.held === 'writes' && isWrite);
      if (operation.dead || isHeld || at < 0) return;
      if (--turns > 0) {
        setImmediate(turn);
        return;
      }
      this.underway.splice(at, 1);
      operation.settle();
    };
    setImmediate(turn);
  }

  private durably(effect: () => void): Promise<void> {
    return new Promise((resolve) => this.later(effect, resolve));
  }

  makeDirectory(): Promise<void> {
    return Promise.resolve();
  }

  list(path: string): Promise<readonly string[]> {
    const prefix = `${path}/`;
    const found = [...this.names.keys()].filter((name) => name.startsWith(prefix));
    return Promise.resolve(found.map((name) => name.slice(prefix.length)).sort());
  }

  async create(path: string, sizeBytes: number): Promise<DiskFile> {
    if (this.names.has(path)) throw failure('EEXIST', path);
    if (sizeBytes > this.freeBytes) throw failure('ENOSPC', path);
    this.freeBytes -= sizeBytes;
    this.counts.creates++;
    const inode: Inode = { bytes: Buffer.alloc(sizeBytes), durable: Buffer.alloc(sizeBytes) };
    this.names.set(path, inode);
    await this.durably(() => {
      this.durableNames.set(path, inode);
    });
    return this.handle(path, inode);
  }

  async open(path: string): Promise<DiskFile> {
    return this.handle(path, this.inode(path));
  }

  rename(from: string, to: string): Promise<void> {
    const inode = this.names.get(from);
    if (inode === undefined) return Promise.reject(failure('ENOENT', from));
    if (this.failRemove?.(from) === true) return Promise.reject(failure('EIO', from));
    this.names.delete(from);
    this.names.set(to, inode);
    return this.durably(() => {
      this.durableNames.delete(from);
      this.durableNames.set(to, inode);
    });
  }

  remove(path: string): Promise<void> {
    if (this.names.has(path) && this.failRemove?.(path) === true) return Promise.reject(failure('EIO', path));
    const inode = this.names.get(path);
    this.names.delete(path);
    return this.durably(() => {
      if (!this.durableNames.delete(path)) return;
      this.counts.removes++;
      this.freeBytes += inode?.durable.length ?? 0;
    });
  }

  private handle(path: string, inode: Inode): DiskFile {
    const { generation } = this;
    const check = (): void => {
      if (generation !== this.generation) throw failure('EBADF', path);
    };
    return {
      path,
      writeDurably: (chunks, position, callback) => {
        check();
        this.write(path, inode, Buffer.concat(chunks), position, callback);
      },
      read: async (position, length) => {
        check();
        return Buffer.from(inode.bytes.subarray(position, position + length));
      },
      sizeBytes: async () => inode.bytes.length,
      truncate: (sizeBytes) => {
        check();
        inode.bytes = Buffer.from(inode.bytes.subarray(0, sizeBytes));
        return this.durably(() => {
          inode.durable = Buffer.from(inode.durable.subarray(0, sizeBytes));
        });
      },
      close: () => Promise.resolve(),
    };
  }

  private write(
    path: string,
    inode: Inode,
    bytes: Buffer,
    position: number,
    callback: (error: Error | undefined) => void,
  ): void {
    this.counts.writes++;
    if (this.failWrite > 0 && --this.failWrite === 0) {
      setImmediate(() => callback(failure('EIO', path)));
      return;
    }
    inode.bytes = overwrite(inode.bytes, bytes, position);
    this.later(
      () => {
        inode.durable = overwrite(inode.durable, bytes, position);
      },
      () => callback(undefined),
      (keep) => {
        inode.durable = overwrite(inode.durable, bytes.subarray(0, keep), position);
      },
    );
  }
}

function overwrite(bytes: Buffer, piece: Buffer, position: number): Buffer {
  const end = position + piece.length;
  const result = end > bytes.length ? Buffer.concat([bytes, Buffer.alloc(end - bytes.length)]) : bytes;
  piece.copy(result, position);
  return result;
}
