/**
 * Where a moment stands on the time line. The order of all moments must be seen, and a minute in which nothing happens must
 * not squeeze the milliseconds that matter; so every two different stamps are at least a little apart, stretches with
 * operations share the width by their length, and long ones without are cut short.
 */
import { countBelow } from '../ended.js';

export type Span = { readonly fromMs: number; readonly toMs: number };

export type Axis = {
  readonly width: number;
  at(ms: number): number;
  /** Stamps to name, far enough apart for their names. */
  readonly ticks: readonly number[];
  /** Middles of the stretches that were cut short, and how long they were. */
  readonly cuts: readonly { readonly x: number; readonly lengthMs: number }[];
};

const busyWidth = 620;
const leastStep = 18;
const cutWidth = 48;
const tickDistance = 100;

/** `busy`: when operations were under way. `others`: more stamps to place. */
export function axisOf(busy: readonly Span[], others: readonly number[]): Axis {
  const stamps = [...new Set([...busy.flatMap(({ fromMs, toMs }) => [fromMs, toMs]), ...others])].sort((a, b) => a - b);
  const isBusy = (from: number, to: number): boolean => busy.some((span) => span.fromMs <= from && span.toMs >= to);
  const steps = stamps.slice(1).map((to, at) => {
    const from = stamps[at] as number;
    return { from, lengthMs: to - from, isBusy: isBusy(from, to) };
  });
  const busyMs = steps.reduce((sum, step) => sum + (step.isBusy ? step.lengthMs : 0), 0);
  const scale = busyWidth / Math.max(busyMs, 1e-6);
  const places = [0];
  const cuts: { x: number; lengthMs: number }[] = [];
  for (const step of steps) {
    const x = places.at(-1) as number;
    const wanted = leastStep + step.lengthMs * scale;
    const isCut = !step.isBusy && wanted > cutWidth;
    if (isCut) cuts.push({ x: x + cutWidth / 2, lengthMs: step.lengthMs });
    places.push(x + (isCut ? cutWidth : wanted));
  }
  const at = (ms: number): number => {
    const next = countBelow(stamps, ms);
    if (next >= stamps.length) return places.at(-1) ?? 0;
    if (next === 0 || stamps[next] === ms) return places[next] ?? 0;
    const [from, to] = [stamps[next - 1] as number, stamps[next] as number];
    const [left, right] = [places[next - 1] as number, places[next] as number];
    return left + ((ms - from) / (to - from)) * (right - left);
  };
  return { width: places.at(-1) as number, at, ticks: ticksOf(stamps, at), cuts };
}

function ticksOf(stamps: readonly number[], at: (ms: number) => number): number[] {
  const ticks: number[] = [];
  for (const stamp of stamps) {
    const last = ticks.at(-1);
    if (last === undefined || at(stamp) - at(last) >= tickDistance) ticks.push(stamp);
  }
  return ticks;
}
