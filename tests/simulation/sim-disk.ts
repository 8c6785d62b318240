/**
 * The machine below a node: the log's disk, the engine's, and the staging files of snapshots. A crash of the machine
 * loses exactly what was not durable; a crash of the process alone keeps what the operating system was given.
 */
import { type Engine, type EngineBatch, type MemoryEngine, memoryEngine } from '../../src/engine/index.js';
import type { SnapshotFiles, StagedSnapshot } from '../../src/kv/index.js';
import type { Disk, DiskFile } from '../../src/wal/index.js';
import type { Life } from './life.js';
import type { World } from './world.js';

type Inode = { current: Buffer; durable: Buffer; isNamed: boolean };
/** A file of the log up to `end`, after which damage cannot be told from a torn write. */
type Sound = { readonly inode: Inode; readonly end: number };
type WriteUnderway = { readonly inode: Inode; readonly bytes: Buffer; readonly position: number };

/** What is wrong with a machine's disk at the moment. */
export type DiskWeather = {
  /** Longest time of a write. */
  slowMs: number;
  isFull: boolean;
  /** Writes of the log do not return before this moment. */
  hangsUntilMs: number;
  /** The next write fails with EIO. */
  failNext: boolean;
};

const sectorBytes = 512;

const failure = (code: string, path: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${code}: ${path}`), { code });

export class Machine {
  readonly weather: DiskWeather = { slowMs: 0.5, isFull: false, hangsUntilMs: 0, failNext: false };
  private readonly inodes = new Map<string, Inode>();
  private underway: WriteUnderway[] = [];
  readonly engine: MemoryEngine;
  private staged = new Map<string, Buffer>();
  private stagingNumber = 0;
  private life: Life | undefined;
  private unsyncedBatches = 0;
  readonly counts = { writes: 0, tornWrites: 0, lostBatches: 0, flippedBits: 0 };

  constructor(private readonly world: World) {
    this.engine = memoryEngine((action) => this.after(0.02, action));
  }

  /** The process that uses the machine from now on. */
  boot(life: Life): void {
    this.life = life;
  }

  /** Another disk is put in. */
  wipe(): void {
    this.inodes.clear();
    this.staged.clear();
    for (const [key] of this.engine.dump()) this.forget(key);
  }

  private forget(key: Buffer): void {
    const batch = this.engine.batch();
    batch.delete(key);
    batch.write(true, () => {});
  }

  private after(delayMs: number, action: () => void): void {
    this.life?.schedule(delayMs, action);
  }

  private soon(): Promise<void> {
    return new Promise((resolve) => this.after(0.02 + this.world.fraction() * this.weather.slowMs, resolve));
  }

  /** The process ends. `power`: the machine with it, and what was not durable is lost. */
  crash(power: boolean): void {
    const { world } = this;
    for (const { inode, bytes, position } of this.underway) {
      // The sectors of a write may reach the disk in any order, or not at all.
      const whole = !power && world.chance(0.5);
      let torn = false;
      for (let at = 0; at < bytes.length; at += sectorBytes) {
        if (!whole && world.chance(0.5)) torn = true;
        else bytes.copy(inode.durable, position + at, at, Math.min(bytes.length, at + sectorBytes));
      }
      if (torn) this.counts.tornWrites++;
    }
    this.underway = [];
    for (const [path, inode] of this.inodes) {
      if (!inode.isNamed) this.inodes.delete(path);
      else inode.current = Buffer.from(inode.durable);
    }
    const keep = power ? world.between(0, this.unsyncedBatches) : this.unsyncedBatches;
    this.counts.lostBatches += this.unsyncedBatches - keep;
    this.engine.crash(keep);
    this.unsyncedBatches = 0;
    this.life = undefined;
  }

  /**
   * Flips one bit of the log, as a bad disk would, but not in its last two writes: damage there cannot be told from a
   * torn write. Whether there was something to flip. `share`: where in the log, of [0, 1); drawn when absent.
   */
  flipBit(share?: number): boolean {
    const magic = Buffer.from('BTCH', 'latin1');
    const segments = [...this.inodes].filter(([path]) => path.endsWith('.log')).sort(([a], [b]) => (a < b ? -1 : 1));
    const places: Sound[] = [];
    let isNewest = true;
    for (const [, inode] of segments.reverse()) {
      const last = inode.durable.lastIndexOf(magic);
      if (last < 0) continue;
      const end = isNewest ? inode.durable.lastIndexOf(magic, last - 1) : lastByte(inode.durable);
      isNewest = false;
      if (end > 0) places.push({ inode, end });
    }
    if (places.length === 0) return false;
    const { inode, at } = share === undefined ? this.drawPlace(places) : placeAt(places.reverse(), share);
    inode.durable[at] = (inode.durable[at] as number) ^ (1 << this.world.between(0, 7));
    inode.current = Buffer.from(inode.durable);
    this.counts.flippedBits++;
    return true;
  }

  private drawPlace(places: readonly Sound[]): { readonly inode: Inode; readonly at: number } {
    const { inode, end } = this.world.pick(places);
    return { inode, at: this.world.between(0, end - 1) };
  }

  get disk(): Disk {
    return {
      makeDirectory: () => Promise.resolve(),
      list: (path) => {
        const names = [...this.inodes.keys()].filter((name) => name.startsWith(`${path}/`));
        return Promise.resolve(names.map((name) => name.slice(path.length + 1)).sort());
      },
      create: (path, sizeBytes) => this.create(path, sizeBytes),
      open: async (path) => this.handle(path, this.inode(path)),
      rename: async (from, to) => {
        const inode = this.inode(from);
        await this.soon();
        this.inodes.delete(from);
        this.inodes.set(to, inode);
      },
      remove: async (path) => {
        await this.soon();
        this.inodes.delete(path);
      },
    };
  }

  private inode(path: string): Inode {
    const inode = this.inodes.get(path);
    if (inode === undefined) throw failure('ENOENT', path);
    return inode;
  }

  private async create(path: string, sizeBytes: number): Promise<DiskFile> {
    if (this.inodes.has(path)) throw failure('EEXIST', path);
    if (this.weather.isFull) throw failure('ENOSPC', path);
    const inode: Inode = { current: Buffer.alloc(sizeBytes), durable: Buffer.alloc(sizeBytes), isNamed: false };
    this.inodes.set(path, inode);
    await this.soon();
    inode.isNamed = true;
    return this.handle(path, inode);
  }

  private handle(path: string, inode: Inode): DiskFile {
    return {
      path,
      writeDurably: (chunks, position, callback) => this.write(path, inode, chunks, position, callback),
      read: (position, length) => Promise.resolve(Buffer.from(inode.current.subarray(position, position + length))),
      sizeBytes: () => Promise.resolve(inode.current.length),
      truncate: async (sizeBytes) => {
        await this.soon();
        inode.current = Buffer.from(inode.current.subarray(0, sizeBytes));
        inode.durable = Buffer.from(inode.current);
      },
      close: () => Promise.resolve(),
    };
  }

  private write(
    path: string,
    inode: Inode,
    chunks: readonly Buffer[],
    position: number,
    callback: (error: Error | undefined) => void,
  ): void {
    this.counts.writes++;
    const bytes = Buffer.concat(chunks);
    const underway = { inode, bytes, position };
    this.underway.push(underway);
    const failed = this.weather.failNext;
    this.weather.failNext = false;
    const hangMs = Math.max(0, this.weather.hangsUntilMs - this.world.nowMs);
    this.after(hangMs + 0.05 + this.world.fraction() * this.weather.slowMs, () => {
      this.underway.splice(this.underway.indexOf(underway), 1);
      // A failed write may still have reached the disk.
      if (!failed || this.world.chance(0.5)) {
        bytes.copy(inode.durable, position);
        bytes.copy(inode.current, position);
      }
      callback(failed ? failure('EIO', path) : undefined);
    });
  }

  /** The engine as the process sees it: what it wrote without a sync is counted, for a crash to lose. */
  get store(): Engine {
    const { engine } = this;
    return {
      ...engine,
      batch: (): EngineBatch => {
        const batch = engine.batch();
        return {
          put: (key, value) => batch.put(key, value),
          delete: (key) => batch.delete(key),
          get size() {
            return batch.size;
          },
          write: (sync, callback) => {
            this.unsyncedBatches = sync ? 0 : this.unsyncedBatches + 1;
            batch.write(sync, callback);
          },
        };
      },
    };
  }

  get files(): SnapshotFiles {
    return {
      create: async (shardId) => {
        const path = `/staging/shard-${shardId}-${++this.stagingNumber}`;
        const pieces: Buffer[] = [];
        return {
          append: async (bytes) => {
            pieces.push(Buffer.from(bytes));
            await this.soon();
          },
          finish: async (): Promise<StagedSnapshot> => {
            await this.soon();
            this.staged.set(path, Buffer.concat(pieces));
            return { path };
          },
          abandon: async () => {},
        };
      },
      read: async (path) => {
        const bytes = this.staged.get(path);
        return bytes === undefined ? undefined : pieces(bytes);
      },
      remove: async (path) => {
        this.staged.delete(path);
      },
    };
  }
}

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 4096) yield bytes.subarray(at, at + 4096);
}

function lastByte(bytes: Buffer): number {
  for (let at = bytes.length - 1; at >= 0; at--) if (bytes[at] !== 0) return at;
  return -1;
}

/** The byte at this share of all files together. */
function placeAt(files: readonly Sound[], share: number): { readonly inode: Inode; readonly at: number } {
  let at = Math.floor(share * files.reduce((sum, { end }) => sum + end, 0));
  for (const { inode, end } of files) {
    if (at < end) return { inode, at };
    at -= end;
  }
  throw new RangeError(`not a share of the log: ${share}`);
}
