/**
 * The header block of a gRPC request (HPACK, RFC 7541), without Huffman codes. Headers that were sent before on the same
 * connection are sent as their number in the table that both sides keep, as every HTTP/2 client does.
 */
const staticPost = 0x83;
const staticHttp = 0x86;
const firstDynamic = 62;
/** Numbers of names in the static table. */
const authorityName = 1;
const pathName = 4;
const contentTypeName = 31;

const integer = (prefixBits: number, flags: number, value: number): number[] => {
  const most = 2 ** prefixBits - 1;
  if (value < most) return [flags | value];
  const bytes = [flags | most];
  let left = value - most;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
  return [...bytes, left];
};

const text = (value: string): number[] => [...integer(7, 0, Buffer.byteLength(value)), ...Buffer.from(value)];

type Header = { readonly name: number | string; readonly value: string };

/** One for each connection; blocks must be sent in the order in which they were made. */
export class RequestHeaders {
  /** Headers in the table, the newest last. With a handful of paths it never runs full. */
  private readonly known: string[] = [];
  private readonly blocks = new Map<string, Buffer>();

  constructor(private readonly authority: string) {}

  blockOf(path: string): Buffer {
    const kept = this.blocks.get(path);
    if (kept !== undefined) return kept;
    const headers: readonly Header[] = [
      { name: pathName, value: path },
      { name: authorityName, value: this.authority },
      { name: contentTypeName, value: 'application/grpc' },
      { name: 'te', value: 'trailers' },
    ];
    const before = this.known.length;
    const block = Buffer.from([staticPost, staticHttp, ...headers.flatMap((header) => this.encoded(header))]);
    // Numbers of earlier headers have moved when a new one came in.
    if (this.known.length > before) this.blocks.clear();
    else this.blocks.set(path, block);
    return block;
  }

  private encoded({ name, value }: Header): number[] {
    const key = `${name}:${value}`;
    const at = this.known.indexOf(key);
    if (at >= 0) return integer(7, 0x80, firstDynamic + this.known.length - 1 - at);
    this.known.push(key);
    return typeof name === 'number'
      ? [...integer(6, 0x40, name), ...text(value)]
      : [0x40, ...text(name), ...text(value)];
  }
}
