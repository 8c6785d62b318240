/** Goal: faults in force add up as the types say. Method: fast-check over sets of effects, a dumb oracle for each field. */
import test from 'ava';
import fc from 'fast-check';
import { isRingraftError } from '../../../src/base/index.js';
import type { LinkEffect } from '../../../src/faults/index.js';
import { checkEffect, combineEffects, isUnshaped, shapeOf, unshaped } from '../../../src/faults/shaping.js';

const effect: fc.Arbitrary<LinkEffect> = fc.record(
  {
    cut: fc.boolean(),
    delayMs: fc.integer({ min: 0, max: 1000 }),
    jitterMs: fc.integer({ min: 0, max: 100 }),
    lossShare: fc.double({ min: 0, max: 0.9, noNaN: true }),
    bytesPerSecond: fc.integer({ min: 1, max: 1_000_000 }),
  },
  { requiredKeys: [] },
);

const sum = (numbers: readonly (number | undefined)[]): number =>
  numbers.reduce<number>((total, each) => total + (each ?? 0), 0);

test('cut by any, delays and jitters add, losses multiply what gets through, the least rate counts', (t) => {
  fc.assert(
    fc.property(fc.array(effect, { maxLength: 6 }), (effects) => {
      const shape = combineEffects(effects);
      t.is(
        shape.cut,
        effects.some(({ cut }) => cut === true),
      );
      t.is(shape.delayMs, sum(effects.map(({ delayMs }) => delayMs)));
      t.is(shape.jitterMs, sum(effects.map(({ jitterMs }) => jitterMs)));
      const through = effects.map(({ lossShare = 0 }) => 1 - lossShare).reduce((a, b) => a * b, 1);
      t.true(Math.abs(1 - shape.lossShare - through) < 1e-9);
      t.is(
        shape.bytesPerSecond,
        Math.min(...effects.map(({ bytesPerSecond }) => bytesPerSecond ?? Infinity), Infinity),
      );
    }),
  );
});

test('the order of faults does not matter but for rounding, and no fault is no effect', (t) => {
  fc.assert(
    fc.property(fc.array(effect, { maxLength: 6 }), (effects) => {
      const [one, other] = [combineEffects(effects), combineEffects([...effects].reverse())];
      t.deepEqual({ ...one, lossShare: 0 }, { ...other, lossShare: 0 });
      t.true(Math.abs(one.lossShare - other.lossShare) < 1e-9);
    }),
  );
  t.deepEqual(combineEffects([]), unshaped);
  t.true(isUnshaped(combineEffects([{}])));
  t.false(isUnshaped(combineEffects([{ jitterMs: 1 }])));
});

test('what loses every packet is cut', (t) => {
  t.true(combineEffects([{ lossShare: 1 }]).cut);
  t.false(combineEffects([{ lossShare: 0.999 }]).cut);
});

test('a link has only the effects that name it, in its direction, of all faults', (t) => {
  const link = { from: 'nats-n1', to: 'nats-n2' };
  const back = { from: 'nats-n2', to: 'nats-n1' };
  const faults = [
    { id: 'a', description: '', effects: [{ ...link, effect: { delayMs: 3 } }] },
    {
      id: 'b',
      description: '',
      effects: [
        { ...link, effect: { delayMs: 4 } },
        { ...back, effect: { cut: true } },
      ],
    },
  ];
  t.deepEqual(shapeOf(link, faults), { ...unshaped, delayMs: 7 });
  t.deepEqual(shapeOf(back, faults), { ...unshaped, cut: true });
});

test('numbers no link can have are refused by name', (t) => {
  for (const bad of [{ delayMs: -1 }, { jitterMs: Number.NaN }, { lossShare: 1.01 }, { bytesPerSecond: 0 }]) {
    const error = t.throws(() => checkEffect(bad));
    t.true(isRingraftError(error, 'BAD_REQUEST'));
    t.true(error?.message.startsWith(Object.keys(bad)[0] as string));
  }
  t.notThrows(() => checkEffect({ cut: true, delayMs: 0, jitterMs: 5, lossShare: 1, bytesPerSecond: 1 }));
});
