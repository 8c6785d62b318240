/**
 * Nodes that came to a local cluster, or left it for good, since its configuration was written: kept beside its data, so
 * that `kvctl up` starts the nodes there were.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Starts with `--join`: its configuration comes from the cluster. */
export type AddedNode = { readonly id: string; readonly zone: string; readonly weight: number };

export type Membership = { readonly added: readonly AddedNode[]; readonly removed: readonly string[] };

const fileName = 'membership.json';

export function readMembership(directory: string): Membership {
  try {
    return JSON.parse(readFileSync(join(directory, fileName), 'utf8')) as Membership;
  } catch {
    return { added: [], removed: [] };
  }
}

function write(directory: string, membership: Membership): void {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, fileName);
  writeFileSync(`${path}.new`, `${JSON.stringify(membership, null, 2)}\n`);
  renameSync(`${path}.new`, path);
}

export function recordAdded(directory: string, node: AddedNode): void {
  const { added, removed } = readMembership(directory);
  write(directory, {
    added: [...added.filter(({ id }) => id !== node.id), node],
    removed: removed.filter((id) => id !== node.id),
  });
}

export function recordRemoved(directory: string, removedId: string): void {
  const { added, removed } = readMembership(directory);
  write(directory, {
    added: added.filter(({ id }) => id !== removedId),
    removed: [...removed.filter((id) => id !== removedId), removedId],
  });
}

/** With the data goes what was known of them. */
export function forgetMembership(directory: string): void {
  rmSync(join(directory, fileName), { force: true });
}
