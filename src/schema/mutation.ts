/** The shape that all mutations share: one `input`, one verb of sync, the object read again, and business errors as data. */
import type { PrismaModelTypes, PrismaObjectRef } from '@pothos/plugin-prisma';
import type { Outcome, Problem } from '../sync/outcome.ts';
import { builder, type SchemaTypes } from './builder.ts';
import type { Context } from './context.ts';
import { UserError } from './userErrors.ts';

/** `value` is null when the verb refused; `subject` is the id that the object is read again by, also after a refusal. */
export type Payload<Value> = {
  readonly subject: string | null;
  readonly value: Value | null;
  readonly userErrors: readonly Problem[];
};

export function answered<Value>(subject: string | null, outcome: Outcome<Value>): Payload<Value> {
  return outcome.ok
    ? { subject, value: outcome.value, userErrors: [] }
    : { subject, value: null, userErrors: outcome.problems };
}

export function refusedWith(...problems: readonly Problem[]): Payload<never> {
  return { subject: null, value: null, userErrors: problems };
}

/** Defines a payload that so far tells only `userErrors`: the callers add what their verb answers. `verbs` says in words what it is of. */
export function payloadRef<Value, More = unknown>(name: string, verbs: string) {
  return builder.objectRef<Payload<Value> & More>(name).implement({
    description: `What came of ${verbs}.`,
    fields: (t) => ({
      userErrors: t.field({
        type: [UserError],
        description: 'Why it was not done. Empty means that it was.',
        resolve: (payload) => payload.userErrors,
      }),
    }),
  });
}

/** Defines a payload with `userErrors` and the object that the verb was about, read again by `subject`, also after a refusal. */
export function payloadOf<Value>(
  name: string,
  options: {
    readonly verbs: string;
    readonly field: string;
    readonly type: PrismaObjectRef<SchemaTypes, PrismaModelTypes, object>;
    readonly read: (query: object, context: Context, id: string | null) => Promise<object | null>;
    /** Of the field; says when it is null. */
    readonly description: string;
  },
) {
  const { verbs, field, type, read, description } = options;
  const ref = payloadRef<Value>(name, verbs);
  builder.objectField(ref, field, (t) =>
    t.prismaField({
      type,
      nullable: true,
      description,
      resolve: (query, { subject }, _args, context) => read(query, context, subject) as never,
    }),
  );
  return ref;
}

export const idempotencyKeyDescription =
  'Yours, 1 to 255 characters, best a UUID. The same key with the same input is done once and answered alike for at least 24 hours.';
