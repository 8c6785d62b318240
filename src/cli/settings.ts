/** What can be changed while the cluster runs, as people write it. Pure. */
import { RingraftError } from '../base/index.js';
import { closest, configJsonSchema } from '../config/index.js';
import type { ClusterSettings } from '../wire/index.js';
import { formatDuration, formatSize, parseCount, parseDuration, parseSize, parseSwitch, parseZone } from './values.js';

type Setting<Value> = {
  /** As people write it; as in the map is accepted as well. */
  readonly name: string;
  readonly meaning: string;
  readonly parse: (text: string) => Value;
  readonly format: (value: Value) => string;
};

type Settings = { readonly [Key in keyof ClusterSettings]: Setting<ClusterSettings[Key]> };

const settings: Settings = {
  downAfterMs: {
    name: 'downAfter',
    meaning: 'a node that is gone for so long is replaced',
    parse: (text) => parseDuration(text),
    format: formatDuration,
  },
  maxMoves: {
    name: 'maxMoves',
    meaning: 'replicas that are moved at the same time',
    parse: (text) => parseCount(text, 'maxMoves', 1),
    format: String,
  },
  snapshotBytesPerSecond: {
    name: 'snapshotBytesPerSecond',
    meaning: 'what one node sends of snapshots, at most',
    parse: parseSize,
    format: formatSize,
  },
  leaderZones: {
    name: 'leaderZones',
    meaning: 'zones that leaders should be in, the most wanted first; empty: anywhere',
    parse: (text) => (text === '' ? [] : text.split(',').map((zone) => parseZone(zone, 'leaderZones'))),
    format: (zones) => zones.join(','),
  },
  rebalance: {
    name: 'rebalance',
    meaning: 'off: replicas leave nodes that go, but are not moved for the sake of balance',
    parse: (text) => parseSwitch(text, 'rebalance'),
    format: (value) => (value ? 'on' : 'off'),
  },
};

const keys = Object.keys(settings) as (keyof ClusterSettings)[];

const names = keys.map((key) => settings[key].name);

export type SettingRow = { readonly name: string; readonly value: string; readonly meaning: string };

/** A setting the answering node does not know is left out. */
export const settingRows = (values: ClusterSettings): readonly SettingRow[] =>
  keys
    .filter((key) => values[key] !== undefined)
    .map((key) => rowOf(settings[key] as Setting<ClusterSettings[typeof key]>, values[key]));

const rowOf = <Value>({ name, meaning, format }: Setting<Value>, value: Value): SettingRow => ({
  name,
  value: format(value),
  meaning,
});

/** Can be given to `cluster set` again. */
export const settingsLine = (values: ClusterSettings): string =>
  settingRows(values)
    .map(({ name, value }) => `${name}=${value}`)
    .join(' ');

const camelCase = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

function keyNamed(given: string): keyof ClusterSettings {
  const name = camelCase(given);
  const key = keys.find((each) => each === name || settings[each].name === name);
  if (key !== undefined) return key;
  const guess = closest(name, names);
  const hint = guess === undefined ? '' : `; did you mean ${guess}?`;
  throw new RingraftError('BAD_REQUEST', `there is no setting ${given}${hint} (there are ${names.join(', ')})`);
}

type SchemaNode = {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly minimum?: number;
  readonly maximum?: number;
};

/** The bounds a configuration has for it. */
function checkBounds(key: keyof ClusterSettings, value: unknown, text: string): void {
  if (typeof value !== 'number') return;
  const bounds = (configJsonSchema() as SchemaNode).properties?.management?.properties?.[key];
  const { minimum = 0, maximum = Number.POSITIVE_INFINITY } = bounds ?? {};
  if (value >= minimum && value <= maximum) return;
  const { name, format } = settings[key] as Setting<number>;
  const [side, bound] = value < minimum ? (['least', minimum] as const) : (['most', maximum] as const);
  throw new RingraftError('BAD_REQUEST', `${name} is at ${side} ${format(bound)}, not ${text}`);
}

/** `maxMoves=8`, `down-after=30s`. */
export function parseSettings(given: readonly string[]): Partial<ClusterSettings> {
  const parsed: Partial<Record<keyof ClusterSettings, unknown>> = {};
  for (const assignment of given) {
    const at = assignment.indexOf('=');
    if (at < 1) throw new RingraftError('BAD_REQUEST', `a setting is given as name=value, not ${assignment}`);
    const [name, text] = [assignment.slice(0, at), assignment.slice(at + 1)];
    const key = keyNamed(name);
    if (key in parsed) throw new RingraftError('BAD_REQUEST', `${settings[key].name} is given more than once`);
    // Where the name has the unit the value needs none.
    const value = settings[key].parse(/Ms$/.test(camelCase(name)) && /^\d+$/.test(text) ? `${text}ms` : text);
    checkBounds(key, value, text);
    parsed[key] = value;
  }
  return parsed as Partial<ClusterSettings>;
}
