/** What is in force on this node, and what it has done so far. */
import { mergeNodeFaults } from './node-faults.js';
import type { NodeFaults } from './types.js';

export class FaultsInForce {
  private faults: NodeFaults = {};
  private readonly listeners: (() => void)[] = [];
  refusedWrites = 0;
  delayedWrites = 0;

  get all(): NodeFaults {
    return this.faults;
  }

  get isDiskFull(): boolean {
    return this.faults.disk?.full === true;
  }

  get writeDelayMs(): number {
    return this.faults.disk?.writeDelayMs ?? 0;
  }

  get clockOffsetMs(): number {
    return this.faults.clockOffsetMs ?? 0;
  }

  /** From here on these, and no others. Whether that changes anything. */
  replace(faults: NodeFaults): boolean {
    const merged = mergeNodeFaults([faults]);
    if (JSON.stringify(merged) === JSON.stringify(this.faults)) return false;
    this.faults = merged;
    for (const listener of this.listeners) listener();
    return true;
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }
}
