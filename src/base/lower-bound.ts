/** Where the first element is for which `isBelow` is false; `sorted` has those for which it is true in front. */
export function lowerBound<Element>(sorted: readonly Element[], isBelow: (element: Element) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(sorted[middle] as Element)) low = middle + 1;
    else high = middle;
  }
  return low;
}
