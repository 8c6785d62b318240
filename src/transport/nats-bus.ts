/**
 * The bus over NATS: one connection a lane. The only file that imports `nats`.
 *
 * Invariant: nothing published while a lane is down is sent when it is up again (the client would keep it and flush it
 * later; stale consensus traffic is worse than none), so publishing checks the state of the connection first.
 */
import { readFileSync } from 'node:fs';
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
} from 'nats';
import { asBuffer, messageOf, RingraftError } from '../base/index.js';
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
      : { authenticator: credsAuthenticator(readFileSync(options.credentialsFile)) }),
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

/** The first connection: tried again until the time is out, since servers and clients may start together. */
async function connectFirst(options: NatsOptions, lane: Lane): Promise<NatsConnection> {
  const deadlineMs = performance.now() + (options.connectTimeoutMs ?? defaultConnectTimeoutMs);
  for (;;) {
    try {
      return await connect(connectionOptions(options, lane));
    } catch (cause) {
      if (isRefusal(cause)) {
        throw new RingraftError('DENIED', `NATS at ${options.servers.join(', ')} refused: ${messageOf(cause)}`, {
          cause,
        });
      }
      if (performance.now() >= deadlineMs) {
        throw new RingraftError('UNREACHABLE', `no NATS server answers at ${options.servers.join(', ')}`, { cause });
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

  constructor(private readonly lanes: ReadonlyMap<Lane, LaneState>) {
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
      else if (status.type === Events.Error) this.report(lane, String(status.data));
    }
  }

  private setConnected(lane: Lane, state: LaneState, connected: boolean): void {
    if (state.connected === connected) return;
    state.connected = connected;
    for (const listener of this.connectionListeners) listener(lane, connected);
  }

  private report(lane: Lane, what: string): void {
    const code = /permissions?[ _]violation|authorization/i.test(what) ? 'DENIED' : 'UNREACHABLE';
    const error = new RingraftError(code, `NATS reports: ${what}`);
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
          this.report(lane, messageOf(error));
          return;
        }
        try {
          const { subject, data, reply } = message;
          handler({ subject, payload: asBuffer(data), replyTo: reply || undefined, ...readHeaders(message) });
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
    return createInbox();
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
  return new NatsBus(lanes);
}
