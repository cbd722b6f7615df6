/** eBay's one call that sets quantities and prices: refused as a whole (400), or with an answer for each entry. */

import { z } from 'zod';
import type { EbayApi } from './auth.ts';

export const bulkOperation = 'ebay.bulkUpdatePriceQuantity';

export const bulkAnswerSchema = z.object({
  responses: z.array(
    z.object({
      statusCode: z.int(),
      sku: z.string().nullish(),
      offerId: z.string().nullish(),
      errors: z.unknown().optional(),
    }),
  ),
});
export type BulkEntry = z.output<typeof bulkAnswerSchema>['responses'][number];

export function bulkUpdate(api: EbayApi, requests: readonly unknown[]): ReturnType<EbayApi['call']> {
  return api.call({
    api: 'inventory',
    method: 'POST',
    path: '/sell/inventory/v1/bulk_update_price_quantity',
    operation: bulkOperation,
    // A second copy could land after a newer number or price and put the old one back.
    retry: 'never',
    json: { requests },
    answers: [400],
  });
}
