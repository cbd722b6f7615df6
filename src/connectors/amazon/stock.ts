/** Reads and sets the seller's own quantity per SKU. A write is only accepted by Amazon, and only a later reading proves it. */

import { z } from 'zod';
import { mapBounded } from '../concurrency.ts';
import type {
  HttpResponse,
  ListingAddress,
  StockReading,
  StockWrite,
  StockWriteResult,
} from '../connector.ts';
import { redactText } from '../redaction.ts';
import { parseBody, precedingCall, stockWriteFailure } from '../wire.ts';
import { type AmazonApi, amazonError, firstErrorCode } from './api.ts';
import { findListings, type ListingFacts, type ListingMemory, listingPath, readingOf } from './listings.ts';

const writesInFlight = 5;

const submissionSchema = z.looseObject({
  sku: z.string(),
  status: z.string(),
  submissionId: z.string().nullish(),
  issues: z.array(z.looseObject({ code: z.string(), message: z.string(), severity: z.string() })).nullish(),
});

export async function readAmazonStock(
  api: AmazonApi,
  memory: ListingMemory,
  addresses: readonly ListingAddress[],
): Promise<StockReading[]> {
  const listings = await findListings(
    api,
    addresses.map((address) => address.unitId),
  );
  memory.learn(listings.values());
  return addresses.map((address) => {
    const listing = listings.get(address.unitId);
    return listing === undefined
      ? { kind: 'unknown', reason: 'Amazon does not know this SKU' }
      : readingOf(listing);
  });
}

export async function setAmazonStock(
  api: AmazonApi,
  memory: ListingMemory,
  writes: readonly StockWrite[],
): Promise<StockWriteResult[]> {
  let facts: ReadonlyMap<string, ListingFacts>;
  try {
    facts = await precedingCall(
      memory.facts(
        api,
        writes.map((write) => write.address.unitId),
      ),
    );
  } catch (error) {
    const failure = stockWriteFailure(error);
    return writes.map(() => failure);
  }
  return mapBounded(writes, writesInFlight, async (write) => {
    try {
      return await setOne(api, write, facts.get(write.address.unitId));
    } catch (error) {
      return stockWriteFailure(error);
    }
  });
}

async function setOne(
  api: AmazonApi,
  write: StockWrite,
  facts: ListingFacts | undefined,
): Promise<StockWriteResult> {
  if (facts === undefined) return refused('not_found', 'Amazon does not know this SKU');
  // A DEFAULT quantity would turn the offer into a merchant-fulfilled one.
  if (!facts.writable) return refused('fulfilled_by_amazon', 'Amazon owns the quantity of this SKU');
  const response = await api.send({
    operation: 'patchListingsItem',
    method: 'PATCH',
    path: listingPath(api, write.address.unitId),
    query: { marketplaceIds: api.settings.marketplaceId },
    json: {
      productType: facts.productType,
      patches: [
        {
          // `replace` would wipe the lead time and the restock date.
          op: 'merge',
          path: '/attributes/fulfillment_availability',
          value: [{ fulfillment_channel_code: 'DEFAULT', quantity: write.quantity }],
        },
      ],
    },
    // Amazon cannot compare: a repeat after a lost answer could overwrite a sale made in between.
    retry: 'never',
  });
  return resultOf(response);
}

/** `accepted` is no proof: Amazon shows the number minutes later, or an issue instead. */
export function resultOf(response: HttpResponse): StockWriteResult {
  if (response.status !== 200) {
    const failure = stockWriteFailure(amazonError(response, 'patchListingsItem'));
    return failure.kind === 'rejected'
      ? { ...failure, code: firstErrorCode(response) ?? failure.code }
      : failure;
  }
  const answer = parseBody(submissionSchema, response, 'amazon.patchListingsItem');
  if (answer.status === 'ACCEPTED') return { kind: 'accepted', reference: answer.submissionId ?? null };
  const issues = answer.issues ?? [];
  const issue = issues.find((entry) => entry.severity === 'ERROR') ?? issues[0];
  return {
    kind: 'rejected',
    code: issue?.code ?? answer.status,
    message: redactText(issue?.message ?? `Amazon answered ${answer.status}`, 500),
    raw: answer,
  };
}

function refused(code: string, message: string): StockWriteResult {
  return { kind: 'rejected', code, message, raw: null };
}
