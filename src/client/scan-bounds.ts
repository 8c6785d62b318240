/** What a scan's options ask for, as one half-open interval of keys. */
import { asBuffer, emptyBytes, prefixEnd, RingraftError } from '../base/index.js';
import type { ScanOptions } from './types.js';

/** `lt` undefined: to the end of the bucket. */
export type ScanBounds = { readonly gte: Buffer; readonly lt: Buffer | undefined };

/** undefined: no key can lie within. */
export function scanBounds({ prefix, gte, lt }: ScanOptions): ScanBounds | undefined {
  let low = gte === undefined ? emptyBytes : asBuffer(gte);
  let high = lt === undefined ? undefined : asBuffer(lt);
  if (prefix !== undefined) {
    const first = asBuffer(prefix);
    const end = prefixEnd(prefix);
    if (Buffer.compare(first, low) > 0) low = first;
    if (end !== undefined && (high === undefined || Buffer.compare(end, high) < 0)) high = end;
  }
  return high !== undefined && Buffer.compare(low, high) >= 0 ? undefined : { gte: low, lt: high };
}

/** What is left of the interval after `key` was given. */
export function boundsAfter(bounds: ScanBounds, key: Buffer, reverse: boolean): ScanBounds {
  if (reverse) return { gte: bounds.gte, lt: key };
  return { gte: Buffer.concat([key, Buffer.of(0)]), lt: bounds.lt };
}

/** The number of items asked for; throws BAD_REQUEST for what is none. */
export function scanLimit({ limit }: ScanOptions): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  if (!Number.isInteger(limit) || limit < 0) {
    throw new RingraftError('BAD_REQUEST', `a limit is a whole number of items, not ${limit}`);
  }
  return limit;
}
