/** Turns what zod found into lines a person can act on. */
import type { z } from 'zod';

export type Problem = { readonly path: string; readonly message: string };

const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], input);

/** Edits from one word to the other; for suggestions. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, (previous[j] as number) + 1, (row[j - 1] as number) + 1));
    }
    previous = row;
  }
  return previous[b.length] as number;
}

/** The known word closest to `word`, if it is close. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const ranked = known.map((candidate) => ({ candidate, edits: distance(word, candidate) }));
  ranked.sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best !== undefined && best.edits <= Math.max(1, Math.floor(word.length / 3)) ? best.candidate : undefined;
}

/** The names that may stand in the object at `path`, by walking the JSON Schema. */
function knownNames(schema: unknown, path: readonly PropertyKey[]): readonly string[] {
  type Node = { properties?: Record<string, Node>; items?: Node };
  let at = schema as Node | undefined;
  for (const part of path) at = typeof part === 'number' ? at?.items : at?.properties?.[String(part)];
  return Object.keys(at?.properties ?? {});
}

export function problemsOf(error: z.ZodError, input: unknown, schema: object): readonly Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => {
        const guess = closest(key, knownNames(schema, issue.path));
        return {
          path: pathText([...issue.path, key]),
          message: `unknown setting${guess === undefined ? '' : `; did you mean ${guess}?`}`,
        };
      });
    }
    const found = valueAt(input, issue.path);
    const what = found === undefined ? 'it is missing' : `found ${JSON.stringify(found)?.slice(0, 80)}`;
    const message = issue.message.replace(/^Invalid (input|string|option): /, '').replace(/, received .*$/, '');
    return [{ path: pathText(issue.path) || '(the file)', message: `${message}; ${what}` }];
  });
}
