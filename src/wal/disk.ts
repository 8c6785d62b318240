/**
 * The disk port of the write-ahead log: few operations, each with its durability spelled out, so that a simulated
 * disk can lose exactly what a real one may lose.
 */
export type DiskFile = {
  readonly path: string;
  /**
   * Writes the chunks one after another at `position` and makes them durable before `callback(undefined)`.
   * One call at a time per file. The chunks must not change until then.
   */
  writeDurably(chunks: readonly Buffer[], position: number, callback: (error: Error | undefined) => void): void;
  /** Fewer bytes than asked only at the end of the file. */
  read(position: number, length: number): Promise<Buffer>;
  sizeBytes(): Promise<number>;
  /** Cuts the file to `sizeBytes` and makes that durable. */
  truncate(sizeBytes: number): Promise<void>;
  close(): Promise<void>;
};

export type Disk = {
  /** Creates the directory and its parents; durable, names included. */
  makeDirectory(path: string): Promise<void>;
  /** Names in the directory, sorted. */
  list(path: string): Promise<readonly string[]>;
  /** A new file of `sizeBytes` zero bytes, allocated; durable, name included. Fails when it exists. */
  create(path: string, sizeBytes: number): Promise<DiskFile>;
  open(path: string): Promise<DiskFile>;
  /** Durable. */
  rename(from: string, to: string): Promise<void>;
  /** Durable; no error when it is gone already. */
  remove(path: string): Promise<void>;
};
