/**
 * Mutations of user data that gather for one batch of the engine, which gets them in the order of the ring, as its keys are: a key
 * next to the one before it is put into the engine's table of recent writes in fewer steps than a key anywhere.
 *
 * Invariant: mutations of one key keep their order.
 */
import { assert } from '../base/index.js';
import type { EngineBatch } from '../engine/index.js';
import { ringOfDataKey } from './keys.js';

/** A place on the ring has 32 bits; with a number below this they are an integer that a double holds exactly. */
const mostMutations = 2 ** 21;

export class GatheredData {
  private readonly keys: Buffer[] = [];
  private readonly values: (Buffer | null)[] = [];

  get size(): number {
    return this.keys.length;
  }

  /** null: the key is deleted. */
  add(dataKey: Buffer, value: Buffer | null): void {
    this.keys.push(dataKey);
    this.values.push(value);
  }

  writeTo(batch: EngineBatch): void {
    const { keys, values } = this;
    assert(keys.length <= mostMutations, 'a batch is written long before it has so many mutations');
    const order = new Float64Array(keys.length);
    for (let at = 0; at < order.length; at++) order[at] = ringOfDataKey(keys[at] as Buffer) * mostMutations + at;
    order.sort();
    for (let next = 0; next < order.length; next++) {
      const at = (order[next] as number) % mostMutations;
      const value = values[at] as Buffer | null;
      if (value === null) batch.delete(keys[at] as Buffer);
      else batch.put(keys[at] as Buffer, value);
    }
  }
}
