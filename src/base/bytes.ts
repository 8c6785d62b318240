/**
 * Bytes are Node's `Buffer` inside the process, everywhere: `subarray` is a view, never a copy, and the
 * comparison and text conversions are native.
 */
export const emptyBytes: Buffer = Buffer.alloc(0);

/** The same memory seen as a Buffer. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Bytes as a string with one character a byte: a key for `Map`, never for a person. */
export const mapKey = (bytes: Buffer): string => bytes.toString('latin1');

/**
 * The smallest key greater than every key that starts with `prefix`, or undefined when there is none
 * (an empty prefix, or one of 0xff bytes only).
 */
export function prefixEnd(prefix: Uint8Array): Buffer | undefined {
  const end = Buffer.from(prefix);
  for (let at = end.length - 1; at >= 0; at--) {
    const byte = end[at] as number;
    if (byte < 0xff) {
      end[at] = byte + 1;
      return end.subarray(0, at + 1);
    }
  }
  return undefined;
}
