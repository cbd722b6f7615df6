/** The two rules both spellings of a Shopify order share: what a line holds back, and what the order's status is. */

import type { OrderStatus } from '../connector.ts';

export type LineCounts = {
  /** Bought, including units removed or refunded since. */
  readonly ordered: number;
  /** Bought, without units removed or refunded. */
  readonly current: number;
  /** Not yet fulfilled. Shopify may still count removed units here. */
  readonly unfulfilled: number;
  /** Refunded with `NO_RESTOCK`: gone for good. */
  readonly lost: number;
};

/**
 * reserved + shipped = current + lost. Units still to ship are reserved; the others have left the shelf. A refund that restocked is in
 * neither: Shopify has already raised its own `available` by it. A cancelled order reserves nothing, but units that were written off
 * with it do not come back. Test orders hold nothing.
 */
export function lineLevels(
  counts: LineCounts,
  order: { readonly cancelled: boolean; readonly test: boolean },
): { readonly reserved: number; readonly shipped: number } {
  if (order.test) return { reserved: 0, shipped: 0 };
  const current = bounded(counts.current, counts.ordered);
  const lost = bounded(counts.lost, counts.ordered - current);
  if (order.cancelled) return { reserved: 0, shipped: lost };
  const reserved = bounded(counts.unfulfilled, current);
  return { reserved, shipped: current - reserved + lost };
}

function bounded(count: number, max: number): number {
  return Math.max(0, Math.min(count, max));
}

export type StatusFacts = {
  readonly cancelled: boolean;
  /** Upper case, as GraphQL spells it; null when unknown. */
  readonly financial: string | null;
  readonly fulfillment: string | null;
  /** True when every fulfilment that was not cancelled has arrived, and there is one. */
  readonly allDelivered: boolean;
};

const unpaidForGood = new Set(['VOIDED', 'EXPIRED']);
const notPaidYet = new Set(['PENDING', 'AUTHORIZED', 'PARTIALLY_PAID']);
/** Something has left, so a voided payment does not make the order a cancelled one. */
const somethingFulfilled = new Set(['FULFILLED', 'PARTIALLY_FULFILLED']);

/** First match wins. An order shipped in part stays `processing`; its lines say how much has left. */
export function shopifyOrderStatus(facts: StatusFacts): OrderStatus {
  const fulfillment = facts.fulfillment ?? 'UNFULFILLED';
  if (facts.cancelled) return 'cancelled';
  if (unpaidForGood.has(facts.financial ?? '') && !somethingFulfilled.has(fulfillment)) return 'cancelled';
  if (fulfillment === 'FULFILLED') return facts.allDelivered ? 'delivered' : 'shipped';
  return notPaidYet.has(facts.financial ?? '') ? 'pending' : 'processing';
}
