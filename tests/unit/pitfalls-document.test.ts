/** Goal: docs/pitfalls.md leaves no bug out and names no test that does not exist. Method: it is compared with the sources. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';

const read = (path: string): string => readFileSync(join(process.cwd(), path), 'utf8');
const count = 41;
const statuses = ['tested', 'cannot happen', 'planned', 'not built'];

type Row = { readonly number: number; readonly bug: string; readonly where: string; readonly status: string };

const document = read('docs/pitfalls.md');
const rows = [...document.matchAll(/^\| (\d+) \| (.+?) \| (.+) \| ([a-z ]+) \|$/gm)].map(
  ([, number, bug = '', where = '', status = '']): Row => ({ number: Number(number), bug, where, status }),
);

/** Every `[title](../path)`. */
const linksIn = (text: string) =>
  [...text.matchAll(/\[`([^`]+)`\]\(\.\.\/(tests\/[^)]+)\)/g)].map(([, title = '', path = '']) => ({ title, path }));

/** Why the link leads nowhere, or nothing. */
function brokenLink({ title, path }: { readonly title: string; readonly path: string }): string | undefined {
  if (!existsSync(join(process.cwd(), path))) return `${path} does not exist`;
  if (path.endsWith('.txt')) return title === `script ${path.split('/').at(-1)}` ? undefined : `${path}: ${title}`;
  const source = read(path).replaceAll(/\btest\(\s+/g, 'test(');
  const isThere = [`'${title}'`, `"${title}"`, `\`${title}\``].some((quoted) => source.includes(`test(${quoted}`));
  return isThere ? undefined : `${path} has no test "${title}"`;
}

test('every number from 1 to 41 has one row, in order, with a status', (t) => {
  t.deepEqual(
    rows.map(({ number }) => number),
    Array.from({ length: count }, (_, at) => at + 1),
  );
  for (const { number, bug, status } of rows) {
    t.true(statuses.includes(status), `${number}: ${status}`);
    t.true(bug.length > 20, `${number} says what the bug is`);
  }
});

test('what is called tested names a test with its number', (t) => {
  for (const { number, where, status } of rows) {
    if (status !== 'tested') continue;
    const hasNumber = linksIn(where).some(({ title }) => new RegExp(`pitfall ${number}\\b`).test(title));
    t.true(hasNumber, `${number} names no test with its number`);
  }
});

test('every test and script the document names exists', (t) => {
  const links = linksIn(document);
  t.true(links.length >= count);
  for (const link of links) t.is(brokenLink(link), undefined);
});

test('the check finds a test that does not exist', (t) => {
  const path = 'tests/unit/pitfalls-document.test.ts';
  t.is(brokenLink({ title: 'the check finds a test that does not exist', path }), undefined);
  t.regex(brokenLink({ title: 'no such title', path }) ?? '', /has no test/);
  t.regex(brokenLink({ title: 'x', path: 'tests/nowhere.ts' }) ?? '', /does not exist/);
});
