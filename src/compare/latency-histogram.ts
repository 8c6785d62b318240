/**
 * Latencies in whole microseconds, within 0.8 %, that can be sent to another process and added up there (Node's own
 * histogram can do neither). Up to 127 exact; above, each doubling has 64 buckets.
 */
const bitsKept = 6;
const perDoubling = 2 ** bitsKept;
const exactBelow = 2 * perDoubling;
const longest = 2 ** 36;

/** [bucket, count], of the buckets that are not empty. */
export type HistogramCounts = readonly (readonly [bucket: number, count: number])[];

export function bucketOf(micros: number): number {
  const value = Math.min(longest, Math.max(0, Math.round(micros)));
  if (value < exactBelow) return value;
  const shift = Math.floor(Math.log2(value)) - bitsKept;
  return (shift + 1) * perDoubling + Math.floor(value / 2 ** shift) - perDoubling;
}

/** The middle of a bucket. */
export function middleOf(bucket: number): number {
  if (bucket < exactBelow) return bucket;
  const shift = Math.floor(bucket / perDoubling) - 1;
  return ((bucket % perDoubling) + perDoubling + 0.5) * 2 ** shift;
}

export class LatencyHistogram {
  private readonly counts = new Float64Array(bucketOf(longest) + 1);
  private total = 0;

  record(micros: number): void {
    this.counts[bucketOf(micros)] = (this.counts[bucketOf(micros)] as number) + 1;
    this.total++;
  }

  add(counts: HistogramCounts): void {
    for (const [bucket, count] of counts) {
      this.counts[bucket] = (this.counts[bucket] ?? 0) + count;
      this.total += count;
    }
  }

  /** In microseconds; 0 when nothing was recorded. */
  percentile(percent: number): number {
    const rank = Math.max(1, Math.ceil((percent / 100) * this.total));
    let seen = 0;
    for (let bucket = 0; bucket < this.counts.length; bucket++) {
      seen += this.counts[bucket] as number;
      if (seen >= rank) return middleOf(bucket);
    }
    return 0;
  }

  toCounts(): HistogramCounts {
    return [...this.counts].flatMap((count, bucket) => (count === 0 ? [] : [[bucket, count] as const]));
  }
}
