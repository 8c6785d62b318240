/** JSON of others, read by hand: what is not as expected is refused with where it stands. */
import { type ErrorCode, RingraftError } from '../base/index.js';

export class JsonReader {
  /** `code` is for what the whole is: a request, a configuration. */
  constructor(
    private readonly value: unknown,
    private readonly path: string,
    private readonly code: ErrorCode,
  ) {}

  get isPresent(): boolean {
    return this.value !== undefined;
  }

  field(name: string): JsonReader {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.refusal('an object');
    const field = Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
    return new JsonReader(field, `${this.path}.${name}`, this.code);
  }

  items<T>(read: (item: JsonReader) => T): readonly T[] {
    if (!Array.isArray(this.value)) throw this.refusal('an array');
    return this.value.map((item, at) => read(new JsonReader(item, `${this.path}[${at}]`, this.code)));
  }

  optional<T>(read: (reader: JsonReader) => T): T | undefined {
    return this.isPresent ? read(this) : undefined;
  }

  text(): string {
    if (typeof this.value !== 'string' || this.value === '') throw this.refusal('a text');
    return this.value;
  }

  number(): number {
    if (typeof this.value !== 'number' || !Number.isFinite(this.value)) throw this.refusal('a number');
    return this.value;
  }

  port(): number {
    const port = this.number();
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw this.refusal('a port');
    return port;
  }

  boolean(): boolean {
    if (typeof this.value !== 'boolean') throw this.refusal('true or false');
    return this.value;
  }

  oneOf<T extends string>(allowed: readonly T[]): T {
    const found = allowed.find((each) => each === this.value);
    if (found === undefined) throw this.refusal(allowed.join(' or '));
    return found;
  }

  private refusal(wanted: string): RingraftError {
    return new RingraftError(this.code, `${this.path}: has to be ${wanted}`);
  }
}
