/**
 * Builds of kvd that are broken on purpose, to see that what looks for such bugs in real clusters finds them. The program
 * stays as it is: a module that is loaded before it (`broken.ts`) replaces methods of its classes.
 */
import { join } from 'node:path';
import { packageRoot } from '../../src/base/index.js';
import type { MutantName } from '../simulation/mutants.js';

/** With what each is in the simulation. */
export const brokenBuilds = {
  /** A leader answers linearizable reads at once, and does not find out by itself that it was replaced. */
  'read-without-quorum': 'read-without-quorum',
  /** A leader acknowledges what its own disk alone has. */
  'acknowledge-after-one': 'acknowledge-after-one',
  /** A write that is repeated takes effect again. */
  'no-dedupe': 'duplicate-applied-twice',
} as const satisfies Readonly<Record<string, MutantName>>;

export type BrokenBuild = keyof typeof brokenBuilds;
export const brokenNames = Object.keys(brokenBuilds) as readonly BrokenBuild[];

export const isBrokenBuild = (name: string | undefined): name is BrokenBuild =>
  name !== undefined && Object.hasOwn(brokenBuilds, name);

/** The one that can be broken: the bundled program has the classes within itself. */
export const breakableKvdPath = join(packageRoot(), 'dist', 'src', 'main.js');

/** What a kvd has in its environment to be broken so. */
export const brokenEnvironment = (
  name: string,
): Readonly<Record<'NODE_OPTIONS' | 'KV_BROKEN' | 'RINGRAFT_KVD', string>> => ({
  NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${new URL('./broken.js', import.meta.url).href}`.trim(),
  KV_BROKEN: name,
  RINGRAFT_KVD: breakableKvdPath,
});
