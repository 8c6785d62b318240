/**
 * A gRPC connection for unary calls, written for this comparison: with node:http2 a call cost 56 us of CPU, which is more
 * than etcd itself needs for many of them, and the client would have been what is measured.
 *
 * Invariants:
 * 1. Never more is sent than the windows of the connection and of the stream allow (RFC 9113, 5.2).
 * 2. Streams begin in the order of their numbers: a block of headers goes out when its number is given.
 * 3. A call succeeds only with a whole message and the end of its stream; gRPC errors come without a message. Their text
 *    is not read: it stands in the server's log.
 */
import { connect as connectSocket, type Socket } from 'node:net';
import { RingraftError } from '../../base/index.js';
import { PeerError } from '../peer.js';
import {
  contentOf,
  type Frame,
  FrameReader,
  flags,
  frameOf,
  frameTypes,
  headerBytes,
  settingNames,
  settingsFrame,
  settingsIn,
  windowUpdate,
  writeFrameHeader,
} from './frames.js';
import { RequestHeaders } from './request-headers.js';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const usualWindow = 65_535;
const largestWindow = 2 ** 31 - 1;
/** Windows are opened again after so many bytes. */
const renewAfterBytes = 2 ** 28;
/** A compression flag and the length. */
const messagePrefix = 5;
const connectTimeoutMs = 10_000;

type Call = {
  readonly resolve: (message: Buffer) => void;
  readonly reject: (error: Error) => void;
  readonly chunks: Buffer[];
  /** What may still be sent on this stream. */
  window: number;
  /** What has not been sent yet. */
  left: Buffer;
};

export class GrpcConnection {
  private readonly calls = new Map<number, Call>();
  /** Streams whose messages have not been sent whole, in their order. */
  private readonly unsent = new Set<number>();
  private readonly reader = new FrameReader();
  private readonly headers: RequestHeaders;
  private out: Buffer[] = [];
  private nextStream = 1;
  private window = usualWindow;
  private initialWindow = usualWindow;
  private mostFrameBytes = 16_384;
  private received = 0;
  private ended: Error | undefined;

  private constructor(
    private readonly socket: Socket,
    authority: string,
  ) {
    this.headers = new RequestHeaders(authority);
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.reader.read(chunk, (frame) => this.onFrame(frame)));
    socket.on('error', (cause) => this.end(`the connection to etcd failed: ${cause.message}`));
    socket.on('close', () => this.end('etcd closed the connection'));
    this.send(preface);
    this.send(
      settingsFrame([
        [settingNames.enablePush, 0],
        [settingNames.initialWindow, largestWindow],
      ]),
    );
    this.send(windowUpdate(0, largestWindow - usualWindow));
  }

  /** To `host:port`. */
  static connect(server: string): Promise<GrpcConnection> {
    const [host = '', port = ''] = server.split(':');
    return new Promise((resolve, reject) => {
      const socket = connectSocket({ host, port: Number(port), timeout: connectTimeoutMs });
      const fail = (): void => {
        socket.destroy();
        reject(new RingraftError('UNREACHABLE', `no etcd answers at ${server}`));
      };
      socket.once('error', fail).once('timeout', fail);
      socket.once('connect', () => {
        socket.setTimeout(0).off('error', fail).off('timeout', fail);
        resolve(new GrpcConnection(socket, server));
      });
    });
  }

  /** The message of the answer. */
  call(path: string, message: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.ended !== undefined) {
        reject(this.ended);
        return;
      }
      const stream = this.nextStream;
      this.nextStream += 2;
      const left = Buffer.allocUnsafe(messagePrefix + message.length);
      left[0] = 0;
      left.writeUInt32BE(message.length, 1);
      left.set(message, messagePrefix);
      const call: Call = { resolve, reject, chunks: [], window: this.initialWindow, left };
      this.calls.set(stream, call);
      this.send(frameOf(frameTypes.headers, flags.endHeaders, stream, this.headers.blockOf(path)));
      if (!this.sendOf(stream, call)) this.unsent.add(stream);
    });
  }

  close(): void {
    this.end('closed');
    this.socket.destroy();
  }

  /** As much of a message as the windows allow; true: all of it. */
  private sendOf(stream: number, call: Call): boolean {
    for (;;) {
      const length = Math.min(call.left.length, this.mostFrameBytes, this.window, call.window);
      if (length <= 0) return false;
      const isLast = length === call.left.length;
      const frame = Buffer.allocUnsafe(headerBytes + length);
      writeFrameHeader(frame, 0, length, frameTypes.data, isLast ? flags.endStream : 0, stream);
      call.left.copy(frame, headerBytes, 0, length);
      this.send(frame);
      this.window -= length;
      call.window -= length;
      call.left = call.left.subarray(length);
      if (isLast) return true;
    }
  }

  private sendWaiting(): void {
    for (const stream of this.unsent) {
      if (this.window <= 0) return;
      const call = this.calls.get(stream);
      if (call === undefined || this.sendOf(stream, call)) this.unsent.delete(stream);
    }
  }

  /** All of a turn goes out in one write. */
  private send(bytes: Buffer): void {
    if (this.out.length === 0) process.nextTick(() => this.flush());
    this.out.push(bytes);
  }

  private flush(): void {
    const { out } = this;
    this.out = [];
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(out));
  }

  private onFrame(frame: Frame): void {
    switch (frame.type) {
      case frameTypes.data:
        this.onData(frame);
        return;
      case frameTypes.headers:
        // Those of an answer begin it or end it.
        if ((frame.flags & flags.endStream) !== 0) this.onStreamEnd(frame.stream);
        return;
      case frameTypes.reset:
        this.settle(frame.stream)?.reject(new PeerError('RESET', 'etcd gave the call up'));
        return;
      case frameTypes.settings:
        this.onSettings(frame);
        return;
      case frameTypes.ping:
        if ((frame.flags & flags.acknowledge) === 0) {
          this.send(frameOf(frameTypes.ping, flags.acknowledge, 0, Buffer.from(frame.payload)));
        }
        return;
      case frameTypes.goAway:
        this.end('etcd takes no more calls on this connection');
        return;
      case frameTypes.windowUpdate:
        this.onWindowUpdate(frame);
        return;
    }
  }

  private onData(frame: Frame): void {
    this.received += frame.payload.length;
    if (this.received >= renewAfterBytes) {
      this.send(windowUpdate(0, this.received));
      this.received = 0;
    }
    this.calls.get(frame.stream)?.chunks.push(contentOf(frame));
    if ((frame.flags & flags.endStream) !== 0) this.onStreamEnd(frame.stream);
  }

  private onStreamEnd(stream: number): void {
    const call = this.settle(stream);
    if (call === undefined) return;
    const { chunks } = call;
    const answer = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    const isWhole = answer.length >= messagePrefix && answer.readUInt32BE(1) === answer.length - messagePrefix;
    if (isWhole) call.resolve(answer.subarray(messagePrefix));
    else call.reject(new PeerError('REFUSED', 'etcd refused the call; its log says why'));
  }

  private settle(stream: number): Call | undefined {
    const call = this.calls.get(stream);
    this.calls.delete(stream);
    this.unsent.delete(stream);
    return call;
  }

  private onSettings({ flags: flag, payload }: Frame): void {
    if ((flag & flags.acknowledge) !== 0) return;
    for (const [name, value] of settingsIn(payload)) {
      if (name === settingNames.mostFrameBytes) this.mostFrameBytes = value;
      if (name !== settingNames.initialWindow) continue;
      for (const call of this.calls.values()) call.window += value - this.initialWindow;
      this.initialWindow = value;
    }
    this.send(frameOf(frameTypes.settings, flags.acknowledge, 0, Buffer.alloc(0)));
    this.sendWaiting();
  }

  private onWindowUpdate({ stream, payload }: Frame): void {
    const by = payload.readUInt32BE(0) & largestWindow;
    const call = this.calls.get(stream);
    if (stream === 0) this.window += by;
    else if (call !== undefined) call.window += by;
    this.sendWaiting();
  }

  private end(message: string): void {
    if (this.ended !== undefined) return;
    this.ended = new PeerError('CLOSED', message);
    for (const call of this.calls.values()) call.reject(this.ended);
    this.calls.clear();
    this.unsent.clear();
  }
}
