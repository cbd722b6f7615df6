/** Says what eBay's error entries mean for a write: a refusal for good, a refusal for now, or nothing that can be relied on. */

import { z } from 'zod';
import type { StockWriteResult } from '../connector.ts';

const entrySchema = z.object({
  errorId: z.int().optional(),
  category: z.string().optional(),
  message: z.string().optional(),
  longMessage: z.string().optional(),
});
const bodySchema = z.object({ errors: z.array(entrySchema) });

export type EbayError = { readonly id: number | null; readonly category: string; readonly text: string };

/** The entries of a body `{"errors": [...]}`; none when the body is something else. */
export function errorsIn(body: unknown): readonly EbayError[] {
  return (bodySchema.safeParse(body).data?.errors ?? []).map((entry) => ({
    id: entry.errorId ?? null,
    category: entry.category ?? '',
    text: `${entry.errorId ?? ''} ${entry.longMessage ?? entry.message ?? 'no message'}`.trim().slice(0, 500),
  }));
}

/** eBay, Inventory API: somebody else changes the same item or group at this moment. */
const concurrentAccess = 25_025;
const concurrentAccessMs = 3_000;
const systemMs = 30_000;

/** `status` is that of the entry. Sources: the error ids of bulkUpdatePriceQuantity; `category` REQUEST is never worth a retry. */
export function refusedWrite(status: number, errors: readonly EbayError[], raw: unknown): StockWriteResult {
  const reason = errors.map((error) => error.text).join('; ') || `HTTP ${status}`;
  if (errors.some((error) => error.id === concurrentAccess)) {
    return { kind: 'deferred', reason, retryAfterMs: concurrentAccessMs };
  }
  if (status === 429) return { kind: 'deferred', reason, retryAfterMs: systemMs };
  // A failure inside eBay may have come after the change.
  if (
    status >= 500 ||
    errors.some((error) => error.category === 'APPLICATION' || error.category === 'SYSTEM')
  ) {
    return { kind: 'unknown', reason };
  }
  return { kind: 'rejected', code: String(errors[0]?.id ?? status), message: reason, raw };
}
