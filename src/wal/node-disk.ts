/** The disk port over real files. */
import { constants, write, writeSync, writev, writevSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Disk, DiskFile } from './disk.js';
import { WritePlacement } from './write-placement.js';

const zeroChunkBytes = 1024 * 1024;
/** Beyond this many pieces one copy is cheaper than the system call's bookkeeping. */
const maxPieces = 64;

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

class NodeDiskFile implements DiskFile {
  constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private readonly placement: WritePlacement,
  ) {}

  // The file is open with O_DSYNC and its blocks are allocated: a write is durable when it returns, in one system call.
  writeDurably(chunks: readonly Buffer[], position: number, callback: (error: Error | undefined) => void): void {
    const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const pieces = chunks.length > maxPieces ? [Buffer.concat(chunks)] : (chunks as Buffer[]);
    const done = (error: NodeJS.ErrnoException | null, written: number): void => {
      if (error !== null) callback(error);
      else if (written !== total) this.writeRest(Buffer.concat(chunks).subarray(written), position + written, callback);
      else callback(undefined);
    };
    if (this.placement.isHere(total, performance.now())) {
      // After what this turn sends has left: others write it to their disks meanwhile.
      setImmediate(() => this.writeHere(pieces, position, done));
    } else if (pieces.length === 1) {
      write(this.handle.fd, pieces[0] as Buffer, 0, total, position, done);
    } else {
      writev(this.handle.fd, pieces, position, done);
    }
  }

  private writeHere(
    pieces: Buffer[],
    position: number,
    done: (error: NodeJS.ErrnoException | null, written: number) => void,
  ): void {
    const { fd } = this.handle;
    const [first] = pieces;
    const beganMs = performance.now();
    let written: number;
    try {
      written =
        pieces.length === 1 && first !== undefined
          ? writeSync(fd, first, 0, first.length, position)
          : writevSync(fd, pieces, position);
    } catch (error) {
      done(error as NodeJS.ErrnoException, 0);
      return;
    }
    this.placement.note(beganMs, performance.now());
    done(null, written);
  }

  private writeRest(rest: Buffer, position: number, callback: (error: Error | undefined) => void): void {
    write(this.handle.fd, rest, 0, rest.length, position, (error, written) => {
      if (error !== null) callback(error);
      else if (written === 0) callback(new Error(`nothing more could be written to ${this.path}`));
      else if (written < rest.length) this.writeRest(rest.subarray(written), position + written, callback);
      else callback(undefined);
    });
  }

  async read(position: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.handle.read(bytes, filled, length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  async sizeBytes(): Promise<number> {
    return (await this.handle.stat()).size;
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.handle.truncate(sizeBytes);
    await this.handle.sync();
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

const openFlags = constants.O_RDWR | constants.O_DSYNC;

async function fillWithZeros(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'wx');
  try {
    const zeros = Buffer.alloc(Math.min(zeroChunkBytes, sizeBytes));
    for (let at = 0; at < sizeBytes; at += zeros.length) {
      await file.write(zeros, 0, Math.min(zeros.length, sizeBytes - at), at);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

export function nodeDisk(): Disk {
  const placement = new WritePlacement();
  return {
    async makeDirectory(path) {
      const first = await mkdir(path, { recursive: true });
      if (first !== undefined) await syncDirectory(dirname(first));
    },
    async list(path) {
      return (await readdir(path)).sort();
    },
    async create(path, sizeBytes) {
      try {
        // Real zeros, so that later writes change no metadata and their sync is one disk write.
        await fillWithZeros(path, sizeBytes);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await rm(path, { force: true });
        throw error;
      }
      await syncDirectory(dirname(path));
      return new NodeDiskFile(path, await open(path, openFlags), placement);
    },
    async open(path) {
      return new NodeDiskFile(path, await open(path, openFlags), placement);
    },
    async rename(from, to) {
      await rename(from, to);
      await syncDirectory(dirname(to));
    },
    async remove(path) {
      await rm(path, { force: true });
      await syncDirectory(dirname(path));
    },
  };
}
