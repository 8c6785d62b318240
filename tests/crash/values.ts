/** The values a crash run writes: each is determined by its key and sequence number, and no two are alike. */
const headBytes = 12;

/** Sizes vary from write to write; `hot` chains are large, so that they outrun the log that is kept. */
function sizeOf(key: string, sequence: number): number {
  if (key.startsWith('hot/')) return 4096 + ((sequence * 7919) % 28_672);
  return key.startsWith('chain/') ? 64 + ((sequence * 131) % 1500) : 40 + ((key.length * 37) % 200);
}

/** The sequence number in twelve digits, the key, then filler. */
export function valueWritten(key: string, sequence: number): Buffer {
  const value = Buffer.alloc(headBytes + key.length + sizeOf(key, sequence), 97 + (sequence % 26));
  value.write(String(sequence).padStart(headBytes, '0'), 0, 'latin1');
  value.write(key, headBytes, 'latin1');
  return value;
}
