/** What the control API accepts, and how it says no: every input is checked before anything happens. */
import { z } from 'zod';
import { type Platform, platforms } from './goods.ts';
import { type HttpCall, jsonBody, Refusal, type Reply } from './http.ts';

const platform = z.enum(platforms);
const units = z.int().min(1).max(1_000_000);
const span = z
  .strictObject({ min: z.number().min(0), max: z.number().min(0) })
  .refine(({ min, max }) => min <= max);

export const orderSchema = z.strictObject({
  platform,
  lines: z.array(z.strictObject({ sku: z.string(), quantity: units })).min(1),
  paid: z.boolean().optional(),
  customerName: z.string().min(1).optional(),
});

export const actionSchema = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('pay') }),
  z.strictObject({
    action: z.literal('cancel'),
    restock: z.boolean().optional(),
    reason: z.string().optional(),
  }),
  z.strictObject({
    action: z.literal('ship'),
    carrier: z.string().optional(),
    trackingNumber: z.string().optional(),
  }),
  z.strictObject({ action: z.literal('deliver') }),
  z.strictObject({
    action: z.literal('edit'),
    lineId: z.string(),
    quantity: z.int().min(0),
    restock: z.boolean().default(true),
  }),
  z.strictObject({ action: z.literal('refund'), lineId: z.string(), quantity: units, restock: z.boolean() }),
]);

export const editSchema = z.strictObject({
  platform,
  sku: z.string(),
  quantity: z.int().min(-1_000_000).max(1_000_000),
  /** Nothing is changed where another number is shown by now. */
  changeFrom: z.int().optional(),
});
export const webhookSchema = z.strictObject({ platform, url: z.url({ protocol: /^https?$/u }).nullable() });
export const buyersSchema = z.strictObject({
  running: z.boolean().optional(),
  perMinute: z.number().min(0).max(60_000).optional(),
});
export const settingsSchema = z.strictObject({
  platform,
  writeEffectMs: span.optional(),
  readStaleMs: span.optional(),
  orderIndexLagMs: span.optional(),
  atZero: z.enum(['stay', 'soldOut', 'end']).optional(),
  cancelRestocks: z.boolean().optional(),
});

export const refusal = (status: number, code: string, message: string, details: object = {}): Reply => ({
  status,
  body: { error: { code, message, ...details } },
});

/** The checked body. Throws a `Refusal` that says what does not fit. */
export function input<T>(schema: z.ZodType<T>, call: HttpCall): T {
  const value = jsonBody(call.body);
  if (value === undefined) throw new Refusal(refusal(400, 'invalid_json', 'The body is not JSON.'));
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
  throw new Refusal(refusal(422, 'invalid_input', 'The body does not fit.', { issues }));
}

export function platformOf(text: string | null): Platform {
  const parsed = platform.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new Refusal(refusal(404, 'not_found', `No such marketplace. There are: ${platforms.join(', ')}.`));
}
