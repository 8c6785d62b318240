/** Long work over keys, with its progress shown on standard error. */
import { startProgress } from '../../src/cli/progress.js';

/** The seconds it took. */
export async function withProgress(
  what: string,
  keys: number,
  work: (onDone: (keys: number) => void) => Promise<void>,
): Promise<number> {
  const progress = startProgress({ err: process.stderr }, what, keys, 'keys');
  const beganMs = performance.now();
  try {
    await work((count) => progress.advance(count));
  } finally {
    progress.stop();
  }
  return (performance.now() - beganMs) / 1000;
}
