/**
 * Goal: the build `read-without-quorum` does what it is there for: a leader that is cut off goes on answering reads, with what
 * it had, for as long as somebody reaches it. Method: a story in the simulated world, with that bug switched on in the
 * process of this file.
 */
import test from 'ava';
import { applyMutant } from './mutants.js';
import { scenario } from './scenario.js';
import { scenarioBucket } from './scenario-client.js';

applyMutant('read-without-quorum');

test(
  'a cut-off leader that reads without a quorum serves what was replaced 20 s ago, at both levels',
  scenario({}, async (t, s) => {
    const beside = s.newClient('c2');
    await s.wait(beside.connect());
    await s.put('a', 'old');
    const old = s.leader();
    s.isolate([old.id, beside.name]);
    await s.put('a', 'new');
    await s.run(20_000);
    for (const consistency of ['linearizable', 'lease'] as const) {
      // Not part of the history: it is wrong.
      const found = await s.wait(beside.raw.lookUp(scenarioBucket, 'a', { consistency }));
      t.is(found.item?.value.toString(), 'old');
      t.false(found.maybeStale);
    }
    s.mend();
  }),
);
