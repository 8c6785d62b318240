/** Violations as they are found: all counted, the first ones drawn. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from './availability.js';
import type { Violation } from './operation.js';
import { pageOf, timelineOf } from './timeline/index.js';

const mostKept = 50;

export class Violations {
  count = 0;
  readonly kept: Violation[] = [];

  constructor(private readonly onFound: (violation: Violation) => void) {}

  add(violation: Violation): void {
    this.count++;
    if (this.kept.length < mostKept) this.kept.push(violation);
    this.onFound(violation);
  }

  /** An SVG and an HTML page for each one kept; the paths of the pages, in the same order. */
  write(directory: string, faults: readonly Fault[]): readonly string[] {
    if (this.kept.length === 0) return [];
    const folder = join(directory, 'violations');
    mkdirSync(folder, { recursive: true });
    return this.kept.map((violation, at) => {
      const name = `${String(at + 1).padStart(2, '0')}-${violation.workload}`;
      const svg = timelineOf(violation, faults);
      const page = join(folder, `${name}.html`);
      writeFileSync(join(folder, `${name}.svg`), `${svg}\n`);
      writeFileSync(page, pageOf(violation, svg));
      return page;
    });
  }
}
