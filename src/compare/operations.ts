/** The operations of a workload, drawn from its mix, and whether their answers are right. */
import { type Random, randomBetween } from '../base/index.js';
import { type KeyChooser, unitInterval } from './key-choice.js';
import type { RunJob } from './load-protocol.js';
import { type PeerClient, PeerError } from './peer.js';
import { batchKeys, keyOf, longestScan, type OperationKind } from './workload.js';

export type OperationParts = {
  readonly client: PeerClient;
  readonly job: RunJob;
  readonly chooser: KeyChooser;
  readonly random: Random;
  readonly value: Buffer;
};

export class Operations {
  /** Reads of any replica that did not find what there is. */
  missed = 0;
  inserted = 0;

  constructor(private readonly parts: OperationParts) {}

  /** One operation; how many it counts as. */
  next(): Promise<number> {
    const { job, random } = this.parts;
    const { mix } = job.workload;
    const [first] = mix;
    if (mix.length === 1 && first !== undefined) return this.run(first[0]);
    let left = unitInterval(random);
    for (const [kind, share] of mix) {
      left -= share;
      if (left < 0) return this.run(kind);
    }
    return this.run((mix.at(-1) as (typeof mix)[number])[0]);
  }

  private async run(kind: OperationKind): Promise<number> {
    const { client, chooser, value } = this.parts;
    const { dataset } = this.parts.job.workload;
    switch (kind) {
      case 'read':
        await this.read(keyOf(dataset, chooser.next()));
        return 1;
      case 'update':
        await client.put(keyOf(dataset, chooser.next()), value);
        return 1;
      case 'read-modify-write': {
        const key = keyOf(dataset, chooser.next());
        await this.read(key);
        await client.put(key, value);
        return 1;
      }
      case 'insert':
        return this.insert();
      case 'scan':
        return this.scan();
      case 'batch-put': {
        const keys = this.batch();
        await client.putMany(keys, value);
        return keys.length;
      }
      case 'batch-get': {
        const keys = this.batch();
        const found = await client.getMany(keys);
        if (found !== keys.length) throw new PeerError('LOST', `${keys.length - found} keys of a batch are not there`);
        return keys.length;
      }
    }
  }

  private async read(key: string): Promise<void> {
    const { level, dataset } = this.parts.job.workload;
    const found = await this.parts.client.get(key, level);
    if (found?.length === dataset.valueBytes) return;
    if (found !== undefined) throw new PeerError('WRONG', `${key} has ${found.length} bytes`);
    this.missed++;
  }

  private async insert(): Promise<number> {
    const { client, job, chooser, value } = this.parts;
    const number = job.insertFrom + this.inserted++ * job.insertStep;
    await client.put(keyOf(job.workload.dataset, number), value);
    chooser.wasInserted(number);
    return 1;
  }

  private async scan(): Promise<number> {
    const { client, chooser, random, job } = this.parts;
    const { dataset } = job.workload;
    const limit = randomBetween(random, 1, longestScan);
    const first = chooser.next();
    const items = await client.scan(dataset, keyOf(dataset, first), limit);
    // Records that were inserted stand behind those that were loaded.
    if (items < Math.min(limit, dataset.records - first)) {
      throw new PeerError('WRONG', `a scan of ${limit} items found ${items}`);
    }
    return 1;
  }

  private batch(): readonly string[] {
    const { chooser, job } = this.parts;
    return chooser.many(batchKeys).map((number) => keyOf(job.workload.dataset, number));
  }
}
