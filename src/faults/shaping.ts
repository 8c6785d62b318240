/** What all faults in force together do to one link. Pure. */
import { RingraftError } from '../base/index.js';
import type { Link, LinkEffect, LinkFault } from './types.js';

/** An effect with nothing left out. */
export type LinkShape = {
  readonly cut: boolean;
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly lossShare: number;
  /** Infinity: as many as come. */
  readonly bytesPerSecond: number;
};

/** A link without faults. */
export const unshaped: LinkShape = {
  cut: false,
  delayMs: 0,
  jitterMs: 0,
  lossShare: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
};

/** Cut by any; delays and jitters add up; a packet gets through when none loses it; the narrowest rate counts. */
export function combineEffects(effects: readonly LinkEffect[]): LinkShape {
  const combined = effects.reduce<LinkShape>(
    (shape, effect) => ({
      cut: shape.cut || effect.cut === true,
      delayMs: shape.delayMs + (effect.delayMs ?? 0),
      jitterMs: shape.jitterMs + (effect.jitterMs ?? 0),
      lossShare: 1 - (1 - shape.lossShare) * (1 - (effect.lossShare ?? 0)),
      bytesPerSecond: Math.min(shape.bytesPerSecond, effect.bytesPerSecond ?? Number.POSITIVE_INFINITY),
    }),
    unshaped,
  );
  // What loses every packet is a cut, and the same however it came to be.
  return { ...combined, cut: combined.cut || combined.lossShare >= 1 };
}

export const isSameLink = (one: Link, other: Link): boolean => one.from === other.from && one.to === other.to;

export const shapeOf = (link: Link, faults: readonly LinkFault[]): LinkShape =>
  combineEffects(
    faults.flatMap(({ effects }) => effects.filter((each) => isSameLink(each, link)).map(({ effect }) => effect)),
  );

export const isUnshaped = ({ cut, delayMs, jitterMs, lossShare, bytesPerSecond }: LinkShape): boolean =>
  !cut && delayMs === 0 && jitterMs === 0 && lossShare === 0 && bytesPerSecond === Number.POSITIVE_INFINITY;

export const isSameShape = (one: LinkShape, other: LinkShape): boolean =>
  one.cut === other.cut &&
  one.delayMs === other.delayMs &&
  one.jitterMs === other.jitterMs &&
  one.lossShare === other.lossShare &&
  one.bytesPerSecond === other.bytesPerSecond;

/** A day: longer is a mistake in the unit. */
const mostDelayMs = 86_400_000;

function checkNumber(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (Number.isFinite(value) && value >= least && value <= most)) return;
  throw new RingraftError('BAD_REQUEST', `${name} is ${value}: it has to be from ${least} to ${most}`);
}

/** Throws BAD_REQUEST for what no link can be. */
export function checkEffect({ delayMs, jitterMs, lossShare, bytesPerSecond }: LinkEffect): void {
  checkNumber('delayMs', delayMs, 0, mostDelayMs);
  checkNumber('jitterMs', jitterMs, 0, mostDelayMs);
  checkNumber('lossShare', lossShare, 0, 1);
  checkNumber('bytesPerSecond', bytesPerSecond, 1, Number.MAX_SAFE_INTEGER);
}
