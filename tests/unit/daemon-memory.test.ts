/** Goal: a node's heap may grow by half of what is alive and by 20 MiB, never by more than four times. */
import test from 'ava';
import { heapGrowthPercent } from '../../src/daemon/memory.js';

const mib = 1024 * 1024;

test('the heap may grow by half of what is alive, and some room', (t) => {
  t.is(heapGrowthPercent(20 * mib), 150);
  t.is(heapGrowthPercent(40 * mib), 100);
  t.is(heapGrowthPercent(400 * mib), 55);
  t.is(heapGrowthPercent(1 * mib), 400);
});
