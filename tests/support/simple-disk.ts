/** A disk in memory that loses on a crash exactly what a real one may lose: what was not yet durable. */
import type { Disk, DiskFile } from '../../src/wal/index.js';

type File = { durable: Buffer; current: Buffer };

export class SimpleDisk implements Disk {
  readonly files = new Map<string, File>();
  /** Writes so far; each was durable when it was reported. */
  writes = 0;
  /** Fails the next writes with this. */
  writeError: NodeJS.ErrnoException | undefined;
  /** Fails the next creations with this. */
  createError: NodeJS.ErrnoException | undefined;
  /** While set, writes wait until `resume`. */
  private held: (() => void)[] | undefined;

  hold(): void {
    this.held = [];
  }

  resume(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const action of held) action();
  }

  /** The machine stops; of an unfinished write the first `keep` bytes may have reached the disk. */
  crash(keep = 0): void {
    for (const file of this.files.values()) {
      const torn = Buffer.from(file.durable);
      let left = keep;
      for (let at = 0; at < torn.length && left > 0; at++) {
        if (torn[at] === file.current[at]) continue;
        torn[at] = file.current[at] as number;
        left--;
      }
      file.durable = torn;
      file.current = Buffer.from(torn);
    }
    this.held = undefined;
  }

  makeDirectory(): Promise<void> {
    return Promise.resolve();
  }

  list(path: string): Promise<readonly string[]> {
    const names = [...this.files.keys()].filter((name) => name.startsWith(`${path}/`));
    return Promise.resolve(names.map((name) => name.slice(path.length + 1)).sort());
  }

  async create(path: string, sizeBytes: number): Promise<DiskFile> {
    if (this.createError !== undefined) throw this.createError;
    if (this.files.has(path)) throw Object.assign(new Error(`${path} exists`), { code: 'EEXIST' });
    this.files.set(path, { durable: Buffer.alloc(sizeBytes), current: Buffer.alloc(sizeBytes) });
    return this.open(path);
  }

  open(path: string): Promise<DiskFile> {
    const file = this.files.get(path);
    if (file === undefined) return Promise.reject(Object.assign(new Error(`no ${path}`), { code: 'ENOENT' }));
    return Promise.resolve({
      path,
      writeDurably: (chunks, position, callback) => {
        const bytes = Buffer.concat(chunks);
        const error = this.writeError;
        if (error === undefined) bytes.copy(file.current, position);
        const finish = (): void => {
          if (error === undefined) {
            this.writes++;
            bytes.copy(file.durable, position);
          }
          setImmediate(() => callback(error));
        };
        if (this.held !== undefined) this.held.push(finish);
        else finish();
      },
      read: (position, length) => Promise.resolve(Buffer.from(file.current.subarray(position, position + length))),
      sizeBytes: () => Promise.resolve(file.current.length),
      truncate: (sizeBytes) => {
        file.current = file.current.subarray(0, sizeBytes);
        file.durable = Buffer.from(file.current);
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    });
  }

  rename(from: string, to: string): Promise<void> {
    const file = this.files.get(from);
    if (file !== undefined) this.files.set(to, file);
    this.files.delete(from);
    return Promise.resolve();
  }

  remove(path: string): Promise<void> {
    this.files.delete(path);
    return Promise.resolve();
  }
}
