/** Goal: what the manager writes is one entry of the term it read in, or nothing. Method: a core that a test answers for. */
import test from 'ava';
import { isRingraftError } from '../../../src/base/index.js';
import type { Group } from '../../../src/host/group.js';
import type { ProposalFate } from '../../../src/host/pending.js';
import { SystemShard } from '../../../src/host/system-shard.js';
import { EntryType } from '../../../src/raft/index.js';
import { decodeCommandBatch } from '../../../src/wire/index.js';
import { VirtualClock } from '../../support/virtual-clock.js';

type Proposal = { readonly index: number; readonly term: number; readonly settle: (fate: ProposalFate) => void };
type Pair = { readonly key: Buffer; readonly value: Buffer };

function fixture() {
  const state = {
    isLeader: true,
    term: 4,
    refusal: undefined as string | undefined,
    firstIndex: 1,
    isRestoring: false,
  };
  const proposals: Proposal[] = [];
  const entries: Buffer[] = [];
  const confirmations: ((index: number | undefined) => void)[] = [];
  let pairs: readonly Pair[] = [];
  let marked = 0;
  const raft = {
    get isLeader() {
      return state.isLeader;
    },
    get currentTerm() {
      return state.term;
    },
    get firstIndex() {
      return state.firstIndex;
    },
    get isRestoring() {
      return state.isRestoring;
    },
    get lastIndex() {
      return entries.length;
    },
    entries: () => entries.map((data, at) => ({ type: EntryType.Normal, term: 1, index: at + 1, data })),
    propose(data: Buffer) {
      if (state.refusal !== undefined) return state.refusal;
      entries.push(data);
      return { index: entries.length, term: state.term };
    },
  };
  const group = { raft, proposals } as unknown as Group;
  const held = { group: group as Group | undefined };
  const pages: number[] = [];
  const mutations = { has: false };
  const store = {
    hasMutations: () => mutations.has,
    scan(_bucket: number, { gte }: { gte: Buffer }, done: (error: undefined, page: unknown) => void) {
      const left = pairs.filter(({ key }) => Buffer.compare(key, gte) >= 0);
      const page = left.slice(0, 2);
      pages.push(page.length);
      done(undefined, { pairs: page, more: left.length > 2, resumeAfter: page.at(-1)?.key ?? Buffer.alloc(0) });
    },
  };
  const system = new SystemShard({
    clock: new VirtualClock(),
    store: store as never,
    replicas: { get: () => held.group } as never,
    operations: {
      confirmRead: (_: Group, done: (index: number | undefined) => void) => confirmations.push(done),
    } as never,
    mark: () => void marked++,
  });
  return {
    ...{ state, held, mutations, proposals, entries, confirmations, pages, system },
    marked: () => marked,
    hold(texts: readonly string[]) {
      pairs = texts.map((text) => ({ key: Buffer.from(text), value: Buffer.from(`value of ${text}`) }));
    },
  };
}

const fateOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'applied',
    (error: unknown) => (isRingraftError(error) ? [error.code, error.happened] : String(error)),
  );

test('all records of a write are one entry, and it is done when that is applied', async (t) => {
  const { system, entries, proposals, marked } = fixture();
  const written = fateOf(
    system.write(
      [
        { key: 'a', value: '1' },
        { key: 'b', value: undefined },
      ],
      4,
    ),
  );
  t.deepEqual([entries.length, proposals.length, marked()], [1, 1, 1]);
  const { commands } = decodeCommandBatch(entries[0] as Buffer);
  t.deepEqual(
    commands.map(({ key, value, bucketId }) => [key.toString(), value.toString(), Number(bucketId)]),
    [
      ['a', '1', 0],
      ['b', '', 0],
    ],
  );
  proposals[0]?.settle('applied');
  t.is(await written, 'applied');
});

test('in another term than the one it was read in nothing is proposed', async (t) => {
  const { system, state, held, entries } = fixture();
  const write = (term: number): Promise<unknown> => fateOf(system.write([{ key: 'a', value: '1' }], term));
  for (const term of [0, 3, 5]) t.deepEqual(await write(term), ['NOT_LEADER', 'no']);
  state.isLeader = false;
  t.is(system.leaderTerm, 0);
  t.deepEqual(await write(4), ['NOT_LEADER', 'no']);
  held.group = undefined;
  t.deepEqual(await write(4), ['NOT_LEADER', 'no']);
  t.is(system.leaderTerm, 0);
  t.is(entries.length, 0);
});

test('an entry that was lost did not happen; of one whose fate is unknown nobody knows', async (t) => {
  const { system, proposals } = fixture();
  const lost = fateOf(system.write([{ key: 'a', value: '1' }], 4));
  proposals[0]?.settle('lost');
  t.deepEqual(await lost, ['NOT_LEADER', 'no']);
  const unknown = fateOf(system.write([{ key: 'a', value: '2' }], 4));
  proposals[1]?.settle('unknown');
  t.deepEqual(await unknown, ['NOT_LEADER', 'unknown']);
});

test('a core that takes nothing now is BUSY, and nothing happened', async (t) => {
  const { system, state, proposals } = fixture();
  for (const refusal of ['transferring', 'busy']) {
    state.refusal = refusal;
    t.deepEqual(await fateOf(system.write([{ key: 'a', value: '1' }], 4)), ['BUSY', 'no']);
  }
  t.is(proposals.length, 0);
});

test('every record is read, page after page, once the leadership is confirmed', async (t) => {
  const { system, confirmations, pages, hold } = fixture();
  const keys = ['cluster', 'history/1', 'node/n1', 'node/n2', 'shard/1'];
  hold(keys);
  const read = system.read(4);
  t.is(pages.length, 0, 'not before');
  confirmations[0]?.(1);
  t.deepEqual(
    [...(await read)],
    keys.map((key) => [key, `value of ${key}`]),
  );
  t.deepEqual(pages, [2, 2, 1]);
});

test('a leadership that is not confirmed, or ends while it is read, gives no records', async (t) => {
  const { system, state, confirmations } = fixture();
  const refused = fateOf(system.read(4));
  confirmations[0]?.(undefined);
  t.deepEqual(await refused, ['NOT_LEADER', 'no']);
  const ended = fateOf(system.read(4));
  state.term = 5;
  confirmations[1]?.(1);
  t.deepEqual(await ended, ['NOT_LEADER', 'no']);
  t.deepEqual(await fateOf(system.read(4)), ['NOT_LEADER', 'no'], 'the term that was asked for is over');
  t.is(confirmations.length, 2);
});

test('a replica that ever took a record says so, even when its log begins after it; elections alone are no record', async (t) => {
  const { system, state, held, proposals } = fixture();
  t.false(system.hasRecords);
  const written = system.write([{ key: 'a', value: '1' }], 4);
  proposals[0]?.settle('applied');
  await written;
  t.true(system.hasRecords);
  const later = fixture();
  later.state.firstIndex = 12;
  t.false(later.system.hasRecords, 'what was let go of may have been elections');
  later.state.isRestoring = true;
  t.true(later.system.hasRecords, 'a snapshot comes from a cluster that is founded');
  later.state.isRestoring = false;
  later.mutations.has = true;
  t.true(later.system.hasRecords);
  held.group = undefined;
  t.false(system.hasRecords, 'a node without a replica of it proves nothing');
  t.is(state.firstIndex, 1);
});
