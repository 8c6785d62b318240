/** Counts of one endpoint since the start, as ADR-32 wants them. */
export type EndpointStatistics = {
  readonly name: string;
  readonly subject: string;
  readonly requests: number;
  readonly errors: number;
  readonly lastError: string;
  readonly processingTimeNs: number;
};

export class EndpointCounter {
  private requests = 0;
  private errors = 0;
  private lastError = '';
  private processingTimeMs = 0;

  constructor(
    readonly name: string,
    readonly subject: string,
  ) {}

  /** One request is done; `error` is its error's text, if it failed. */
  count(elapsedMs: number, error: string | undefined): void {
    this.requests++;
    this.processingTimeMs += elapsedMs;
    if (error === undefined) return;
    this.errors++;
    this.lastError = error;
  }

  snapshot(): EndpointStatistics {
    return {
      name: this.name,
      subject: this.subject,
      requests: this.requests,
      errors: this.errors,
      lastError: this.lastError,
      processingTimeNs: Math.round(this.processingTimeMs * 1e6),
    };
  }
}
