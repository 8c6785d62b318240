/** How to reach NATS; everything but `servers` may be absent. */
export type NatsOptions = {
  readonly servers: readonly string[];
  /** Shown by the server's connection list. */
  readonly name: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Path of a NATS credentials file. */
  readonly credentialsFile?: string;
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
  /** First connection: give up after this long with UNREACHABLE. Later ones are tried for ever. */
  readonly connectTimeoutMs?: number;
};
