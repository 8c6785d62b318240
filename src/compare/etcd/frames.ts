/** Frames of HTTP/2 (RFC 9113) as bytes, as far as a gRPC client needs them. */
export const frameTypes = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;

export const flags = { endStream: 1, acknowledge: 1, endHeaders: 4, padded: 8 } as const;

export const headerBytes = 9;

export type Frame = {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
};

export function writeFrameHeader(
  to: Buffer,
  at: number,
  length: number,
  type: number,
  flag: number,
  stream: number,
): void {
  to.writeUIntBE(length, at, 3);
  to[at + 3] = type;
  to[at + 4] = flag;
  to.writeUInt32BE(stream, at + 5);
}

export function frameOf(type: number, flag: number, stream: number, payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + payload.length);
  writeFrameHeader(frame, 0, payload.length, type, flag, stream);
  payload.copy(frame, headerBytes);
  return frame;
}

const number32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const windowUpdate = (stream: number, by: number): Buffer =>
  frameOf(frameTypes.windowUpdate, 0, stream, number32(by));

export const settingNames = { enablePush: 2, initialWindow: 4, mostFrameBytes: 5 } as const;

export function settingsFrame(settings: readonly (readonly [name: number, value: number])[]): Buffer {
  const payload = Buffer.concat(settings.flatMap(([name, value]) => [Buffer.from([0, name]), number32(value)]));
  return frameOf(frameTypes.settings, 0, 0, payload);
}

export const settingsIn = (payload: Buffer): readonly (readonly [name: number, value: number])[] =>
  Array.from({ length: Math.floor(payload.length / 6) }, (_, at) => [
    payload.readUInt16BE(6 * at),
    payload.readUInt32BE(6 * at + 2),
  ]);

/** Content of a DATA frame without its padding. */
export function contentOf({ flags: flag, payload }: Frame): Buffer {
  if ((flag & flags.padded) === 0) return payload;
  return payload.subarray(1, payload.length - (payload[0] ?? 0));
}

/** Cuts a stream of bytes into frames; payloads are views. */
export class FrameReader {
  private rest: Buffer = Buffer.alloc(0);

  read(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    const bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    let at = 0;
    while (bytes.length - at >= headerBytes) {
      const length = bytes.readUIntBE(at, 3);
      const end = at + headerBytes + length;
      if (end > bytes.length) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      const payload = bytes.subarray(at + headerBytes, end);
      onFrame({ type: bytes[at + 3] as number, flags: bytes[at + 4] as number, stream, payload });
      at = end;
    }
    this.rest = bytes.subarray(at);
  }
}
