/** Where received snapshots are staged: files of their own, apart from everything in use. */
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ShardId } from '../base/index.js';

export type StagedSnapshot = { readonly path: string };

export type StagingFile = {
  append(bytes: Buffer): Promise<void>;
  /** Durable, name included. */
  finish(): Promise<StagedSnapshot>;
  abandon(): Promise<void>;
};

export type SnapshotFiles = {
  /** A new, empty staging file for this shard. */
  create(shardId: ShardId): Promise<StagingFile>;
  /** The bytes of a staged snapshot, a piece at a time; undefined when it is not there. */
  read(path: string): Promise<AsyncIterable<Buffer> | undefined>;
  remove(path: string): Promise<void>;
};

const readBytes = 256 * 1024;

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync();
  await handle.close();
}

/** Real files in one directory, which is emptied of what no installation refers to by its name pattern only. */
export function nodeSnapshotFiles(directory: string): SnapshotFiles {
  let number = 0;
  return {
    async create(shardId) {
      await mkdir(directory, { recursive: true });
      const taken = new Set(await readdir(directory));
      let name: string;
      do name = `shard-${shardId}-${++number}.snapshot`;
      while (taken.has(name));
      const path = join(directory, name);
      const handle = await open(path, 'wx');
      return {
        append: async (bytes) => {
          await handle.appendFile(bytes);
        },
        finish: async () => {
          await handle.sync();
          await handle.close();
          await syncDirectory(directory);
          return { path };
        },
        abandon: async () => {
          await handle.close();
          await rm(path, { force: true });
        },
      };
    },
    async read(path) {
      const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      return handle === undefined ? undefined : handle.createReadStream({ highWaterMark: readBytes });
    },
    remove: (path) => rm(path, { force: true }),
  };
}
