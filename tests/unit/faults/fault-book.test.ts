/** Goal: what the book says is in force is in force, whatever fails. Method: a back end that records what it is told. */
import test from 'ava';
import { isRingraftError, RingraftError } from '../../../src/base/index.js';
import { FaultBook } from '../../../src/faults/fault-book.js';
import { type LinkFault, oneWay, split } from '../../../src/faults/index.js';
import type { LinkBackEnd, ShapedLinkState } from '../../../src/faults/link-back-end.js';

const hosts = ['n1', 'n2', 'n3'];

class RecordingBackEnd implements LinkBackEnd {
  readonly links = hosts.flatMap((from) =>
    hosts.filter((to) => to !== from).map((to) => ({ from: `nats-${from}`, to: `nats-${to}` })),
  );
  readonly applied: (readonly string[])[] = [];
  refuses: RingraftError | undefined;
  failures = 0;
  isBusy = false;

  async check(): Promise<void> {
    if (this.refuses !== undefined) throw this.refuses;
  }

  async apply(shapes: readonly ShapedLinkState[]): Promise<void> {
    if (this.isBusy) throw new Error('two changes at once');
    this.isBusy = true;
    await Promise.resolve();
    this.isBusy = false;
    this.applied.push(shapes.filter(({ shape }) => shape.cut).map(({ from, to }) => `${from}>${to}`));
    if (this.failures > 0) {
      this.failures--;
      throw new RingraftError('BAD_REQUEST', 'the kernel says no');
    }
  }

  async reset(links: readonly unknown[]): Promise<number> {
    return links.length;
  }

  async close(): Promise<void> {}
}

function aBook() {
  const backEnd = new RecordingBackEnd();
  return { backEnd, book: new FaultBook(backEnd, { probe: async () => [] }) };
}

const fault = (id: string, plan: Omit<LinkFault, 'id'> = oneWay('n1', 'n2')): LinkFault => ({ id, ...plan });

test('faults add up, and each goes by itself', async (t) => {
  const { backEnd, book } = aBook();
  await book.inject(fault('a'));
  await book.inject(fault('b', oneWay('n2', 'n3')));
  t.deepEqual(
    (await book.list()).map(({ id }) => id),
    ['a', 'b'],
  );
  t.true(await book.remove('a'));
  t.false(await book.remove('a'));
  t.deepEqual(backEnd.applied, [['nats-n1>nats-n2'], ['nats-n1>nats-n2', 'nats-n2>nats-n3'], ['nats-n2>nats-n3']]);
  t.is(await book.heal(), 1);
  t.is(await book.heal(), 0);
  t.deepEqual(backEnd.applied.at(-1), []);
});

test('an id in use is a CONFLICT, also while the first is on its way', async (t) => {
  const { book } = aBook();
  const [one, other] = await Promise.allSettled([book.inject(fault('a')), book.inject(fault('a'))]);
  t.is(one.status, 'fulfilled');
  t.true(other.status === 'rejected' && isRingraftError(other.reason, 'CONFLICT'));
  t.is((await book.list()).length, 1);
});

test('changes asked for at the same time are made one after the other', async (t) => {
  const { book } = aBook();
  await Promise.all([book.inject(fault('a')), book.inject(fault('b')), book.remove('a'), book.heal(), book.heal()]);
  t.deepEqual(await book.list(), []);
});

test('what is refused leaves nothing: unknown links, bad numbers, what the back end cannot', async (t) => {
  const { backEnd, book } = aBook();
  const effects = [{ from: 'nats-n1', to: 'nats-n2', effect: { delayMs: -1 } }];
  const refused = [fault('a', split([['n1'], ['n4']])), fault('b', { description: 'x', effects })];
  for (const each of refused) t.true(isRingraftError(await t.throwsAsync(book.inject(each)), 'BAD_REQUEST'));
  backEnd.refuses = new RingraftError('BAD_REQUEST', 'no netem');
  await t.throwsAsync(book.inject(fault('c')), { message: 'no netem' });
  t.deepEqual([backEnd.applied, await book.list()], [[], []]);
  await t.throwsAsync(book.reset([{ from: 'n1', to: 'nats-n1' }]), { message: /no link n1 -> nats-n1/ });
});

test('a change that fails half-way is undone, and the next one works', async (t) => {
  const { backEnd, book } = aBook();
  await book.inject(fault('a'));
  backEnd.failures = 1;
  await t.throwsAsync(book.inject(fault('b', oneWay('n2', 'n3'))), { message: 'the kernel says no' });
  t.deepEqual(backEnd.applied.at(-1), ['nats-n1>nats-n2']);
  t.is((await book.list()).length, 1);
  backEnd.failures = 2;
  await t.throwsAsync(book.heal());
  t.is((await book.list()).length, 1, 'still in force, as far as can be known');
  t.is(await book.heal(), 1);
  t.deepEqual(backEnd.applied.at(-1), []);
});
