/**
 * The faults in force, over one back end.
 *
 * Invariants:
 * 1. What changes links runs one after the other: the back end never sees two changes at once.
 * 2. A fault is in the book exactly when it is in force: one that the back end did not take leaves nothing behind.
 */
import { RingraftError } from '../base/index.js';
import type { LinkBackEnd } from './link-back-end.js';
import { checkEffect, isSameLink, shapeOf } from './shaping.js';
import type { FaultControl, Link, LinkFault, Reach } from './types.js';

export class FaultBook implements FaultControl {
  private faults: readonly LinkFault[] = [];
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly backEnd: LinkBackEnd,
    private readonly prober: Pick<FaultControl, 'probe'>,
  ) {}

  inject(fault: LinkFault): Promise<void> {
    return this.inOrder(async () => {
      if (this.faults.some(({ id }) => id === fault.id)) {
        throw new RingraftError('CONFLICT', `there is a fault ${fault.id} already`, { fields: { id: fault.id } });
      }
      this.checkLinks(fault.effects);
      for (const { effect } of fault.effects) checkEffect(effect);
      await this.backEnd.check(fault.effects);
      await this.change([...this.faults, fault]);
    });
  }

  remove(id: string): Promise<boolean> {
    return this.inOrder(async () => {
      const left = this.faults.filter((fault) => fault.id !== id);
      if (left.length === this.faults.length) return false;
      await this.change(left);
      return true;
    });
  }

  heal(): Promise<number> {
    return this.inOrder(async () => {
      const { length } = this.faults;
      await this.change([]);
      return length;
    });
  }

  async list(): Promise<readonly LinkFault[]> {
    return this.faults;
  }

  reset(links: readonly Link[]): Promise<number> {
    return this.inOrder(async () => {
      this.checkLinks(links);
      return this.backEnd.reset(links);
    });
  }

  probe(timeoutMs: number, bytes?: number): Promise<readonly Reach[]> {
    return this.prober.probe(timeoutMs, bytes);
  }

  private inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work);
    this.last = result.catch(() => {});
    return result;
  }

  private async change(next: readonly LinkFault[]): Promise<void> {
    try {
      await this.apply(next);
    } catch (error) {
      // What was half done is undone; the first error tells more than one of the way back.
      await this.apply(this.faults).catch(() => {});
      throw error;
    }
    this.faults = next;
  }

  private apply(faults: readonly LinkFault[]): Promise<void> {
    return this.backEnd.apply(this.backEnd.links.map((link) => ({ ...link, shape: shapeOf(link, faults) })));
  }

  private checkLinks(links: readonly Link[]): void {
    for (const link of links) {
      if (this.backEnd.links.some((each) => isSameLink(each, link))) continue;
      throw new RingraftError('BAD_REQUEST', `there is no link ${link.from} -> ${link.to}`);
    }
  }
}
