/** An earlier result from its file, checked: whoever compares with something else is told what it is. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, RingraftError } from '../../base/index.js';
import { problemsOf } from '../../config/index.js';
import { benchFormat } from './result.js';

const figure = z.number().nonnegative();

/** What a comparison needs; what else stands there is left aside. */
const earlierRunSchema = z.object({
  format: z.literal(benchFormat),
  version: z.string(),
  date: z.iso.datetime(),
  setting: z.record(z.string(), z.union([z.string(), z.number()])),
  isInterrupted: z.boolean(),
  perSecond: figure,
  failed: figure,
  unknown: figure,
  latencyMs: z.object({ mean: figure, p50: figure, p90: figure, p99: figure, p999: figure, max: figure }),
});

export type EarlierRun = z.infer<typeof earlierRunSchema>;

/** BAD_REQUEST with what is wrong with the file. */
export function parseEarlierRun(text: string, source: string): EarlierRun {
  const refuse = (why: string, cause?: unknown): RingraftError =>
    new RingraftError('BAD_REQUEST', `${source} is no result of kvctl bench -o json: ${why}`, { cause });
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch (cause) {
    throw refuse(text.trim() === '' ? 'it is empty' : 'it is not JSON', cause);
  }
  const parsed = earlierRunSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  // Of a file in another format one line says enough.
  const problems = problemsOf(parsed.error, input, {});
  const told = problems.find(({ path }) => path === 'format') ?? problems[0];
  throw refuse(`${told?.path}: ${told?.message}`);
}

export function readEarlierRun(path: string): EarlierRun {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RingraftError('BAD_REQUEST', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  return parseEarlierRun(text, path);
}
