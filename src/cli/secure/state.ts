/** What a secured directory was made for: `security.json`, without secrets. Everything in it is made from this. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, RingraftError } from '../../base/index.js';
import { type Application, grantText, parseGrant } from './grants.js';
import type { SubjectRoots } from './permissions.js';

export type SecurityState = SubjectRoots & {
  /** Names and addresses of the server; clients try those that were given. */
  readonly hosts: readonly string[];
  readonly port: number;
  readonly applications: readonly Application[];
};

const formatVersion = 1;
export const stateFile = 'security.json';

type Stored = Omit<SecurityState, 'applications'> & {
  readonly formatVersion: number;
  readonly applications: readonly { readonly name: string; readonly grants: readonly string[] }[];
};

export function stateText({ applications, ...rest }: SecurityState): string {
  const stored: Stored = {
    formatVersion,
    ...rest,
    applications: applications.map(({ name, grants }) => ({ name, grants: grants.map(grantText) })),
  };
  return `${JSON.stringify(stored, null, 2)}\n`;
}

/** Throws CONFIG when the directory was not written by `kvctl init --secure`. */
export function readSecurityState(directory: string): SecurityState {
  const path = join(directory, stateFile);
  let stored: Stored;
  try {
    stored = JSON.parse(readFileSync(path, 'utf8')) as Stored;
  } catch (cause) {
    const hint = `\`kvctl init --secure ${directory}\` writes one`;
    throw new RingraftError('CONFIG', `${directory} is no secured directory (${hint}): ${messageOf(cause)}`, { cause });
  }
  const { formatVersion: version, applications, ...rest } = stored;
  if (version !== formatVersion) {
    throw new RingraftError('CONFIG', `${path} has format ${version}, this kvctl reads ${formatVersion}`);
  }
  return { ...rest, applications: applications.map(({ name, grants }) => ({ name, grants: grants.map(parseGrant) })) };
}
