/** The kinds of values that an environment variable can have, each with its check and its wording. */
import { z } from 'zod';

export type Variable<Value> = {
  readonly name: string;
  /** What a value is measured in or what it must look like, for people. */
  readonly unit: string;
  /** The default as it would be written, or in words where it depends on something else. */
  readonly default: string;
  readonly description: string;
  readonly secret: boolean;
  readonly schema: z.ZodType<Value, string>;
  /** Null where another variable decides or nothing is a value. */
  readonly fallback: Value | null;
};

type About = { readonly description: string; readonly secret?: boolean; readonly inWords?: string };

export function integer(
  name: string,
  unit: string,
  fallback: number,
  range: readonly [number, number],
  description: string,
): Variable<number> & { readonly fallback: number } {
  const [min, max] = range;
  const schema = z
    .string()
    .regex(/^-?\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`));
  return {
    name,
    unit: `${unit}, ${min} to ${max}`,
    default: String(fallback),
    description,
    secret: false,
    schema,
    fallback,
  };
}

export function optional<Value>(
  name: string,
  unit: string,
  schema: z.ZodType<Value, string>,
  about: About,
): Variable<Value> & { readonly fallback: null } {
  const words = {
    default: about.inWords ?? 'none',
    description: about.description,
    secret: about.secret ?? false,
  };
  return { name, unit, ...words, schema, fallback: null };
}

export function text(
  name: string,
  unit: string,
  fallback: string,
  schema: z.ZodType<string, string>,
  description: string,
) {
  return { name, unit, default: fallback, description, secret: false, schema, fallback } as const;
}

export function url(protocols: readonly string[]): z.ZodType<string, string> {
  const starts = protocols.map((protocol) => `${protocol}://`).join(' or ');
  return z
    .string()
    .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol.slice(0, -1)), {
      error: `must be a URL starting with ${starts}`,
    });
}

export const onOff = z
  .string()
  .toLowerCase()
  .regex(/^(1|0|true|false|on|off|yes|no)$/, 'must be on or off')
  .transform((value) => ['1', 'true', 'on', 'yes'].includes(value));

export const base64Key = z
  .string()
  .refine((value) => /^[A-Za-z0-9+/_-]+={0,2}$/.test(value) && Buffer.from(value, 'base64').length === 32, {
    error: 'must be 32 bytes in base64; make one with: openssl rand -base64 32',
  })
  .transform((value) => Buffer.from(value, 'base64'));

export const origins = z
  .string()
  .transform((value) => value.split(',').map((origin) => origin.trim()))
  .refine((list) => list.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin), {
    error: 'must be origins such as https://shop.example, separated by commas',
  });

export const word = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 printable characters without spaces');
export const line = z.string().max(300, 'must be at most 300 characters');
export const httpUrl = url(['http', 'https']);
