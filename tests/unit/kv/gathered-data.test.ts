/**
 * Goal: a batch gets its mutations of user data in the order of the ring, those of one key in the order they were made.
 * Method: fast-check chooses keys from a few, so that many come up again; what a batch was given is compared with a stable sort.
 */
import test from 'ava';
import fc from 'fast-check';
import { emptyBytes } from '../../../src/base/index.js';
import type { EngineBatch } from '../../../src/engine/index.js';
import { GatheredData } from '../../../src/kv/gathered-data.js';
import { dataKey, ringOfDataKey } from '../../../src/kv/keys.js';
import { bucket } from '../../support/store-fixture.js';

type Mutation = { readonly key: Buffer; readonly value: Buffer | null };

function writtenOf(gathered: GatheredData): Mutation[] {
  const written: Mutation[] = [];
  const batch: EngineBatch = {
    put: (key, value) => written.push({ key, value }),
    delete: (key) => written.push({ key, value: null }),
    get size() {
      return written.length;
    },
    write: () => {},
  };
  gathered.writeTo(batch);
  return written;
}

test('mutations are written in the order of the ring, those of one key as they were made', (t) => {
  const places = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];
  const key = fc.constantFrom(...places).map((ring) => dataKey(bucket, ring, Buffer.from(`k${ring}`)));
  const value = fc.option(
    fc.nat().map((number) => Buffer.from(String(number))),
    { nil: null },
  );
  const property = fc.property(fc.array(fc.record({ key, value }), { maxLength: 40 }), (mutations) => {
    const gathered = new GatheredData();
    for (const { key: dataKeyBytes, value: bytes } of mutations) gathered.add(dataKeyBytes, bytes);
    const stable = [...mutations].sort((a, b) => ringOfDataKey(a.key) - ringOfDataKey(b.key));
    t.is(gathered.size, mutations.length);
    t.deepEqual(writtenOf(gathered), stable);
  });
  fc.assert(property);
});

test('nothing gathered writes nothing', (t) => {
  t.deepEqual(writtenOf(new GatheredData()), []);
  const one = new GatheredData();
  one.add(dataKey(bucket, 5, Buffer.from('a')), emptyBytes);
  t.is(writtenOf(one).length, 1);
});
