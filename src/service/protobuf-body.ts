/** The fields of a protobuf body. */
import { asBuffer } from '../base/index.js';
import { decodePublicRequest, hasUnknownFields, type PublicRequestName } from '../wire/index.js';
import { badRequest, checkedInteger, type Fields } from './fields.js';

/** What the generated code notes beside each optional field. */
const isBookkeeping = (name: string): boolean => name.startsWith('_');

/** The decoder has seen to the types: a field of another type is an unknown one. */
export class ProtobufBody implements Fields {
  private readonly asked = new Set<string>();

  private constructor(private readonly message: Readonly<Record<string, unknown>>) {}

  static parse(kind: PublicRequestName, payload: Buffer): ProtobufBody {
    return new ProtobufBody(decodePublicRequest(kind, payload) as Record<string, unknown>);
  }

  nameOf(name: string): string {
    return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  }

  private take(name: string): unknown {
    this.asked.add(name);
    return Object.hasOwn(this.message, name) ? this.message[name] : undefined;
  }

  string(name: string): string | undefined {
    return this.take(name) as string | undefined;
  }

  boolean(name: string): boolean | undefined {
    return this.take(name) as boolean | undefined;
  }

  integer(name: string, min: number): number | undefined {
    const value = this.take(name);
    return value === undefined ? undefined : checkedInteger(this, name, value, min);
  }

  bytes(name: string): Buffer | undefined {
    const value = this.take(name) as Uint8Array | undefined;
    return value === undefined ? undefined : asBuffer(value);
  }

  list(name: string): readonly (() => Fields)[] | undefined {
    const items = this.take(name) as readonly object[] | undefined;
    return items?.map((item) => () => new ProtobufBody(item as Record<string, unknown>));
  }

  finish(): void {
    if (hasUnknownFields(this.message))
      throw badRequest('the body has a field of an unknown number, or of another type');
    for (const name of Object.keys(this.message)) {
      if (this.asked.has(name) || isBookkeeping(name)) continue;
      const known = [...this.asked].map((each) => this.nameOf(each));
      throw badRequest(`field ${this.nameOf(name)} means nothing here; known are ${known.join(', ')}`);
    }
  }
}
