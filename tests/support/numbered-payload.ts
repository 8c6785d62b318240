/** Payloads that tell their number and whether they arrived unchanged. */
export function numberedPayload(at: number, bytes: number): Buffer {
  const payload = Buffer.alloc(bytes, at & 255);
  payload.writeUInt32BE(at, 0);
  return payload;
}

export const isWhole = (payload: Buffer): boolean => {
  const fill = payload.readUInt32BE(0) & 255;
  return payload.subarray(4).every((byte) => byte === fill);
};
