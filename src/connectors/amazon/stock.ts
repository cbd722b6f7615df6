/** Reads and sets the seller's own quantity per SKU. A write is only accepted by Amazon, and only a later reading proves it. */

import type { ListingAddress, StockReading, StockWrite, StockWriteResult, Turn } from '../connector.ts';
import type { AmazonApi } from './api.ts';
import { type Ready, sendChanges } from './changes.ts';
import type { AmazonFeeds } from './feeds.ts';
import { findListings, type ListingFacts, type ListingMemory, readingOf } from './listings.ts';

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

export function setAmazonStock(
  api: AmazonApi,
  { memory, feeds }: { readonly memory: ListingMemory; readonly feeds: AmazonFeeds },
  writes: readonly StockWrite[],
  turn: Turn,
): Promise<StockWriteResult[]> {
  // A feed can stand for hours and cannot be taken back: one that may not wait for it keeps all from it.
  const mayQueue = writes.every((write) => write.mayQueue === true);
  return sendChanges<StockWrite, StockWriteResult>(api, mayQueue ? feeds : null, turn, {
    writes,
    async judge(reading, some) {
      const skus = some.map(({ address }) => address.unitId);
      const facts = await memory.facts(reading, skus);
      return some.map((write) => judge(write, facts.get(write.address.unitId)));
    },
    answer: (result) => result,
  });
}

function judge({ address, quantity }: StockWrite, facts: ListingFacts | undefined): Ready | StockWriteResult {
  if (facts === undefined) return refused('not_found', 'Amazon does not know this SKU');
  // A DEFAULT quantity would turn the offer into a merchant-fulfilled one.
  if (!facts.writable) return refused('fulfilled_by_amazon', 'Amazon owns the quantity of this SKU');
  const change = {
    productType: facts.productType,
    patches: [
      {
        // `replace` would wipe the lead time and the restock date.
        op: 'merge',
        path: '/attributes/fulfillment_availability',
        value: [{ fulfillment_channel_code: 'DEFAULT', quantity }],
      },
    ],
  };
  return { kind: 'ready', sku: address.unitId, change };
}

function refused(code: string, message: string): StockWriteResult {
  return { kind: 'rejected', code, message, raw: null };
}
