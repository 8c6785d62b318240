/** What programs have in common that do something to a cluster with data in it, under a steady load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatCount } from '../../src/cli/values.js';
import type { RingraftClient } from '../../src/client/index.js';
import { DataSet } from './data-set.js';
import type { Survey } from './measured-cluster.js';
import { operationTimeoutMs, type Stage } from './program.js';
import { withProgress } from './progress.js';
import { mostPerSecond, SteadyLoad } from './steady-load.js';

export const loadSpecs = {
  keys: { default: 100_000, least: 1, describe: 'how many are loaded' },
  'value-bytes': { default: 256, least: 24, describe: 'of every value' },
  rate: { default: 0, least: 0, describe: 'operations a second; 0: half of what the machine does' },
  seconds: { default: 10, least: 1, describe: 'of load before, and after' },
};
type LoadOptions = { readonly [Name in keyof typeof loadSpecs]: number };

export type UnderLoad = {
  readonly client: RingraftClient;
  readonly load: SteadyLoad;
  /** Before the load began. */
  readonly before: Survey;
  /** Ends the load and reads every key back. */
  verify(): Promise<void>;
};

/** Starts the cluster, fills it, and lets the load run for a while: phase `before`. */
export async function underLoad(
  { options, measured, violations, say }: Stage<LoadOptions>,
  prepare: (client: RingraftClient) => Promise<void> = async () => {},
): Promise<UnderLoad> {
  const client = await measured.startAll(operationTimeoutMs);
  await measured.untilSettled(client);
  await prepare(client);
  const data = new DataSet(options.keys, options['value-bytes']);
  await withProgress('loading', options.keys, (onDone) => data.write(client, 0, options.keys, onDone));
  const before = await measured.untilSettled(client);
  const most = options.rate > 0 ? undefined : await mostPerSecond(client, data, violations);
  const rate = most === undefined ? options.rate : Math.round(most / 2);
  say(`${formatCount(rate)} operations a second${most === undefined ? '' : `, half of ${formatCount(most)}`}`);
  const load = new SteadyLoad(client, data, rate, violations);
  load.begin('before');
  await sleep(options.seconds * 1000);
  say(`before: ${load.takeLatest()}`);
  const verify = async (): Promise<void> => {
    await load.stop();
    await withProgress('checking', options.keys, (onDone) => data.verify(client, violations, onDone));
  };
  return { client, load, before, verify };
}

/** Phase `after`, and its end: the load goes on for a while once everything is done. */
export async function afterwards({ options, say }: Stage<LoadOptions>, { load, verify }: UnderLoad): Promise<void> {
  load.begin('after');
  await sleep(options.seconds * 1000);
  say(`after: ${load.takeLatest()}`);
  await verify();
}
