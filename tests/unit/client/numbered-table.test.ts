/**
 * Goal: the table gives back what was added under each number, and never hands out a number that is in use, or 0.
 * Method: fast-check makes sequences of steps; a `Map` is the model. Numbers near the end of 32 bits are reached by starting there.
 */
import test from 'ava';
import fc from 'fast-check';
import { NumberedTable } from '../../../src/client/numbered-table.js';

/** A table whose next number comes after `last`. */
function tableAfter(last: number): NumberedTable<string> {
  const table = new NumberedTable<string>();
  Object.assign(table, { last });
  return table;
}

test('a table is as a map under numbers handed out in turn', (t) => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.constant({ kind: 'add' as const }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), at: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('deleteWhere' as const), modulus: fc.integer({ min: 2 }) }) },
  );
  const start = fc.constantFrom(0, 0xffff_ffff - 40);
  const property = fc.property(start, fc.array(step, { minLength: 100, maxLength: 600 }), (last, steps) => {
    const table = tableAfter(last);
    const model = new Map<number, string>();
    const deleted = new Set<number>();
    for (const [at, taken] of steps.entries()) {
      if (taken.kind === 'add') {
        const number = table.add(`item ${at}`);
        if (number === 0 || number > 0xffff_ffff || model.has(number)) return false;
        model.set(number, `item ${at}`);
      } else if (taken.kind === 'delete') {
        const number = [...model.keys()][taken.at % Math.max(1, model.size)] ?? 5;
        table.delete(number);
        table.delete(number);
        model.delete(number);
        deleted.add(number);
      } else {
        const isDone = (item: string): boolean => Number(item.slice(5)) % taken.modulus === 0;
        table.deleteWhere(isDone);
        for (const [number, item] of model) if (isDone(item)) model.delete(number);
      }
      if (table.size !== model.size) return false;
    }
    for (const number of deleted) if (!model.has(number) && table.get(number) !== undefined) return false;
    return [...model].every(([number, item]) => table.get(number) === item);
  });
  t.notThrows(() => fc.assert(property));
});

test('one that stays does not keep others from being added, and is found among thousands', (t) => {
  const table = new NumberedTable<number>();
  const first = table.add(-1);
  for (let at = 0; at < 10_000; at++) table.delete(table.add(at));
  const others = Array.from({ length: 5000 }, (_, at) => table.add(at));
  t.is(table.get(first), -1);
  t.is(table.size, 5001);
  t.is(new Set(others).size, 5000);
  t.true(others.every((number, at) => table.get(number) === at));
});
