/**
 * All commands, by the words that call them, in the order of the help. Each is loaded when it is wanted: loading them all takes
 * as long as everything else that most commands do.
 */
import type { Command, Group } from './command.js';
import type { ConnectLocal } from './local.js';

/** What commands are given of the outside that only they need. */
export type CommandDependencies = { readonly connectLocal: ConnectLocal; readonly version: string };

type Load = (dependencies: CommandDependencies) => Promise<Command | Group>;

const catalogue: ReadonlyMap<string, Load> = new Map<string, Load>([
  ['get', async () => (await import('./keys.js')).get],
  ['put', async () => (await import('./keys.js')).put],
  ['del', async () => (await import('./keys.js')).del],
  ['cas', async () => (await import('./keys.js')).cas],
  ['incr', async () => (await import('./additions.js')).incr],
  ['append', async () => (await import('./additions.js')).append],
  ['exists', async () => (await import('./lifetimes.js')).exists],
  ['touch', async () => (await import('./lifetimes.js')).touch],
  ['ttl', async () => (await import('./lifetimes.js')).ttl],
  ['mget', async () => (await import('./keys.js')).mget],
  ['scan', async () => (await import('./scan.js')).scan],
  ['count', async () => (await import('./scan.js')).count],
  ['import', async () => (await import('./transfer.js')).importCommand],
  ['export', async () => (await import('./transfer.js')).exportCommand],
  ['init', async () => (await import('./init.js')).init],
  ['up', async ({ connectLocal }) => (await import('./local.js')).up(connectLocal)],
  ['down', async () => (await import('./local.js')).down],
  ['status', async () => (await import('./local.js')).status],
  ['bench', async ({ version }) => (await import('./bench.js')).bench(version)],
  ['metrics', async () => (await import('./operate.js')).metrics],
  ['cluster', async () => (await import('./groups/cluster.js')).cluster],
  ['node', async () => (await import('./groups/node.js')).node],
  ['shard', async () => (await import('./groups/shard.js')).shard],
  ['bucket', async () => (await import('./groups/bucket.js')).bucket],
  ['fault', async () => (await import('./groups/fault.js')).fault],
  ['ring', async () => (await import('./ring.js')).ring],
]);

/**
 * The commands that a line may mean whose first argument this is: one if it names one, else all, since help, completion and what
 * is said of a word that is no command are about all of them.
 */
export async function loadCommands(
  first: string | undefined,
  dependencies: CommandDependencies,
): Promise<readonly (Command | Group)[]> {
  const named = catalogue.get(first ?? '');
  const wanted = named === undefined ? [...catalogue.values()] : [named];
  return Promise.all(wanted.map((load) => load(dependencies)));
}
