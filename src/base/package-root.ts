import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from './assert.js';

/**
 * The directory of this package, found from the running file upwards: the nearest that has a package.json. The same code
 * lies at other depths when it runs as it was compiled (`dist/src/...`) and bundled (`dist/bin`).
 */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    assert(dirname(directory) !== directory, 'this program lies in no package');
    directory = dirname(directory);
  }
  return directory;
}
