/**
 * A secured directory: what nats-server, the nodes, administrators and applications need to trust each other.
 *
 * Invariants:
 * 1. `nats-server.conf` names exactly the users of `security.json`, each with the public key of its seed file.
 * 2. A change leaves the seeds of the users it does not name as they are.
 */
import { isIP } from 'node:net';
import { RingraftError } from '../../base/index.js';
import { SecureFiles } from './files.js';
import type { Application } from './grants.js';
import { type ServerUser, serverConfigText } from './nats-config.js';
import {
  adminPermissions,
  applicationPermissions,
  applicationUser,
  inboxPrefixOf,
  nodePermissions,
  type UserName,
} from './permissions.js';
import { readSecurityState, type SecurityState, stateFile, stateText } from './state.js';
import { newSeed, publicKeyOf } from './user-keys.js';

export const fileNames = {
  server: 'nats-server.conf',
  nodes: 'cluster.config.json',
  authority: 'ca.pem',
  authorityKey: 'ca-key.pem',
  certificate: 'server.pem',
  certificateKey: 'server-key.pem',
} as const;

export const seedFileOf = (user: UserName): string => `${user}.nk`;
export const configFileOf = (user: UserName): string => (user === 'node' ? fileNames.nodes : `${user}.config.json`);

export type SecureChange = {
  /** New ones, or other buckets for those there are. */
  readonly add: readonly Application[];
  readonly remove: readonly string[];
  /** Users that get a new key. */
  readonly rotate: readonly UserName[];
  readonly renewCertificate: boolean;
  /** Instead of those there were; goes with a new certificate. */
  readonly hosts: readonly string[] | undefined;
};

export type SecureUser = {
  readonly name: UserName;
  readonly publicKey: string;
  readonly seedFile: string;
  readonly configFile: string;
  readonly inboxPrefix: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
};

export type Secured = {
  readonly directory: string;
  readonly state: SecurityState;
  readonly files: readonly string[];
  readonly users: readonly SecureUser[];
};

/** A cluster on this machine is reached by these, whatever else the server is called. */
const ownHosts = ['127.0.0.1', 'localhost'];

const isOwn = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);

export const serverUrls = ({ hosts, port }: SecurityState): readonly string[] =>
  (hosts.length === 0 ? ownHosts.slice(0, 1) : hosts).map(
    (host) => `tls://${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
  );

const usersOf = ({ applications }: SecurityState): readonly UserName[] => [
  'node',
  'admin',
  ...applications.map(({ name }) => applicationUser(name)),
];

/** Makes a directory from nothing, or, with `force`, anew: every key and certificate is another. */
export async function createSecureDirectory(
  directory: string,
  state: SecurityState,
  clusterConfig: object,
  { nowMs, force }: { readonly nowMs: number; readonly force: boolean },
): Promise<Secured> {
  const files = new SecureFiles(directory);
  if (!force && !files.isEmpty()) {
    const hint = 'add --force to write new keys, or --add-app to keep those there are';
    throw new RingraftError('CONFLICT', `${directory} is not empty; ${hint}`);
  }
  files.makeDirectory();
  if (force) forgetApplications(files);
  const { createAuthority } = await import('./certificates.js');
  const authority = await createAuthority(`Ringraft ${state.cluster}`, nowMs);
  files.write(fileNames.authority, authority.certificatePem);
  files.writeSecret(fileNames.authorityKey, authority.keyPem);
  await writeCertificate(files, state, nowMs);
  for (const user of usersOf(state)) writeSeed(files, user);
  return finish(files, state, clusterConfig);
}

/** Applications of the directory that is replaced: their keys open nothing any more. */
function forgetApplications(files: SecureFiles): void {
  let before: SecurityState;
  try {
    before = readSecurityState(files.directory);
  } catch {
    return;
  }
  for (const { name } of before.applications) forgetUser(files, applicationUser(name));
}

function forgetUser(files: SecureFiles, user: UserName): void {
  files.remove(seedFileOf(user));
  files.remove(configFileOf(user));
}

async function writeCertificate(files: SecureFiles, { hosts }: SecurityState, nowMs: number): Promise<void> {
  const authority = { certificatePem: files.read(fileNames.authority), keyPem: files.read(fileNames.authorityKey) };
  const { certifyServer } = await import('./certificates.js');
  const certificate = await certifyServer(authority, [...new Set([...hosts, ...ownHosts])], nowMs);
  files.write(fileNames.certificate, certificate.certificatePem);
  files.writeSecret(fileNames.certificateKey, certificate.keyPem);
}

const writeSeed = (files: SecureFiles, user: UserName): void => files.writeSecret(seedFileOf(user), `${newSeed()}\n`);

/** CONFIG when there is none; NOT_FOUND for users that it does not have. */
export async function changeSecureDirectory(directory: string, change: SecureChange, nowMs: number): Promise<Secured> {
  const files = new SecureFiles(directory);
  const before = readSecurityState(directory);
  const state = { ...changed(before, change), hosts: change.hosts ?? before.hosts };
  const clusterConfig = JSON.parse(files.read(fileNames.nodes)) as object;
  const known = usersOf(before);
  const missing = change.rotate.find((user) => !usersOf(state).includes(user));
  if (missing !== undefined) throw noSuchUser(directory, missing);
  files.makeDirectory();
  if (change.renewCertificate || change.hosts !== undefined) await writeCertificate(files, state, nowMs);
  for (const user of usersOf(state)) if (!known.includes(user) || change.rotate.includes(user)) writeSeed(files, user);
  const secured = finish(files, state, clusterConfig);
  for (const user of known) if (!usersOf(state).includes(user)) forgetUser(files, user);
  return secured;
}

const noSuchUser = (directory: string, user: string): RingraftError =>
  new RingraftError('NOT_FOUND', `${directory} has no user ${user}`);

function changed(state: SecurityState, { add, remove }: SecureChange): SecurityState {
  const missing = remove.find((name) => !state.applications.some((application) => application.name === name));
  if (missing !== undefined) throw noSuchUser('the directory', applicationUser(missing));
  const gone = new Set([...remove, ...add.map(({ name }) => name)]);
  return { ...state, applications: [...state.applications.filter(({ name }) => !gone.has(name)), ...add] };
}

/** Everything that holds no secret is written anew: it may have been moved since. */
function finish(files: SecureFiles, state: SecurityState, clusterConfig: object): Secured {
  const users = serverUsers(files, state);
  const listenOn = state.hosts.every(isOwn) ? '127.0.0.1' : '0.0.0.0';
  files.write(
    fileNames.server,
    serverConfigText({
      listen: `${listenOn}:${state.port}`,
      certFile: files.pathOf(fileNames.certificate),
      keyFile: files.pathOf(fileNames.certificateKey),
      caFile: files.pathOf(fileNames.authority),
      users,
    }),
  );
  for (const { name } of users) writeClientConfig(files, state, clusterConfig, name);
  files.write(stateFile, stateText(state));
  const told = users.map(({ name, publicKey, permissions }) => ({
    name,
    publicKey,
    seedFile: seedFileOf(name),
    configFile: configFileOf(name),
    inboxPrefix: inboxPrefixOf(name),
    ...permissions,
  }));
  return { directory: files.directory, state, files: files.written, users: told };
}

function serverUsers(files: SecureFiles, state: SecurityState): readonly ServerUser[] {
  const publicKey = (name: UserName): string => publicKeyOf(files.read(seedFileOf(name)), seedFileOf(name));
  return [
    { name: 'node', publicKey: publicKey('node'), permissions: nodePermissions(state) },
    { name: 'admin', publicKey: publicKey('admin'), permissions: adminPermissions(state) },
    ...state.applications.map((application) => {
      const name = applicationUser(application.name);
      return { name, publicKey: publicKey(name), permissions: applicationPermissions(application, state) };
    }),
  ];
}

/** What a client need not know is left out: of the cluster, an application is told where it is. */
function writeClientConfig(files: SecureFiles, state: SecurityState, clusterConfig: object, user: UserName): void {
  const { dataDirectory, ...shared } = clusterConfig as Readonly<Record<string, unknown>>;
  const { cluster, subjectPrefix, nodes, replication } = shared;
  const nats = {
    servers: serverUrls(state),
    nkeySeedFile: seedFileOf(user),
    inboxPrefix: inboxPrefixOf(user),
    tls: { caFile: fileNames.authority },
  };
  const told = { node: { ...shared, dataDirectory }, admin: shared }[user as string] ?? {
    ...{ cluster, subjectPrefix, nodes, replication },
  };
  files.write(configFileOf(user), `${JSON.stringify({ ...told, nats }, null, 2)}\n`);
}
