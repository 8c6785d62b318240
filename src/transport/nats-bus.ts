/**
 * The bus over NATS: one connection a lane. The only file that imports `nats`.
 *
 * Invariants:
 * 1. Nothing published while a lane is down is sent when it is up again (the client would keep it and flush it later;
 *    stale consensus traffic is worse than none), so publishing checks the state of the connection first.
 * 2. No message asks for an answer on an internal subject: NATS does not check who may publish on a reply subject, so
 *    an application could have a node say to another, with the node's permissions, what the application stored before.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createInbox,
  credsAuthenticator,
  Events,
  type Msg,
  headers as makeHeaders,
  type NatsConnection,
  NatsError,
  nkeyAuthenticator,
} from 'nats';
import { asBuffer, messageOf, RingraftError } from '../base/index.js';
import { isInternalSubject } from '../wire/index.js';
import {
  type Bus,
  type BusHeaders,
  type BusMessage,
  type BusSubscription,
  type Lane,
  maxHeaderBytes,
  type PublishOptions,
} from './bus.js';
import type { NatsOptions } from './connect-types.js';

const pingIntervalMs = 1000;
const maxPingsOut = 2;
const reconnectWaitMs = 100;
const reconnectJitterMs = 100;
const firstRetryMs = 100;
const defaultConnectTimeoutMs = 5000;
const noRespondersCode = 503;

type LaneState = { readonly connection: NatsConnection; connected: boolean };

/** The first line that is one: the `nk` tool writes remarks, and everybody a line end. */
function readSeed(path: string): Buffer {
  const seed = /^S[A-Z2-7]+$/m.exec(readSecret(path).toString())?.[0];
  if (seed === undefined) throw new RingraftError('CONFIG', `${path} holds no seed of an nkey user`);
  return Buffer.from(seed);
}

function readSecret(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new RingraftError('CONFIG', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

function connectionOptions(options: NatsOptions, lane: Lane): ConnectionOptions {
  const { tls } = options;
  return {
    servers: [...options.servers],
    name: `${options.name} (${lane})`,
    pingInterval: pingIntervalMs,
    maxPingOut: maxPingsOut,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectWaitMs,
    reconnectJitter: reconnectJitterMs,
    ignoreClusterUpdates: false,
    timeout: options.connectTimeoutMs ?? defaultConnectTimeoutMs,
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.password === undefined ? {} : { pass: options.password }),
    ...(options.token === undefined ? {} : { token: options.token }),
    ...(options.credentialsFile === undefined
      ? {}
      : { authenticator: credsAuthenticator(readSecret(options.credentialsFile)) }),
    ...(options.nkeySeedFile === undefined ? {} : { authenticator: nkeyAuthenticator(readSeed(options.nkeySeedFile)) }),
    ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...(tls.caFile === undefined ? {} : { caFile: tls.caFile }),
            ...(tls.certFile === undefined ? {} : { certFile: tls.certFile }),
            ...(tls.keyFile === undefined ? {} : { keyFile: tls.keyFile }),
          },
        }),
  };
}

const isRefusal = (error: unknown): boolean =>
  error instanceof NatsError &&
  ['AUTHORIZATION_VIOLATION', 'AUTHENTICATION_EXPIRED', 'BAD_AUTHENTICATION'].includes(error.code);

/** Node's own errors come from the handshake; the client wraps those of the socket. */
const isAboutTls = (error: unknown): boolean => !(error instanceof NatsError) || error.code === 'TLS';

/** What the client keeps of an attempt to connect, and where. A conformance test needs it to be there. */
type Attempt = { done: boolean; yields: unknown[]; socket?: Socket };
type Dialling = { readonly protocol: { transport?: Attempt; prepare(): unknown } };

/**
 * An attempt that was given up before the server had greeted it is not closed by the client (2.29). When it ends later the
 * client takes that for the end of the connection that stands, begins another, and reads the bytes of both as one stream:
 * messages are lost, or worse, made of two. So whoever is followed by another attempt is over.
 */
function endFormerAttempts(connection: NatsConnection): NatsConnection {
  const { protocol } = connection as unknown as Dialling;
  const prepare = protocol.prepare.bind(protocol);
  protocol.prepare = () => {
    const { transport: former } = protocol;
    if (former !== undefined) {
      former.done = true;
      former.yields.length = 0;
      former.socket?.removeAllListeners();
      former.socket?.on('error', () => {}).destroy();
    }
    return prepare();
  };
  return connection;
}

/** The first connection: tried again until the time is out, since servers and clients may start together. */
async function connectFirst(options: NatsOptions, lane: Lane): Promise<NatsConnection> {
  const deadlineMs = performance.now() + (options.connectTimeoutMs ?? defaultConnectTimeoutMs);
  const wanted = connectionOptions(options, lane);
  for (;;) {
    try {
      return endFormerAttempts(await connect(wanted));
    } catch (cause) {
      if (isRefusal(cause)) {
        throw new RingraftError('DENIED', `NATS at ${options.servers.join(', ')} refused: ${messageOf(cause)}`, {
          cause,
        });
      }
      if (performance.now() >= deadlineMs) {
        const what = isAboutTls(cause) ? `cannot trust NATS: ${messageOf(cause)}` : 'no NATS server answers';
        throw new RingraftError('UNREACHABLE', `${what} at ${options.servers.join(', ')}`, { cause });
      }
      await new Promise((resolve) => setTimeout(resolve, firstRetryMs));
    }
  }
}

/** Where the client keeps how long the headers are, before it reads them. A conformance test needs it to be there. */
type ParsedMsg = Msg & { readonly _msg: { readonly hdr: number } };

/**
 * Anybody can send any headers. The client reads them when they are first looked at, throws for those it does not like,
 * which ends its reading of the connection, and takes time that grows with the square of their number.
 */
function readHeaders(message: Msg): Pick<BusMessage, 'headers' | 'hasBadHeaders' | 'noResponders'> {
  const { data } = message;
  const headerBytes = Math.max(0, (message as ParsedMsg)._msg.hdr);
  if (headerBytes === 0) return { headers: undefined, noResponders: false };
  if (headerBytes > maxHeaderBytes) return { headers: undefined, hasBadHeaders: true, noResponders: false };
  try {
    const { headers } = message;
    if (headers === undefined) return { headers, noResponders: false };
    const read: BusHeaders = Object.fromEntries([...headers].map(([name, values]) => [name, values[0] ?? '']));
    return { headers: read, noResponders: data.length === 0 && headers.code === noRespondersCode };
  } catch (error) {
    if (!(error instanceof NatsError)) throw error;
    return { headers: undefined, hasBadHeaders: true, noResponders: false };
  }
}

class NatsBus implements Bus {
  private readonly connectionListeners: ((lane: Lane, connected: boolean) => void)[] = [];
  private readonly errorListeners: ((lane: Lane, error: RingraftError) => void)[] = [];
  private closing: Promise<void> | undefined;

  constructor(
    private readonly lanes: ReadonlyMap<Lane, LaneState>,
    private readonly inboxPrefix: string | undefined,
  ) {
    for (const [lane, state] of lanes) void this.watch(lane, state);
  }

  private lane(lane: Lane): LaneState {
    const state = this.lanes.get(lane);
    if (state === undefined) throw new RangeError(`this bus was connected without the lane ${lane}`);
    return state;
  }

  private async watch(lane: Lane, state: LaneState): Promise<void> {
    for await (const status of state.connection.status()) {
      if (status.type === Events.Disconnect) this.setConnected(lane, state, false);
      else if (status.type === Events.Reconnect) this.setConnected(lane, state, true);
      else if (status.type === Events.Error) this.report(lane, String(status.data), status.permissionContext);
    }
  }

  private setConnected(lane: Lane, state: LaneState, connected: boolean): void {
    if (state.connected === connected) return;
    state.connected = connected;
    for (const listener of this.connectionListeners) listener(lane, connected);
  }

  private report(lane: Lane, what: string, refused?: { readonly operation: string; readonly subject: string }): void {
    const code = /permissions?[ _]violation|authorization/i.test(what) ? 'DENIED' : 'UNREACHABLE';
    const error =
      refused === undefined
        ? new RingraftError(code, `NATS reports: ${what}`)
        : new RingraftError('DENIED', `NATS refuses this user the ${refused.operation} to ${refused.subject}`, {
            fields: { subject: refused.subject },
          });
    for (const listener of this.errorListeners) listener(lane, error);
  }

  get maxPayloadBytes(): number {
    const [first] = this.lanes.values();
    return first?.connection.info?.max_payload ?? 1024 * 1024;
  }

  subscribe(
    lane: Lane,
    subject: string,
    handler: (message: BusMessage) => void,
    options: { readonly queue?: string } = {},
  ): BusSubscription {
    const subscription = this.lane(lane).connection.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        if (error !== null) {
          // What is not permitted is told by the connection's status too.
          if (error.permissionContext === undefined) this.report(lane, messageOf(error));
          return;
        }
        try {
          const { subject, data, reply } = message;
          const replyTo = isInternalSubject(reply) ? undefined : reply || undefined;
          handler({ subject, payload: asBuffer(data), replyTo, ...readHeaders(message) });
        } catch (bug) {
          // The client would stop reading and say nothing; a broken invariant has to stop the process.
          queueMicrotask(() => {
            throw bug;
          });
        }
      },
    });
    return { unsubscribe: () => subscription.unsubscribe() };
  }

  publish(lane: Lane, subject: string, payload: Buffer, options?: PublishOptions): void {
    const { connection } = this.lane(lane);
    if (payload.length > this.maxPayloadBytes) {
      throw new RingraftError('TOO_LARGE', `a message of ${payload.length} bytes; NATS takes ${this.maxPayloadBytes}`);
    }
    if (!this.isConnected(lane)) return;
    if (options === undefined) {
      connection.publish(subject, payload);
      return;
    }
    const { replyTo, headers } = options;
    let natsHeaders: ReturnType<typeof makeHeaders> | undefined;
    if (headers !== undefined) {
      natsHeaders = makeHeaders();
      for (const [name, value] of Object.entries(headers)) natsHeaders.set(name, value);
    }
    try {
      connection.publish(subject, payload, {
        ...(replyTo === undefined ? {} : { reply: replyTo }),
        ...(natsHeaders === undefined ? {} : { headers: natsHeaders }),
      });
    } catch (cause) {
      // Only the client knows how long headers become.
      if (!(cause instanceof NatsError) || cause.code !== 'MAX_PAYLOAD_EXCEEDED') throw cause;
      const what = `a message of ${payload.length} bytes with headers; NATS takes ${this.maxPayloadBytes}`;
      throw new RingraftError('TOO_LARGE', what, { cause });
    }
  }

  isConnected(lane: Lane): boolean {
    const { connected, connection } = this.lane(lane);
    return connected && !connection.isClosed() && this.closing === undefined;
  }

  onConnectionChange(listener: (lane: Lane, connected: boolean) => void): void {
    this.connectionListeners.push(listener);
  }

  onError(listener: (lane: Lane, error: RingraftError) => void): void {
    this.errorListeners.push(listener);
  }

  newInbox(): string {
    return createInbox(this.inboxPrefix);
  }

  async flush(lane: Lane): Promise<void> {
    await this.lane(lane).connection.flush();
  }

  close(): Promise<void> {
    this.closing ??= this.closeLanes();
    return this.closing;
  }

  private async closeLanes(): Promise<void> {
    for (const { connection, connected } of this.lanes.values()) {
      // A drain waits for the server: only where there is one.
      await (connected ? connection.drain() : connection.close()).catch(() => connection.close());
    }
  }
}

/**
 * Connects, one connection a lane. Rejects with UNREACHABLE when no server answers in time, DENIED when one refuses.
 * Later interruptions are mended for ever, and told to `onConnectionChange`.
 */
export async function connectNats(options: NatsOptions, wanted: readonly Lane[]): Promise<Bus> {
  const opened = await Promise.allSettled(wanted.map((lane) => connectFirst(options, lane)));
  const failed = opened.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    for (const result of opened) if (result.status === 'fulfilled') await result.value.close();
    throw failed.reason;
  }
  const lanes = new Map<Lane, LaneState>();
  opened.forEach((result, at) => {
    const lane = wanted[at];
    if (result.status === 'fulfilled' && lane !== undefined)
      lanes.set(lane, { connection: result.value, connected: true });
  });
  return new NatsBus(lanes, options.inboxPrefix);
}
