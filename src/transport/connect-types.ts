/** How to reach NATS; everything but `servers` may be absent. */
export type NatsOptions = {
  readonly servers: readonly string[];
  /** Shown by the server's connection list. */
  readonly name: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** Path of a NATS credentials file. */
  readonly credentialsFile?: string | undefined;
  readonly tls?:
    | {
        readonly caFile?: string | undefined;
        readonly certFile?: string | undefined;
        readonly keyFile?: string | undefined;
      }
    | undefined;
  /** First connection: give up after this long with UNREACHABLE. Later ones are tried for ever. */
  readonly connectTimeoutMs?: number;
};
