/** A client of a scenario: its operations are awaited in virtual time and become part of the history that is checked. */
import { isRingraftError, type Random } from '../../src/base/index.js';
import type { OperationRecord } from '../../src/checker/index.js';
import {
  type Consistency,
  connectClient,
  type LookUpResult,
  type ReadOptions,
  type RingraftClient,
  type WriteOptions,
} from '../../src/client/index.js';
import { Life } from './life.js';
import type { Network } from './network.js';
import type { World } from './world.js';

export const scenarioBucket = 'default';

export type ScenarioClientParts = {
  readonly world: World;
  readonly network: Network;
  readonly name: string;
  readonly number: number;
  readonly timeoutMs: number;
  readonly nextStamp: () => number;
};

export class ScenarioClient {
  readonly history: OperationRecord[] = [];
  readonly life: Life;
  readonly name: string;
  private readonly random: Random;
  private client: RingraftClient | undefined;

  constructor(private readonly parts: ScenarioClientParts) {
    const { world, name } = parts;
    this.name = name;
    this.life = new Life(name, world, { rate: 1, wallOffsetMs: 0 });
    this.random = world.fork();
  }

  async connect(): Promise<void> {
    const { network, timeoutMs, name } = this.parts;
    const bus = network.connect(name, this.life);
    const { clock } = this.life;
    this.client = await connectClient(bus, { cluster: 'sim', clock, random: this.random, timeoutMs });
  }

  /** The real client: what is asked of it directly is not part of the history. */
  get raw(): RingraftClient {
    if (this.client === undefined) throw new Error(`${this.name} is not connected`);
    return this.client;
  }

  put(key: string, value: string, options: WriteOptions = {}): Promise<void> {
    return this.record(key, { op: 'put', value }, async () => {
      await this.raw.put(scenarioBucket, key, Buffer.from(value, 'latin1'), options);
      return { kind: 'ok' };
    });
  }

  async get(key: string, consistency: Consistency = 'linearizable', timeoutMs?: number): Promise<string | null> {
    let value: string | null = null;
    await this.record(key, { op: 'get' }, async () => {
      const options = { consistency, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
      const found = await this.raw.get(scenarioBucket, key, options);
      value = found === undefined ? null : found.value.toString('latin1');
      return { kind: 'ok', value };
    });
    return value;
  }

  /** Part of the history only where the answer is said to be no older than the question. */
  async lookUp(key: string, options: ReadOptions): Promise<LookUpResult> {
    const { number: client, nextStamp } = this.parts;
    const invoked = nextStamp();
    const found = await this.raw.lookUp(scenarioBucket, key, options);
    const value = found.item === undefined ? null : found.item.value.toString('latin1');
    const output = { kind: 'ok', value } as const;
    if (!found.maybeStale)
      this.history.push({ client, invoked, completed: nextStamp(), key, input: { op: 'get' }, output });
    return found;
  }

  private async record(
    key: string,
    input: OperationRecord['input'],
    run: () => Promise<OperationRecord['output']>,
  ): Promise<void> {
    const { number: client, nextStamp } = this.parts;
    const invoked = nextStamp();
    try {
      const output = await run();
      this.history.push({ client, invoked, completed: nextStamp(), key, input, output });
    } catch (error) {
      const isOpen = input.op !== 'get' && isRingraftError(error) && error.happened !== 'no';
      if (isOpen) {
        const completed = Number.POSITIVE_INFINITY;
        this.history.push({ client, invoked, completed, key, input, output: { kind: 'unknown' } });
      }
      throw error;
    }
  }
}
