/**
 * The disk port: what its operations promise, on real files, on the simulated disk and through the one that takes faults, with
 * none in force; and what a crash of the simulated one loses.
 */
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../src/base/index.js';
import { FaultsInForce, faultyDisk } from '../../src/faults/index.js';
import { type Disk, type DiskFile, nodeDisk } from '../../src/wal/index.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { inDirectory } from '../support/temporary-directory.js';

const write = (file: DiskFile, texts: readonly string[], position: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const chunks = texts.map((text) => Buffer.from(text));
    file.writeDurably(chunks, position, (error) => (error ? reject(error) : resolve()));
  });

const disks: readonly { readonly name: string; make(): Disk }[] = [
  { name: 'node', make: nodeDisk },
  { name: 'memory', make: () => new MemoryDisk() },
  { name: 'faulty', make: () => faultyDisk(nodeDisk(), new FaultsInForce(), systemClock) },
];

for (const { name, make } of disks) {
  const withDirectory = (body: (disk: Disk, directory: string) => Promise<void>): Promise<void> =>
    inDirectory('disk', async (root) => {
      const disk = make();
      const directory = join(root, 'a', 'b');
      await disk.makeDirectory(directory);
      await body(disk, directory);
    });

  test(`${name} disk: a new file is zeros of its size, and no second one takes its name`, (t) =>
    withDirectory(async (disk, directory) => {
      const path = join(directory, 'x');
      const file = await disk.create(path, 3_000_000);
      t.is(await file.sizeBytes(), 3_000_000);
      t.true((await file.read(0, 3_000_000)).every((byte) => byte === 0));
      await t.throwsAsync(disk.create(path, 1), { code: 'EEXIST' });
      t.is(await file.sizeBytes(), 3_000_000, 'the refused creation left the file alone');
      await file.close();
    }));

  test(`${name} disk: chunks are written one after another at their position, few or many`, (t) =>
    withDirectory(async (disk, directory) => {
      const file = await disk.create(join(directory, 'x'), 1000);
      await write(file, ['one'], 10);
      await write(file, ['two', '', 'three'], 20);
      await write(
        file,
        Array.from({ length: 200 }, () => 'ab'),
        100,
      );
      t.is((await file.read(10, 3)).toString(), 'one');
      t.is((await file.read(20, 8)).toString(), 'twothree');
      t.is((await file.read(100, 400)).toString(), 'ab'.repeat(200));
      t.is((await file.read(990, 100)).length, 10, 'fewer only at the end');
      await file.close();
      const again = await disk.open(file.path);
      t.is((await again.read(20, 8)).toString(), 'twothree');
      await again.close();
    }));

  test(`${name} disk: names are listed sorted, renamed and removed, and removing twice is no error`, (t) =>
    withDirectory(async (disk, directory) => {
      for (const file of ['c', 'a', 'b']) await (await disk.create(join(directory, file), 1)).close();
      t.deepEqual(await disk.list(directory), ['a', 'b', 'c']);
      await disk.rename(join(directory, 'b'), join(directory, 'd'));
      await disk.remove(join(directory, 'a'));
      await disk.remove(join(directory, 'a'));
      t.deepEqual(await disk.list(directory), ['c', 'd']);
      await t.throwsAsync(disk.open(join(directory, 'b')), { code: 'ENOENT' });
    }));

  test(`${name} disk: a truncated file ends there`, (t) =>
    withDirectory(async (disk, directory) => {
      const file = await disk.create(join(directory, 'x'), 100);
      await write(file, ['hello world'], 0);
      await file.truncate(5);
      t.is(await file.sizeBytes(), 5);
      t.is((await file.read(0, 100)).toString(), 'hello');
      await file.close();
    }));
}

test('pitfall 32: a crash loses names and bytes that were not durable yet', async (t) => {
  const disk = new MemoryDisk();
  const kept = await disk.create('/d/kept', 10);
  await write(kept, ['old'], 0);
  disk.hold();
  void disk.create('/d/lost', 10);
  kept.writeDurably([Buffer.from('new')], 0, () => t.fail('nothing is durable before the crash'));
  t.is((await kept.read(0, 3)).toString(), 'new');
  disk.crash();
  t.deepEqual(await disk.list('/d'), ['kept']);
  t.is((await (await disk.open('/d/kept')).read(0, 3)).toString(), 'old');
  await t.throwsAsync(kept.read(0, 1), { code: 'EBADF' });
});

test('memory disk: a torn write leaves its first bytes, a flipped bit is flipped, EIO strikes once', async (t) => {
  const disk = new MemoryDisk();
  const file = await disk.create('/d/x', 8);
  disk.hold();
  file.writeDurably([Buffer.from('ab'), Buffer.from('cd')], 0, () => t.fail('never durable'));
  disk.crash(3);
  const again = await disk.open('/d/x');
  t.is((await again.read(0, 8)).toString('latin1'), 'abc\0\0\0\0\0');
  disk.flipBit('/d/x', 8);
  t.is((await again.read(0, 2)).toString('latin1'), 'ac');
  disk.failWrite = 2;
  await write(again, ['1'], 0);
  await t.throwsAsync(write(again, ['2'], 0), { code: 'EIO' });
  t.is((await again.read(0, 1)).toString(), '1');
  await write(again, ['3'], 0);
});

test('memory disk: a full disk refuses new files, and removing makes room', async (t) => {
  const disk = new MemoryDisk();
  disk.freeBytes = 10;
  await disk.create('/d/a', 8);
  await t.throwsAsync(disk.create('/d/b', 8), { code: 'ENOSPC' });
  await disk.remove('/d/a');
  await disk.create('/d/b', 8);
  t.deepEqual(await disk.list('/d'), ['b']);
});
