/** What an endpoint is: how its requests look in each form, and what is to be done about one. */
import type { Clock } from '../base/index.js';
import type { RingraftClient } from '../client/index.js';
import type { PublicRequestName } from '../wire/index.js';
import type { Answer, Form } from './answer.js';
import type { Fields } from './fields.js';
import type { RawShape } from './raw-request.js';

/** What work is done with. */
export type Serving = { readonly client: RingraftClient; readonly clock: Clock; readonly maxPayloadBytes: number };

/** A request that was understood; nothing has happened yet. */
export type Work = {
  /** In requests with one key: what it counts for among those under way. */
  readonly weight: number;
  readonly run: (serving: Serving) => Promise<Answer>;
};

export type Endpoint = {
  readonly name: string;
  /** A read that nobody waits for is not done. */
  readonly isRead: boolean;
  /** undefined: the bucket alone stands in the subject, and the rest in the body. */
  readonly raw: RawShape | undefined;
  readonly message: PublicRequestName;
  /** No body at all is a request, too. */
  readonly mayBeEmpty: boolean;
  /** Throws BAD_REQUEST, also for fields that mean nothing here. */
  readonly prepare: (fields: Fields, bucket: string, form: Form) => Work;
};
