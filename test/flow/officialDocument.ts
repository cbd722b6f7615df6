/** What the marketplaces' page documents beside the specifications: every JSON body on it, by the names of its members. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Order, OrderLine } from '../../src/connectors/connector.ts';
import { specificationFolder } from '../support/specifications.ts';

export type DocumentedBody = { readonly members: string; readonly body: Readonly<Record<string, unknown>> };

export function documentedBodies(): readonly DocumentedBody[] {
  const text = readFileSync(resolve(specificationFolder, '../marketplaces.md'), 'utf8');
  return [...text.matchAll(/```json\n(.*?)```/gs)].map(([, block = '']) => {
    const body = JSON.parse(block) as Readonly<Record<string, unknown>>;
    return { members: Object.keys(body).join(' '), body };
  });
}

/** What comes of each body. One whose members are not here has no case yet. */
export const documentedCases: Readonly<Record<string, { readonly bodies: number; readonly case: string }>> = {
  'count results': { bodies: 1, case: 'recordings/etsy/receipts' },
  'products price_on_property quantity_on_property sku_on_property readiness_state_on_property': {
    bodies: 2,
    case: 'recordings/etsy/inventory, and the write that etsyStock.test.ts compares',
  },
  'NotificationVersion NotificationType PayloadVersion EventTime Payload NotificationMetadata': {
    bodies: 1,
    case: 'recordings/amazon/orderChange',
  },
  'orders pagination lastUpdatedBefore': { bodies: 1, case: 'recordings/amazon/searchOrders' },
  'sku summaries offers fulfillmentAvailability': { bodies: 1, case: 'recordings/amazon/getListingsItem' },
  'sku status submissionId issues': { bodies: 1, case: 'recordings/amazon/patchAccepted' },
  'metadata notification': { bodies: 1, case: 'recordings/ebay/orderConfirmation' },
  'total limit offset orders': { bodies: 1, case: 'recordings/ebay/orders' },
  'total size limit inventoryItems': { bodies: 1, case: 'recordings/ebay/inventoryItems' },
  responses: { bodies: 1, case: 'recordings/ebay/bulkUpdateAnswer' },
  'inventory_item_id location_id available updated_at admin_graphql_api_id': {
    bodies: 1,
    case: 'recordings/shopify/inventoryLevel',
  },
  'data extensions': { bodies: 1, case: 'recordings/shopify/setAvailable' },
  errors: { bodies: 2, case: 'recordings/amazon/quotaExceeded, and the errors in ebayStock.test.ts' },
  'access_token token_type expires_in refresh_token': {
    bodies: 2,
    case: 'tokens: etsy.test.ts, amazon.test.ts',
  },
  'access_token expires_in refresh_token refresh_token_expires_in token_type': {
    bodies: 1,
    case: 'tokens: ebay.test.ts',
  },
  'access_token scope expires_in refresh_token refresh_token_expires_in': {
    bodies: 1,
    case: 'tokens: shopify.test.ts',
  },
  'productType patches': { bodies: 1, case: 'sent: amazonStock.test.ts' },
  requests: { bodies: 1, case: 'sent: ebayStock.test.ts' },
  'key input': { bodies: 1, case: 'sent: shopify.test.ts' },
  'marketplaceId packageDetail': { bodies: 1, case: 'sent: amazonShipping.test.ts' },
  'lineItems shippedDate shippingCarrierCode trackingNumber': {
    bodies: 1,
    case: 'sent: ebayOrders.test.ts',
  },
  f: { bodies: 1, case: 'sent: shopifyOrders.test.ts' },
  'op path value': { bodies: 1, case: 'never sent: prices are not written' },
  'productType requirements attributes': { bodies: 1, case: 'never sent: listings are not created' },
  'header messages': { bodies: 1, case: 'never sent: feeds are not used' },
  'condition availability product': { bodies: 1, case: 'never sent: listings are not created' },
  'sku marketplaceId format availableQuantity categoryId listingDuration listingDescription merchantLocationKey pricingSummary listingPolicies':
    { bodies: 1, case: 'never sent: listings are not created' },
  input: { bodies: 1, case: 'never sent: listings are not created' },
};

/** The documented orders are of one shape: two blue mugs for 24.50 each, with postage. */
export function twoMugs(order: Partial<Order>, line: Partial<OrderLine> & Pick<OrderLine, 'lineId'>): Order {
  return {
    orderId: '',
    status: 'processing',
    customerName: 'Kim Doe',
    total: { minor: 5650, currency: 'USD' },
    createdAt: new Date('2026-11-22T07:58:00Z'),
    updatedAt: new Date('2026-11-22T08:03:00Z'),
    raw: null,
    lines: [
      {
        address: { unitId: 'MUG-BLUE', variantId: '' },
        sku: 'MUG-BLUE',
        title: 'Blue mug',
        ordered: 2,
        reserved: 2,
        shipped: 0,
        unitPrice: { minor: 2450, currency: 'USD' },
        ...line,
      },
    ],
    ...order,
  };
}
