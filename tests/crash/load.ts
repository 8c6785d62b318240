/**
 * The load of a crash run, and what it knows must hold. It owns the record of every write it sent.
 *
 * Two kinds of keys:
 * - A chain has one writer. Every write bears the next sequence number and the condition that the revision is the one
 *   last known, so a write whose outcome is unknown cannot take effect after a later one was acknowledged.
 * - A single is written once, without a condition: a lost write is not masked by the next one.
 *
 * Invariants, checked at every answer and again at the end:
 * 1. A read that began after sequence n was acknowledged or seen returns n or a later one: nothing acknowledged is lost,
 *    and what was seen does not vanish.
 * 2. A value is, byte for byte, one that was written to that key and not refused (`happened: no`).
 * 3. A chain's write conflicts only when an earlier one of unknown outcome may have taken effect: no retry applies twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isRingraftError, messageOf, type Random, randomBetween } from '../../src/base/index.js';
import type { GetResult, RingraftClient } from '../../src/client/index.js';
import { valueWritten } from './values.js';
import type { Violations } from './violations.js';

export const bucket = 'default';
/** After a refusal: let the cluster come back rather than spin. */
const pauseMs = 25;
const readChunk = 200;
const singleSequence = 1;

type Chain = {
  readonly key: string;
  /** The last sequence number sent. */
  sent: number;
  /** Refused: must never be seen. */
  readonly refused: Set<number>;
  /** Acknowledged or seen: nothing older may be seen from now on. */
  floor: number;
  revision: number | undefined;
  /** What the key holds is not known: to be read before the next write. */
  isUncertain: boolean;
  /** A write of unknown outcome was sent since the last acknowledged one. */
  mayConflict: boolean;
};

type SingleState = 'sent' | 'there' | 'refused';

export type LoadShape = {
  readonly chains: number;
  readonly hotChains: number;
  readonly singleWriters: number;
  readonly readers: number;
};

export class Load {
  readonly totals = { acknowledged: 0, unknown: 0, failed: 0, conflicts: 0, reads: 0 };
  longestGapMs = 0;
  private readonly chains: Chain[] = [];
  private readonly singles = new Map<string, SingleState>();
  private readonly singleKeys: string[] = [];
  private readonly workers: Promise<void>[] = [];
  private running = true;
  private lastSuccessMs = performance.now();

  constructor(
    private readonly random: Random,
    private readonly violations: Violations,
  ) {}

  /** Sets writers and readers going on one client. */
  start(client: RingraftClient, name: string, shape: LoadShape): void {
    for (let at = 0; at < shape.chains + shape.hotChains; at++) {
      const kind = at < shape.hotChains ? 'hot' : 'chain';
      const chain: Chain = {
        key: `${kind}/${name}/${at}`,
        sent: 0,
        refused: new Set(),
        floor: 0,
        revision: undefined,
        isUncertain: false,
        mayConflict: false,
      };
      this.chains.push(chain);
      this.workers.push(this.loop(() => this.extend(client, chain)));
    }
    for (let at = 0; at < shape.singleWriters; at++) {
      let next = 0;
      this.workers.push(this.loop(() => this.writeSingle(client, `single/${name}/${at}/${next++}`)));
    }
    for (let at = 0; at < shape.readers; at++) this.workers.push(this.loop(() => this.readSome(client)));
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.workers);
  }

  get keys(): number {
    return this.chains.length + this.singles.size;
  }

  /** Runs `step` until stopped; a step that says false is followed by a pause. */
  private async loop(step: () => Promise<boolean>): Promise<void> {
    while (this.running) {
      try {
        if (!(await step())) await sleep(pauseMs);
      } catch (error) {
        this.violations.add(`a client threw what is no operating error: ${messageOf(error)}`);
        return;
      }
    }
  }

  private acknowledged(): void {
    const nowMs = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.lastSuccessMs);
    this.lastSuccessMs = nowMs;
    this.totals.acknowledged++;
  }

  /** Whether a failed write may have happened. */
  private note(error: unknown): 'no' | 'unknown' {
    if (!isRingraftError(error)) throw error;
    if (error.happened === 'unknown') this.totals.unknown++;
    else this.totals.failed++;
    return error.happened;
  }

  private async extend(client: RingraftClient, chain: Chain): Promise<boolean> {
    if (chain.isUncertain && !(await this.learn(client, chain))) return false;
    const sequence = ++chain.sent;
    const condition = chain.revision === undefined ? { ifAbsent: true } : { ifRevision: chain.revision };
    try {
      const { revision } = await client.put(bucket, chain.key, valueWritten(chain.key, sequence), condition);
      Object.assign(chain, { revision, floor: Math.max(chain.floor, sequence), mayConflict: false });
      this.acknowledged();
      return true;
    } catch (error) {
      chain.isUncertain = true;
      if (isRingraftError(error, 'CONFLICT')) {
        chain.refused.add(sequence);
        this.totals.conflicts++;
        if (!chain.mayConflict) this.violations.add(`${chain.key}: write ${sequence} conflicts and nobody else wrote`);
      } else if (this.note(error) === 'unknown') chain.mayConflict = true;
      else chain.refused.add(sequence);
      return false;
    }
  }

  /** What the chain holds now. */
  private async learn(client: RingraftClient, chain: Chain): Promise<boolean> {
    const { floor } = chain;
    try {
      const found = await client.get(bucket, chain.key);
      this.checkChain(chain, floor, found);
      Object.assign(chain, { revision: found?.revision, isUncertain: false });
      return true;
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      return false;
    }
  }

  private async writeSingle(client: RingraftClient, key: string): Promise<boolean> {
    this.singles.set(key, 'sent');
    try {
      await client.put(bucket, key, valueWritten(key, singleSequence));
      this.singles.set(key, 'there');
      this.singleKeys.push(key);
      this.acknowledged();
      return true;
    } catch (error) {
      if (this.note(error) === 'no') this.singles.set(key, 'refused');
      else this.singleKeys.push(key);
      return false;
    }
  }

  /** One read of a random chain or of a random single. */
  private async readSome(client: RingraftClient): Promise<boolean> {
    const ofChain = randomBetween(this.random, 0, 1) === 0 || this.singleKeys.length === 0;
    const most = (ofChain ? this.chains.length : this.singleKeys.length) - 1;
    const at = randomBetween(this.random, 0, most);
    try {
      if (ofChain) {
        const chain = this.chains[at] as Chain;
        const { floor } = chain;
        this.checkChain(chain, floor, await client.get(bucket, chain.key));
      } else {
        const key = this.singleKeys[at] as string;
        const before = this.singles.get(key);
        this.checkSingle(key, before, await client.get(bucket, key));
      }
      this.totals.reads++;
      return true;
    } catch (error) {
      if (!isRingraftError(error)) throw error;
      return false;
    }
  }

  private checkChain(chain: Chain, floor: number, found: GetResult | undefined): void {
    const { key, sent, refused } = chain;
    if (found === undefined) {
      if (floor > 0) this.violations.add(`${key}: gone, ${floor} was there`);
      return;
    }
    const sequence = Number(found.value.subarray(0, 12).toString('latin1'));
    if (!(sequence >= 1 && sequence <= sent) || !found.value.equals(valueWritten(key, sequence))) {
      this.violations.add(`${key}: holds what nobody wrote (${found.value.subarray(0, 60).toString('latin1')})`);
    } else if (sequence < floor) this.violations.add(`${key}: went back from ${floor} to ${sequence}`);
    else if (refused.has(sequence)) this.violations.add(`${key}: holds ${sequence}, which was refused`);
    else chain.floor = Math.max(chain.floor, sequence);
  }

  private checkSingle(
    key: string,
    before: SingleState | undefined,
    found: { readonly value: Buffer } | undefined,
  ): void {
    if (before === undefined) this.violations.add(`${key}: nobody wrote that key`);
    else if (found === undefined) {
      if (before === 'there') this.violations.add(`${key}: lost`);
    } else if (!found.value.equals(valueWritten(key, singleSequence))) {
      this.violations.add(`${key}: holds what nobody wrote`);
    } else if (before === 'refused') this.violations.add(`${key}: is there, the write was refused`);
    else this.singles.set(key, 'there');
  }

  /** Reads every key once the load has stopped, then scans for keys that nobody wrote. How many keys were verified. */
  async verify(client: RingraftClient): Promise<number> {
    const chains = new Map(this.chains.map((chain) => [chain.key, chain]));
    const keys = [...chains.keys(), ...this.singles.keys()];
    for (let at = 0; at < keys.length; at += readChunk) {
      const chunk = keys.slice(at, at + readChunk);
      const found = await client.getMany(bucket, chunk);
      for (const [position, key] of chunk.entries()) {
        const settled = found[position];
        if (settled?.ok !== true) throw new Error(`${key} cannot be read: ${String(settled?.error)}`);
        const chain = chains.get(key);
        if (chain === undefined) this.checkSingle(key, this.singles.get(key), settled.result);
        else this.checkChain(chain, chain.floor, settled.result);
      }
    }
    let scanned = 0;
    for await (const { key } of client.scan(bucket, { keysOnly: true })) {
      const name = key.toString('latin1');
      if (!chains.has(name) && !this.singles.has(name)) this.violations.add(`${name}: nobody wrote that key`);
      scanned++;
    }
    const there =
      this.chains.filter(({ floor }) => floor > 0).length +
      [...this.singles.values()].filter((state) => state === 'there').length;
    if (scanned !== there) this.violations.add(`a scan finds ${scanned} keys, reads find ${there}`);
    return keys.length;
  }
}
