/**
 * The faults in force in a local cluster, one file each, so that whoever heals finds what another program left behind.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultSpec } from './specs.js';

export type LedgerEntry = {
  readonly id: string;
  readonly spec: FaultSpec;
  /** Wall clock. */
  readonly sinceMs: number;
};

const suffix = '.json';

export class Ledger {
  constructor(private readonly directory: string) {}

  /** Under an id that nothing in force has: `split-1`. */
  add(spec: FaultSpec): LedgerEntry {
    mkdirSync(this.directory, { recursive: true });
    for (let number = 1; ; number++) {
      const entry = { id: `${spec.kind}-${number}`, spec, sinceMs: Date.now() };
      try {
        writeFileSync(this.pathOf(entry.id), JSON.stringify(entry), { flag: 'wx' });
        return entry;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  remove(id: string): void {
    rmSync(this.pathOf(id), { force: true });
  }

  /** The oldest first. */
  list(): readonly LedgerEntry[] {
    let names: readonly string[];
    try {
      names = readdirSync(this.directory).filter((name) => name.endsWith(suffix));
    } catch {
      return [];
    }
    const entries = names.flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(this.directory, name), 'utf8')) as LedgerEntry];
      } catch {
        // Removed meanwhile, or not written to the end yet.
        return [];
      }
    });
    return entries.sort((a, b) => a.sinceMs - b.sinceMs);
  }

  private pathOf(id: string): string {
    return join(this.directory, `${id}${suffix}`);
  }
}
