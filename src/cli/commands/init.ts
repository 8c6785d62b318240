/** init: a configuration to begin with, and, with --secure, everything that NATS needs to let in only whom it knows. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { RingraftError } from '../../base/index.js';
import { loadConfig } from '../../config/index.js';
import type { Context } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { write } from '../io.js';
import { json } from '../output.js';
import {
  changeSecureDirectory,
  createSecureDirectory,
  fileNames,
  type SecureChange,
  type Secured,
} from '../secure/directory.js';
import { type Application, parseApplications, parseName } from '../secure/grants.js';
import { applicationUser, type UserName } from '../secure/permissions.js';
import { counted, parseCount, parseNodeId } from '../values.js';
import { type Arguments, type Command, flag, optionalText, texts } from './command.js';

const defaultPort = 4222;
const defaultNodes = ['n1', 'n2', 'n3'];
const hostRule = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9a-fA-F:]*:[0-9a-fA-F:.]*$/;
const changes = ['addApp', 'removeApp', 'rotateKey', 'renewCertificate'] as const;

type FirstConfig = {
  readonly cluster: string;
  readonly subjectPrefix?: string;
  readonly nodes: readonly { readonly id: string }[];
  readonly replication?: number;
  readonly buckets?: readonly { readonly name: string; readonly id: number }[];
  readonly [setting: string]: unknown;
};

function parseHost(text: string): string {
  if (hostRule.test(text)) return text;
  throw new RingraftError('BAD_REQUEST', `--host: ${JSON.stringify(text)} is no name of a host and no address`);
}

/** Names, or how many: n1, n2, ... */
function parseNodes(given: readonly string[]): readonly string[] {
  const [first = ''] = given;
  const isCount = given.length === 1 && /^\d+$/.test(first);
  const names = isCount ? Array.from({ length: parseCount(first, '--nodes', 1) }, (_, at) => `n${at + 1}`) : given;
  return [...new Set(names.map((name) => parseNodeId(name, '--nodes')))];
}

const membersOf = (ids: readonly string[]): Pick<FirstConfig, 'nodes' | 'replication'> => ({
  nodes: ids.map((id, at) => ({ id, zone: `z${at + 1}` })),
  replication: ids.length < 3 ? 1 : 3,
});

/** The cluster to secure: the one whose configuration is at hand, else a new one. */
function knownConfig({ configPath, args: { config } }: Context): FirstConfig | undefined {
  if (config === undefined && !existsSync(configPath)) return undefined;
  const { dataDirectory } = loadConfig(configPath);
  const { $schema, nats, ...known } = JSON.parse(readFileSync(configPath, 'utf8')) as FirstConfig;
  return { ...known, dataDirectory };
}

function firstConfig(
  context: Context,
  args: Arguments,
  known: FirstConfig | undefined,
  applications: readonly Application[] = [],
): FirstConfig {
  const base = known ?? { cluster: 'main', ...membersOf(defaultNodes) };
  const buckets = [...(base.buckets ?? [{ name: 'default', id: 1 }])];
  for (const { bucket } of applications.flatMap(({ grants }) => grants)) {
    if (buckets.some(({ name }) => name === bucket)) continue;
    buckets.push({ name: bucket, id: Math.max(...buckets.map(({ id }) => id)) + 1 });
  }
  const { cluster } = context.args;
  const nodes = texts(args, 'nodes');
  return {
    ...base,
    ...(cluster === undefined ? {} : { cluster: parseName(cluster, '--cluster') }),
    ...(nodes.length === 0 ? {} : membersOf(parseNodes(nodes))),
    buckets,
  };
}

const portOf = (args: Arguments): number => {
  const port = parseCount(optionalText(args, 'port') ?? String(defaultPort), '--port', 1);
  if (port <= 65_535) return port;
  throw new RingraftError('BAD_REQUEST', `--port is at most 65535, not ${port}`);
};

/** Without --secure: the one file. */
async function writePlain(context: Context, args: Arguments): Promise<void> {
  const { configPath, io } = context;
  if (existsSync(configPath) && !flag(args, 'force')) {
    throw new RingraftError('CONFLICT', `${configPath} is there already; --force writes it anew`);
  }
  const hosts = texts(args, 'host').map(parseHost);
  const servers = (hosts.length === 0 ? ['127.0.0.1'] : hosts).map((host) => `nats://${host}:${portOf(args)}`);
  const config = { ...firstConfig(context, args, undefined), nats: { servers } };
  writeFileSync(configPath, `${JSON.stringify(config, null, 2)}\n`);
  const next = ['kvctl up'];
  if (context.args.output === 'json') await write(io.out, json({ config: configPath, next }));
  else await write(io.out, `wrote ${configPath}; ${next[0]} starts the cluster on this machine\n`);
}

/** rotate-key takes an application's name; node and admin are the other two users. */
const userOf = (name: string): UserName => (name === 'node' || name === 'admin' ? name : applicationUser(name));

function changeOf(args: Arguments): SecureChange | undefined {
  const hosts = texts(args, 'host').map(parseHost);
  if (changes.every((name) => args[name] === undefined)) return undefined;
  return {
    add: parseApplications(texts(args, 'addApp')),
    remove: texts(args, 'removeApp'),
    rotate: texts(args, 'rotateKey').map(userOf),
    renewCertificate: flag(args, 'renewCertificate'),
    hosts: hosts.length === 0 ? undefined : hosts,
  };
}

function checkChange(args: Arguments): void {
  const made = ['app', 'port', 'nodes', 'force'].find((name) => args[name] !== undefined);
  if (made === undefined) return;
  const how = made === 'app' ? '--add-app' : '--force without it';
  throw new RingraftError('BAD_REQUEST', `--${made} makes a directory, a change keeps it: use ${how}`);
}

async function create(context: Context, args: Arguments, directory: string): Promise<Secured> {
  const applications = parseApplications(texts(args, 'app'));
  const known = knownConfig(context);
  const config = firstConfig(context, args, known, applications);
  if (known !== undefined) context.io.err.write(`securing the cluster of ${context.configPath}\n`);
  const state = {
    cluster: config.cluster,
    subjectPrefix: config.subjectPrefix ?? 'kv',
    hosts: texts(args, 'host').map(parseHost),
    port: portOf(args),
    applications,
  };
  const how = { nowMs: context.clock.wallMs(), force: flag(args, 'force') };
  const secured = await createSecureDirectory(directory, state, config, how);
  loadConfig(join(directory, fileNames.nodes));
  return secured;
}

const quoted = (path: string): string => (/^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

function nextAfterCreation({ directory }: Secured, nodes: readonly string[]): readonly string[] {
  const file = (name: string): string => quoted(join(directory, name));
  return [
    `nats-server -c ${file(fileNames.server)}`,
    ...nodes.map((id) => `kvd --config ${file(fileNames.nodes)} --node ${id}`),
    `kvctl -c ${file('admin.config.json')} cluster status`,
  ];
}

async function report(context: Context, secured: Secured, next: readonly string[], hint: string): Promise<void> {
  const { directory, files, users } = secured;
  if (context.args.output === 'json') {
    await write(context.io.out, json({ directory, files, users, next }));
    return;
  }
  const lines = [
    `wrote ${counted(files.length, 'file')} in ${directory}:`,
    ...files.map((name) => `  ${name}`),
    'users, and where they may publish:',
    ...users.map(({ name, publish }) => `  ${name}: ${publish.join(' ')}`),
    hint,
    ...next.map((command) => `  ${command}`),
  ];
  await write(context.io.out, `${lines.join('\n')}\n`);
}

async function secure(context: Context, args: Arguments, directory: string): Promise<void> {
  const change = changeOf(args);
  if (change === undefined) {
    const secured = await create(context, args, directory);
    const nodes = loadConfig(join(directory, fileNames.nodes)).nodes.map(({ id }) => id);
    const hint = `next, or all of it on this machine with \`kvctl up --secure ${quoted(directory)}\`:`;
    await report(context, secured, nextAfterCreation(secured, nodes), hint);
    return;
  }
  checkChange(args);
  const secured = await changeSecureDirectory(directory, change, context.clock.wallMs());
  const buckets = loadConfig(join(directory, fileNames.nodes)).buckets.map(({ name }) => name);
  for (const { bucket } of change.add.flatMap(({ grants }) => grants)) {
    if (!buckets.includes(bucket)) context.io.err.write(`note: the configuration has no bucket ${bucket}\n`);
  }
  await report(context, secured, ['nats-server --signal reload'], 'next, so that a server that runs knows of it:');
}

export const init: Command = {
  command: 'init',
  describe: 'Write a configuration to begin with; with --secure also keys, certificates and permissions',
  builder: (parser) =>
    parser
      .option('secure', {
        type: 'string',
        requiresArg: true,
        describe: 'Write everything a secured cluster needs here',
      })
      .option('app', {
        type: 'string',
        requiresArg: true,
        describe: 'An application and what it may use: NAME:bucket[,bucket.prefix.>...] (repeatable)',
      })
      .option('host', {
        type: 'string',
        requiresArg: true,
        describe: 'Name or address of nats-server (repeatable) [default: this machine]',
      })
      .option('port', { type: 'string', requiresArg: true, describe: `Port of nats-server [default: ${defaultPort}]` })
      .option('nodes', { type: 'string', requiresArg: true, describe: 'Names of the nodes, or how many' })
      .option('force', { type: 'boolean', describe: 'Write it anew: keys there were open nothing any more' })
      .option('add-app', {
        type: 'string',
        requiresArg: true,
        describe: 'As --app, for a directory there is: a new application, or other buckets for it (repeatable)',
      })
      .option('remove-app', { type: 'string', requiresArg: true, describe: 'Take an application out (repeatable)' })
      .option('rotate-key', {
        type: 'string',
        requiresArg: true,
        describe: 'A new key for node, admin or an application (repeatable)',
      })
      .option('renew-certificate', { type: 'boolean', describe: 'A new certificate for the server, by the same CA' })
      .example('$0 init', 'cluster.config.json for three nodes')
      .example('$0 init --secure secure --app shop:orders,carts', 'and one application with two buckets')
      .example('$0 init --secure secure --add-app "web:carts.web.>"', 'one more, for keys that begin with "web."'),
  async run(context, args) {
    const directory = optionalText(args, 'secure');
    if (directory === undefined) {
      const idle = ['app', ...changes].find((name) => args[name] !== undefined);
      if (idle !== undefined) throw new RingraftError('BAD_REQUEST', `${idle} goes with --secure DIRECTORY`);
      await writePlain(context, args);
    } else {
      await secure(context, args, resolve(directory));
    }
    return exitCodes.ok;
  },
};
