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
  /** Path of a file with the seed of an nkey user. */
  readonly nkeySeedFile?: string | undefined;
  /** First tokens of every inbox, so that permissions can keep one user's answers from another; `_INBOX` by default. */
  readonly inboxPrefix?: string | undefined;
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
