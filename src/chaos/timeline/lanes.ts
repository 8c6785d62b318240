/** Puts what would overlap below each other. */
export type Extent = { readonly left: number; readonly right: number };

/** The lane of each, from 0; in the order given, each in the first lane that has room. */
export function lanesOf(extents: readonly Extent[], gap: number): readonly number[] {
  const ends: number[] = [];
  return extents.map(({ left, right }) => {
    const free = ends.findIndex((end) => end + gap <= left);
    const lane = free === -1 ? ends.length : free;
    ends[lane] = right;
    return lane;
  });
}
