/** Nodes in lists by their zone, made anew and used up over and over; a list that is used up costs nothing more. */

export class ZoneLists {
  /** Nodes zone by zone, and where each zone begins. */
  private readonly order: Int32Array;
  private readonly starts: readonly number[];
  private readonly nodes: Int32Array;
  private readonly counts: Int32Array;
  /** Zones whose list is not empty. */
  private readonly zones: number[] = [];

  constructor(private readonly zoneOf: Int32Array) {
    this.order = Int32Array.from(zoneOf.keys()).sort((a, b) => (zoneOf[a] as number) - (zoneOf[b] as number) || a - b);
    const zoneCount = Math.max(...zoneOf) + 1;
    this.starts = Array.from({ length: zoneCount }, (_, zone) => this.order.findIndex((node) => zoneOf[node] === zone));
    this.nodes = new Int32Array(zoneOf.length);
    this.counts = new Int32Array(zoneCount);
  }

  get isEmpty(): boolean {
    return this.zones.length === 0;
  }

  fill(isListed: (node: number) => boolean): void {
    this.counts.fill(0);
    this.zones.length = 0;
    for (const node of this.order) {
      if (!isListed(node)) continue;
      const zone = this.zoneOf[node] as number;
      const count = this.counts[zone] as number;
      if (count === 0) this.zones.push(zone);
      this.nodes[(this.starts[zone] as number) + count] = node;
      this.counts[zone] = count + 1;
    }
  }

  /** Asks `takerOf` for each zone; strikes the nodes off that the taker takes. */
  drain(takerOf: (zone: number) => ((node: number) => boolean) | undefined): void {
    for (let at = this.zones.length - 1; at >= 0; at--) {
      const zone = this.zones[at] as number;
      const take = takerOf(zone);
      if (take === undefined) continue;
      const start = this.starts[zone] as number;
      let left = 0;
      for (let index = start; index < start + (this.counts[zone] as number); index++) {
        const node = this.nodes[index] as number;
        if (!take(node)) this.nodes[start + left++] = node;
      }
      this.counts[zone] = left;
      if (left === 0) this.zones.splice(at, 1);
    }
  }
}
