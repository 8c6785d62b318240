/** Large writes beside the workloads: what fills the buffers of a subscriber that does not read. */
import { type Clock, isRingraftError, pause } from '../base/index.js';
import type { RingraftClient } from '../client/index.js';

const valueBytes = 128 * 1024;
const pauseMs = 10;
const timeoutMs = 2000;
const atOnce = 8;

/** Writes to these keys until `signal`; what becomes of a write does not matter. */
export async function writeBallast(
  client: RingraftClient,
  bucket: string,
  keys: readonly string[],
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const value = Buffer.alloc(valueBytes, 0x2e);
  const writer = async (first: number): Promise<void> => {
    for (let at = first; !signal.aborted; at += atOnce) {
      try {
        await client.put(bucket, keys[at % keys.length] as string, value, { timeoutMs });
      } catch (error) {
        if (!isRingraftError(error)) throw error;
      }
      await pause(clock, pauseMs);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, at) => writer(at)));
}
