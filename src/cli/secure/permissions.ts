/**
 * What each user of NATS may publish and subscribe to. Pure.
 *
 * Invariants:
 * 1. Everything that is not listed is denied: each user has both lists.
 * 2. Nobody but nodes listens to a subject that is asked, and nobody listens to another's inbox.
 * 3. An application that is limited to keys has only subjects that carry the key: a body could name any other.
 */
import type { Application, Grant } from './grants.js';

export type UserName = 'node' | 'admin' | `app-${string}`;

export type Permissions = { readonly publish: readonly string[]; readonly subscribe: readonly string[] };

export type SubjectRoots = { readonly cluster: string; readonly subjectPrefix: string };

const inboxes = '_INBOX';

/** Operations with the key in the subject. `scan` reads only keys that begin with it. */
export const keyOperations = [
  'get',
  'exists',
  'ttl',
  'put',
  'putIfAbsent',
  'cas',
  'del',
  'incr',
  'append',
  'touch',
  'scan',
  'count',
] as const;

export const applicationUser = (name: string): UserName => `app-${name}`;

/** Inboxes share their first token, so that nodes can answer all of them. */
export const inboxPrefixOf = (user: UserName): string =>
  user.startsWith('app-') ? `${inboxes}.app.${user.slice('app-'.length)}` : `${inboxes}.${user}`;

const ownInbox = (user: UserName): string => `${inboxPrefixOf(user)}.>`;

export const nodePermissions = ({ cluster, subjectPrefix }: SubjectRoots): Permissions => ({
  publish: [`_kv.${cluster}.>`, `${inboxes}.>`],
  subscribe: [`_kv.${cluster}.>`, `${subjectPrefix}.>`, '$SRV.>', ownInbox('node')],
});

/** What `kvctl` and the TypeScript client ask for; nothing that nodes say to each other. */
export const adminPermissions = ({ cluster, subjectPrefix }: SubjectRoots): Permissions => ({
  publish: [
    ...['map', 'manager', 'node.*', 'scan.*', 'admin.*'].map((rest) => `_kv.${cluster}.${rest}`),
    `${subjectPrefix}.>`,
    '$SRV.>',
  ],
  subscribe: [ownInbox('admin')],
});

function grantSubjects({ bucket, keyTokens }: Grant, subjectPrefix: string): readonly string[] {
  if (keyTokens === undefined) return [`${subjectPrefix}.*.${bucket}`, `${subjectPrefix}.*.${bucket}.>`];
  return keyOperations.map((operation) => [subjectPrefix, operation, bucket, ...keyTokens, '>'].join('.'));
}

/** Discovery without STATS: the last error of an endpoint may speak of another's bucket. */
const discovery = ['PING', 'INFO'].flatMap((verb) => [`$SRV.${verb}`, `$SRV.${verb}.>`]);

export const applicationPermissions = (
  { name, grants }: Application,
  { subjectPrefix }: SubjectRoots,
): Permissions => ({
  publish: [...new Set(grants.flatMap((grant) => grantSubjects(grant, subjectPrefix))), ...discovery],
  subscribe: [ownInbox(applicationUser(name))],
});
