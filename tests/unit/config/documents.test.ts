/** Goal: docs/configuration.md and the JSON Schema say what the code does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { configJsonSchema } from '../../../src/config/index.js';

type Schema = { properties?: Record<string, Schema>; items?: Schema; default?: unknown };

const read = (name: string): string => readFileSync(join(process.cwd(), 'docs', name), 'utf8');

/** Path and default of every setting. */
function settings(schema: Schema, prefix = ''): readonly (readonly [string, unknown])[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => [
    [`${prefix}${name}`, inner.default] as const,
    ...settings(inner, `${prefix}${name}.`),
    ...settings(inner.items ?? {}, `${prefix}${name}[].`),
  ]);
}

test('docs/cluster.config.schema.json is what scripts/build-schema.mjs writes', (t) => {
  t.deepEqual(JSON.parse(read('cluster.config.schema.json')), JSON.parse(JSON.stringify(configJsonSchema())));
});

test('docs/configuration.md has every setting with its default, and no others', (t) => {
  const rows = [...read('configuration.md').matchAll(/^\| `([^`]+)` \| (.+?) \| (.+) \|$/gm)];
  const documented = new Map(rows.map(([, path = '', byDefault = '']) => [path, byDefault]));
  const real = settings(configJsonSchema() as Schema);
  t.deepEqual([...documented.keys()].sort(), real.map(([path]) => path).sort());
  for (const [path, byDefault] of real) {
    const text = documented.get(path) ?? '';
    if (byDefault === undefined) t.regex(text, /^(none|required)$/, path);
    else t.is(text, `\`${JSON.stringify(byDefault)}\``, path);
  }
});
