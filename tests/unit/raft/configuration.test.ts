/** Goal: a configuration reads back as it was written, whatever version wrote it. Method: properties. */
import test from 'ava';
import fc from 'fast-check';
import type { ReplicaId } from '../../../src/base/index.js';
import { type Configuration, decodeConfiguration, encodeConfiguration } from '../../../src/raft/index.js';

const ids = fc.array(
  fc.integer({ min: 1, max: 0xffff_ffff }).map((id) => id as ReplicaId),
  { maxLength: 5 },
);
const lists = fc.record({ voters: ids, outgoing: ids, learners: ids, learnersNext: ids });
const nodes = fc.dictionary(fc.integer({ min: 1, max: 0xffff_ffff }).map(String), fc.constantFrom('n1', 'node-2'), {
  minKeys: 1,
  maxKeys: 5,
});
const epochs = fc.integer({ min: 1, max: 2 ** 48 - 1 });

test('a configuration reads back as it was written, with nodes and an epoch or without', (t) => {
  fc.assert(
    fc.property(lists, fc.option(nodes), fc.option(epochs), (members, where, epoch) => {
      const configuration: Configuration = {
        ...members,
        ...(where === null ? {} : { nodes: where }),
        ...(epoch === null ? {} : { epoch }),
      };
      t.deepEqual(decodeConfiguration(encodeConfiguration(configuration)), configuration);
    }),
  );
});

test('a configuration cut short anywhere, or with a byte too many, does not read', (t) => {
  const configuration: Configuration = {
    voters: [1, 2, 3] as ReplicaId[],
    outgoing: [],
    learners: [70_000 as ReplicaId],
    learnersNext: [],
    nodes: { 1: 'n1', 2: 'n2', 3: 'n3', 70000: 'n4' },
    epoch: 12,
  };
  const bytes = encodeConfiguration(configuration);
  for (let length = 0; length < bytes.length; length++) {
    t.throws(() => decodeConfiguration(bytes.subarray(0, length)), { code: 'CORRUPT' }, `${length} bytes`);
  }
  t.throws(() => decodeConfiguration(Buffer.concat([bytes, Buffer.alloc(1)])), { code: 'CORRUPT' });
});
