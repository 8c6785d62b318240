/** Reads the configuration: defaults, file, environment, flags, each over the one before. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { messageOf, type NodeId, RingraftError } from '../base/index.js';
import { jsonErrorPosition } from './json-position.js';
import { type Problem, problemsOf } from './problems.js';
import { type ConfigShape, configJsonSchema, configSchema } from './schema.js';

type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

type NamedNode = Omit<DeepReadonly<ConfigShape>['nodes'][number], 'id'> & { readonly id: NodeId };

export type ClusterConfig = Omit<DeepReadonly<ConfigShape>, 'nodes'> & { readonly nodes: readonly NamedNode[] };

export type LoadOptions = {
  /** `path.to.setting=value`; the value as JSON where it is JSON, else as text. */
  readonly overrides?: readonly string[];
  /** Variables `KVD_PATH__TO__SETTING`, and `NATS_URL` for the servers. */
  readonly env?: Readonly<Record<string, string | undefined>>;
};

/** Variables of kvd that are no settings. */
const reserved = new Set(['KVD_NODE', 'KVD_CONFIG', 'KVD_CLUSTER']);

const failure = (source: string, problems: readonly Problem[]): RingraftError => {
  const lines = problems.map(({ path, message }) => `  ${path}: ${message}`);
  const count = problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`;
  return new RingraftError('CONFIG', `${source} has ${count}:\n${lines.join('\n')}`, { fields: { problems } });
};

function syntaxProblem(text: string, error: unknown): Problem {
  const before = text.slice(0, jsonErrorPosition(text)).split('\n');
  const line = before.length;
  const column = (before[before.length - 1]?.length ?? 0) + 1;
  // The message may go on with a piece of the text, over lines: the position says it better.
  const what = messageOf(error).replace(/ in JSON.*$|, (\.\.\.)?".*$/s, '');
  return { path: `line ${line}, column ${column}`, message: `not JSON: ${what}` };
}

function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RingraftError('CONFIG', `cannot read the configuration ${path}: ${messageOf(cause)}`, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw failure(path, [syntaxProblem(text, cause)]);
  }
}

const parseValue = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

function assign(target: unknown, path: readonly string[], value: unknown): void {
  // Assigning to it would change objects everywhere, not the configuration.
  if (path.includes('__proto__')) throw new RingraftError('CONFIG', `${path.join('.')}: unknown setting`);
  let at = target as Record<string, unknown>;
  for (const part of path.slice(0, -1)) {
    if (!Object.hasOwn(at, part) || typeof at[part] !== 'object' || at[part] === null) at[part] = {};
    at = at[part] as Record<string, unknown>;
  }
  at[path[path.length - 1] as string] = value;
}

/** KVD_RAFT__LEASE_MS is raft.leaseMs. */
const camelCase = (words: string): string =>
  words.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

function applyEnvironment(input: unknown, env: NonNullable<LoadOptions['env']>): void {
  if (env.NATS_URL)
    assign(
      input,
      ['nats', 'servers'],
      env.NATS_URL.split(',').map((url) => url.trim()),
    );
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('KVD_') || reserved.has(name) || text === undefined) continue;
    assign(input, name.slice('KVD_'.length).split('__').map(camelCase), parseValue(text));
  }
}

function applyOverrides(input: unknown, overrides: readonly string[]): void {
  for (const override of overrides) {
    const equals = override.indexOf('=');
    if (equals < 1) throw new RingraftError('CONFIG', `--set takes path=value, not ${override}`);
    assign(input, override.slice(0, equals).split('.'), parseValue(override.slice(equals + 1)));
  }
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}

/**
 * Loads and checks a configuration; paths come back absolute. Throws CONFIG with every mistake at once, each
 * with its path (`fields.problems`).
 */
export function loadConfig(path: string, options: LoadOptions = {}): ClusterConfig {
  return build(path, dirname(path), readObject(path), options);
}

/** Of a node that joins a cluster: from a file where there is one, with what it joins put in, else from defaults. */
export function joinConfig(
  path: string | undefined,
  {
    cluster,
    ...node
  }: { readonly cluster: string; readonly id: string; readonly zone: string; readonly weight: number },
  options: LoadOptions = {},
): ClusterConfig {
  const input = path === undefined ? {} : readObject(path);
  return build(
    path ?? 'the command line',
    path === undefined ? '.' : dirname(path),
    { ...input, cluster, nodes: [node], replication: 1 },
    options,
  );
}

function readObject(path: string): object {
  const input = readJson(path);
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input;
  throw failure(path, [{ path: '(the file)', message: 'must be a JSON object' }]);
}

/** The files of a connection, wherever the program was started. */
function withAbsolutePaths(nats: ConfigShape['nats'], directory: string): ConfigShape['nats'] {
  const absolute = <T extends object>(settings: T): T => {
    const entries = Object.entries(settings).map(([name, value]) => {
      const isPath = name.endsWith('File') && typeof value === 'string';
      return [name, isPath ? resolve(directory, value) : value];
    });
    return Object.fromEntries(entries) as T;
  };
  return { ...absolute(nats), ...(nats.tls === undefined ? {} : { tls: absolute(nats.tls) }) };
}

function build(
  source: string,
  directory: string,
  input: object,
  { overrides = [], env = {} }: LoadOptions,
): ClusterConfig {
  applyEnvironment(input, env);
  applyOverrides(input, overrides);
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) throw failure(source, problemsOf(parsed.error, input, configJsonSchema()));
  const dataDirectory = resolve(directory, parsed.data.dataDirectory);
  const nats = withAbsolutePaths(parsed.data.nats, directory);
  return freeze({ ...parsed.data, nats, dataDirectory }) as unknown as ClusterConfig;
}
