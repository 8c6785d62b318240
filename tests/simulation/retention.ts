import type { HostLimits } from '../../src/host/options.js';

/** What stays of the log where members lag, and less of it where none does. */
export const retention = (retainedLogBytes: number): Pick<HostLimits, 'retainedLogBytes' | 'trailingLogBytes'> => ({
  retainedLogBytes,
  trailingLogBytes: retainedLogBytes / 4,
});

/** Memory is let go of ten times as often as the disk. */
export const trimming = (trimEveryBytes: number): Pick<HostLimits, 'trimEveryBytes' | 'packEveryBytes'> => ({
  trimEveryBytes,
  packEveryBytes: trimEveryBytes / 10,
});
