import type { RingraftClient } from '../../src/client/index.js';

/** The keys of the default bucket that do not hold what was written to them. */
export async function missingKeys(
  client: RingraftClient,
  written: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const keys = [...written.keys()];
  const found = await client.getMany('default', keys);
  return keys.filter((key, at) => {
    const settled = found[at];
    return !(settled?.ok === true && settled.result?.value.toString() === written.get(key));
  });
}
