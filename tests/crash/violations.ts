/** What a run found wrong: all of it counted, the first ones told to people. */
const keptViolations = 40;

export class Violations {
  readonly kept: string[] = [];
  count = 0;

  constructor(private readonly say: (text: string) => void) {}

  add(what: string): void {
    this.count++;
    if (this.kept.length >= keptViolations) return;
    this.kept.push(what);
    this.say(`VIOLATION ${what}`);
  }
}
