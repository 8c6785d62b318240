/**
 * Counts bytes that are copied: in the process that calls `installCopyCounts`, before anything of the product is loaded
 * (libraries keep what they find at the start), and only while `countCopies` runs.
 *
 * Not seen: loops that set one byte after another, and what Node does below these functions.
 */

export type CopyCounts = {
  /** Bytes to bytes: concat, copy, set, copyWithin, slice, and Buffer.from of bytes. */
  copied: number;
  copies: number;
  /** Buffers made, and their bytes. */
  buffers: number;
  bufferBytes: number;
  /** Bytes to strings and strings to bytes. */
  converted: number;
  conversions: number;
};

const counts: CopyCounts = { copied: 0, copies: 0, buffers: 0, bufferBytes: 0, converted: 0, conversions: 0 };
let isCounting = false;

function noteCopy(bytes: number): void {
  if (!isCounting) return;
  counts.copied += bytes;
  counts.copies++;
}

function noteBuffer(bytes: number): void {
  if (!isCounting) return;
  counts.buffers++;
  counts.bufferBytes += bytes;
}

function noteConversion(bytes: number): void {
  if (!isCounting) return;
  counts.converted += bytes;
  counts.conversions++;
}

/** What is done inside is not the product's. */
export function uncounted<T>(work: () => T): T {
  const before = isCounting;
  isCounting = false;
  try {
    return work();
  } finally {
    isCounting = before;
  }
}

type Method = (this: unknown, ...args: never[]) => unknown;

/** Puts a function around one of `owner`; `note` is told what it was given and what it came to. */
function around(owner: object, name: string, note: (self: unknown, args: readonly unknown[], result: unknown) => void) {
  const original = Reflect.get(owner, name) as Method;
  const wrapped = function (this: unknown, ...args: never[]): unknown {
    // One function of Node may be made of others: a copy counts once.
    if (!isCounting) return original.apply(this, args);
    const result = uncounted(() => original.apply(this, args));
    note(this, args, result);
    return result;
  };
  Object.defineProperty(owner, name, { value: wrapped, configurable: true, writable: true });
}

const bytesIn = (value: unknown): number => (ArrayBuffer.isView(value) ? value.byteLength : 0);

/** For the rest of the process. */
export function installCopyCounts(): void {
  for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow']) {
    around(Buffer, name, (_self, _args, made) => noteBuffer(bytesIn(made)));
  }
  around(Buffer, 'concat', (_self, _args, made) => {
    noteBuffer(bytesIn(made));
    noteCopy(bytesIn(made));
  });
  around(Buffer, 'from', (_self, [source], made) => {
    // Of an ArrayBuffer it is a view.
    if (source instanceof ArrayBuffer || source instanceof SharedArrayBuffer) return;
    noteBuffer(bytesIn(made));
    if (typeof source === 'string') noteConversion(bytesIn(made));
    else noteCopy(bytesIn(made));
  });
  around(Buffer.prototype, 'copy', (_self, _args, copied) => noteCopy(copied as number));
  around(Uint8Array.prototype, 'set', (_self, [source]) => noteCopy(bytesIn(source) || (source as []).length));
  around(Uint8Array.prototype, 'copyWithin', (_self, [, start, end]) => noteCopy((end as number) - (start as number)));
  around(Uint8Array.prototype, 'slice', (_self, _args, made) => noteCopy(bytesIn(made)));
  around(Buffer.prototype, 'toString', (_self, _args, text) => noteConversion((text as string).length));
  for (const name of ['utf8Slice', 'latin1Slice']) {
    around(Buffer.prototype, name, (_self, _args, text) => noteConversion((text as string).length));
  }
  for (const name of ['write', 'utf8Write', 'latin1Write']) {
    around(Buffer.prototype, name, (_self, _args, written) => noteConversion(written as number));
  }
}

/** What was copied while `work` ran. */
export async function countCopies(work: () => Promise<void>): Promise<CopyCounts> {
  const before = { ...counts };
  isCounting = true;
  try {
    await work();
  } finally {
    isCounting = false;
  }
  const after = Object.entries(counts).map(([name, value]) => [name, value - before[name as keyof CopyCounts]]);
  return Object.fromEntries(after) as CopyCounts;
}
