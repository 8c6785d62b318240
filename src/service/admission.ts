/**
 * How much a node takes on at once: what is beyond is answered BUSY without delay, so that it neither waits behind work
 * that nobody may be waiting for any more nor fills the memory.
 */
import { RingraftError } from '../base/index.js';

export type AdmissionLimits = {
  /** In requests with one key; a batch counts for its operations, a scan for several. */
  readonly maxRequests: number;
  /** What the bodies of the requests under way hold. */
  readonly maxBytes: number;
};

/** As many as a node answers in a fraction of a second, also when its code is cold: who is refused is to know it soon. */
export const usualLimits: AdmissionLimits = { maxRequests: 1024, maxBytes: 64 * 1024 * 1024 };

/** One request that was taken in. */
export type Ticket = {
  /** It turns out to weigh more. Throws BUSY, unless there is nothing else under way. */
  grow(weight: number): void;
  /** Call it once, when the request is answered. */
  leave(): void;
};

export class Admission {
  private requests = 0;
  private bytes = 0;

  constructor(private readonly limits: AdmissionLimits) {}

  /** Takes the request in or throws BUSY. Whatever its size, one is taken in where there is no other. */
  enter(bytes: number): Ticket {
    const { maxRequests, maxBytes } = this.limits;
    if (this.requests + 1 > maxRequests && this.requests > 0) throw this.busy();
    if (this.bytes + bytes > maxBytes && this.bytes > 0) {
      throw new RingraftError('BUSY', `requests of ${this.bytes} bytes are under way on this node`);
    }
    this.requests++;
    this.bytes += bytes;
    let own = 1;
    return {
      grow: (weight) => {
        const others = this.requests - own;
        if (others + weight > maxRequests && others > 0) throw this.busy();
        this.requests += weight - own;
        own = weight;
      },
      leave: () => {
        this.requests -= own;
        this.bytes -= bytes;
      },
    };
  }

  private busy(): RingraftError {
    return new RingraftError('BUSY', `${this.requests} requests are under way on this node`);
  }
}
