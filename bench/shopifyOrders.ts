/** Orders as Shopify's `orders/create` webhook carries them: every member the connector reads, and about as many more as in reality. */
import { randomUUID } from 'node:crypto';
import type { Order } from '../src/connectors/connector.ts';
import { orderFromRest } from '../src/connectors/shopify/restOrder.ts';

let made = 0;

/** Unique within all runs against one database. */
export function newOrderNumber(): number {
  return Date.now() * 1_000 + (made++ % 1_000);
}

const address = {
  first_name: 'Ada',
  last_name: 'Lovelace',
  name: 'Ada Lovelace',
  address1: '12 St James Square',
  address2: null,
  city: 'London',
  zip: 'SW1Y 4JH',
  country: 'United Kingdom',
  country_code: 'GB',
  phone: null,
  company: null,
  latitude: 51.5075,
  longitude: -0.1354,
};

const price = { amount: '24.50', currency_code: 'USD' };
const priceSet = { shop_money: price, presentment_money: price };

/** The body of the webhook for one unit of one SKU. */
export function shopifyOrderBody(number: number, lineSku: string): Record<string, unknown> {
  const at = new Date().toISOString();
  return {
    id: number,
    admin_graphql_api_id: `gid://shopify/Order/${number}`,
    name: `#${number % 100_000}`,
    order_number: number % 100_000,
    token: randomUUID(),
    created_at: at,
    processed_at: at,
    updated_at: at,
    cancelled_at: null,
    cancel_reason: null,
    test: false,
    financial_status: 'paid',
    fulfillment_status: null,
    currency: 'USD',
    presentment_currency: 'USD',
    total_price: '24.50',
    total_price_set: priceSet,
    subtotal_price: '24.50',
    subtotal_price_set: priceSet,
    total_tax: '0.00',
    total_discounts: '0.00',
    taxes_included: false,
    source_name: 'web',
    tags: '',
    note: null,
    note_attributes: [],
    discount_codes: [],
    shipping_lines: [{ id: number + 1, title: 'Standard', price: '0.00', code: 'standard' }],
    customer: { id: 207_119_551, first_name: 'Ada', last_name: 'Lovelace', email: 'ada@example.com' },
    billing_address: address,
    shipping_address: address,
    line_items: [
      {
        id: number + 2,
        admin_graphql_api_id: `gid://shopify/LineItem/${number + 2}`,
        product_id: 632_910_392,
        variant_id: 808_950_810,
        sku: lineSku,
        name: `Item ${lineSku}`,
        title: `Item ${lineSku}`,
        quantity: 1,
        current_quantity: 1,
        fulfillable_quantity: 1,
        price: '24.50',
        price_set: priceSet,
        total_discount: '0.00',
        requires_shipping: true,
        taxable: true,
        gift_card: false,
        vendor: 'Bench',
        properties: [],
        tax_lines: [],
      },
    ],
    refunds: [],
    fulfillments: [],
  };
}

/** The same order as the connector hands it to the sync engine. */
export function newOrder(lineSku: string): Order {
  const order = orderFromRest(shopifyOrderBody(newOrderNumber(), lineSku));
  if (order === null) throw new Error('the connector cannot read the order');
  return order;
}
