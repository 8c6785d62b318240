/**
 * Who a data directory belongs to: `identity.json`, written once. A directory of another node or cluster is refused
 * before anything in it is touched. (That no other process has it open is the engine's own lock.)
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { RingraftError } from '../base/index.js';

const formatVersion = 1;
const fileName = 'identity.json';

export type Identity = { readonly cluster: string; readonly nodeId: string };

/** Creates or checks the identity. Throws LOCKED when the directory is somebody else's, CORRUPT when unreadable. */
export async function claimDataDirectory(directory: string, identity: Identity): Promise<void> {
  await mkdir(directory, { recursive: true });
  const path = join(directory, fileName);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) {
    await writeDurably(directory, path, JSON.stringify({ formatVersion, ...identity }));
    return;
  }
  const found = parse(path, text);
  if (found.formatVersion !== formatVersion) {
    throw new RingraftError(
      'CORRUPT',
      `${directory} has data format ${found.formatVersion}, this kvd reads ${formatVersion}`,
    );
  }
  if (found.nodeId !== identity.nodeId || found.cluster !== identity.cluster) {
    throw new RingraftError(
      'LOCKED',
      `${directory} belongs to node ${found.nodeId} of cluster ${found.cluster}, not to ${identity.nodeId} of ${identity.cluster}`,
    );
  }
}

function parse(path: string, text: string): Identity & { readonly formatVersion: number } {
  try {
    return JSON.parse(text) as Identity & { formatVersion: number };
  } catch (cause) {
    throw new RingraftError('CORRUPT', `${path} is not readable as JSON`, { cause });
  }
}

async function writeDurably(directory: string, path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w');
  await file.writeFile(text);
  await file.sync();
  await file.close();
  await rename(temporary, path);
  const parent = await open(directory, 'r');
  await parent.sync();
  await parent.close();
}
