import test from 'ava';
import { type Listed, LiveList } from '../../../src/client/live-list.js';

type Named = Listed & { readonly name: string };

function listOf(names: string): { list: LiveList<Named>; items: Named[] } {
  const list = new LiveList<Named>();
  const items = Array.from(names, (name) => ({ name, slot: -1 }));
  for (const item of items) list.add(item);
  return { list, items };
}

const namesOf = (list: LiveList<Named>): string =>
  list.all
    .map(({ name }) => name)
    .sort()
    .join('');

test('items are taken out in any order, each of its own slot', (t) => {
  const { list, items } = listOf('abcd');
  const [a, b, c, d] = items as [Named, Named, Named, Named];
  list.remove(b);
  t.is(namesOf(list), 'acd');
  list.remove(d);
  t.is(namesOf(list), 'ac');
  list.remove(a);
  list.add(b);
  t.is(namesOf(list), 'bc');
  t.deepEqual(
    items.map((item) => list.has(item)),
    [false, true, true, false],
  );
  list.remove(c);
  list.remove(b);
  t.is(list.size, 0);
});

test('each item has its turn once when some are taken out in theirs', (t) => {
  const { list } = listOf('abcdefg');
  const had: string[] = [];
  list.forEach((item) => {
    had.push(item.name);
    if ('acfg'.includes(item.name)) list.remove(item);
  });
  t.is(had.sort().join(''), 'abcdefg');
  t.is(namesOf(list), 'bde');
});
