/** Listings, inventories and receipts in Etsy's wire shapes (Open API v3). Pure. */

import { etsyShopId, etsyUserId } from './etsyTokens.ts';
import type { Listing, ListingState, Money, Order, OrderLine, Variant } from './goods.ts';
import { currentQuantity, orderState, orderTotal } from './orderState.ts';
import type { Shop, StockView } from './world.ts';

export const etsyStates: Readonly<Record<ListingState, string>> = {
  active: 'active',
  inactive: 'inactive',
  soldOut: 'sold_out',
  draft: 'draft',
  expired: 'expired',
  ended: 'expired',
};

export const epochSeconds = (milliseconds: number) => Math.floor(milliseconds / 1000);

/** Etsy's Money says its own divisor; two digits for every currency sold here. */
export const etsyMoney = ({ minor, currency }: Money) => ({
  amount: minor,
  divisor: 100,
  currency_code: currency,
});

function product(variant: Variant, view: StockView) {
  return {
    product_id: Number(variant.id),
    sku: variant.sku,
    is_deleted: false,
    offerings: [
      {
        offering_id: Number(variant.id) - 2_000_000,
        quantity: view.quantity(variant),
        is_enabled: variant.enabled,
        is_deleted: false,
        price: etsyMoney(variant.price),
        readiness_state_id: 3100,
      },
    ],
    property_values: variant.properties.map((each) => ({
      property_id: each.propertyId,
      property_name: each.propertyName,
      scale_id: each.scaleId,
      scale_name: null,
      value_ids: each.valueIds,
      values: each.values,
    })),
  };
}

export function inventoryBody(shop: Shop, listing: Listing, view: StockView) {
  return {
    products: shop.variantsOf(listing).map((variant) => product(variant, view)),
    price_on_property: listing.dependence.price,
    quantity_on_property: listing.dependence.quantity,
    sku_on_property: listing.dependence.sku,
    readiness_state_on_property: listing.dependence.readiness,
  };
}

/** Units that buyers see: a quantity shared by several products counts once. */
function listedQuantity(shop: Shop, listing: Listing, view: StockView): number {
  const variants = shop.variantsOf(listing).filter(({ enabled }) => enabled);
  const pools = new Set(variants.map((variant) => shop.pool(variant)[0]));
  return [...pools].reduce((sum, variant) => sum + (variant === undefined ? 0 : view.quantity(variant)), 0);
}

export function listingBody(shop: Shop, listing: Listing, view: StockView) {
  const variants = shop.variantsOf(listing);
  const cheapest = variants.toSorted((a, b) => a.price.minor - b.price.minor)[0];
  return {
    listing_id: Number(listing.id),
    user_id: etsyUserId,
    shop_id: etsyShopId,
    title: listing.title,
    description: listing.description,
    state: etsyStates[view.state(listing)],
    creation_timestamp: epochSeconds(listing.createdAt),
    created_timestamp: epochSeconds(listing.createdAt),
    ending_timestamp: epochSeconds(listing.createdAt) + 120 * 86_400,
    original_creation_timestamp: epochSeconds(listing.createdAt),
    last_modified_timestamp: epochSeconds(listing.updatedAt),
    updated_timestamp: epochSeconds(listing.updatedAt),
    state_timestamp: epochSeconds(listing.updatedAt),
    quantity: listedQuantity(shop, listing, view),
    url: `https://www.etsy.com/listing/${listing.id}`,
    is_personalizable: false,
    listing_type: 'physical',
    tags: [],
    materials: [],
    who_made: 'i_did',
    when_made: '2020_2026',
    is_supply: false,
    is_private: false,
    has_variations: variants.length > 1,
    should_auto_renew: false,
    language: 'en-US',
    price: etsyMoney(cheapest?.price ?? { minor: 0, currency: 'USD' }),
    taxonomy_id: 1633,
    readiness_state_id: 3100,
  };
}

/** A listing with its inventory and SKUs, as the scan and the batch call associate them. */
export function associatedListingBody(shop: Shop, listing: Listing, view: StockView) {
  return {
    ...listingBody(shop, listing, view),
    skus: shop.variantsOf(listing).flatMap(({ sku }) => (sku === '' ? [] : [sku])),
    inventory: inventoryBody(shop, listing, view),
  };
}

function receiptStatus(order: Order): string {
  const state = orderState(order);
  if (state === 'cancelled') return 'canceled';
  if (order.refunds.length > 0)
    return order.lines.every((line) => currentQuantity(line) === 0) ? 'fully refunded' : 'partially refunded';
  if (state === 'shipped' || state === 'delivered') return 'completed';
  return state === 'pending' ? 'payment processing' : 'paid';
}

export function isShipped(order: Order): boolean {
  const state = orderState(order);
  return state === 'shipped' || state === 'delivered';
}

function transactionBody(order: Order, line: OrderLine, variant: Variant | undefined) {
  return {
    transaction_id: Number(line.id),
    title: line.title,
    description: line.title,
    seller_user_id: etsyUserId,
    buyer_user_id: 82_990_001,
    create_timestamp: epochSeconds(order.createdAt),
    created_timestamp: epochSeconds(order.createdAt),
    paid_timestamp: order.paidAt === null ? null : epochSeconds(order.paidAt),
    shipped_timestamp: isShipped(order) ? epochSeconds(order.parcels[0]?.at ?? order.updatedAt) : null,
    quantity: line.ordered - line.removed,
    receipt_id: Number(order.id),
    is_digital: false,
    file_data: '',
    listing_id: Number(line.listingId),
    transaction_type: 'listing',
    product_id: Number(line.variantId),
    sku: line.sku === '' ? null : line.sku,
    price: etsyMoney(line.unitPrice),
    shipping_cost: etsyMoney({ minor: 0, currency: line.unitPrice.currency }),
    variations: (variant?.properties ?? []).map((each) => ({
      property_id: each.propertyId,
      value_id: each.valueIds[0] ?? null,
      formatted_name: each.propertyName,
      formatted_value: each.values.join(', '),
    })),
    buyer_coupon: 0,
    shop_coupon: 0,
  };
}

export function receiptBody(shop: Shop, order: Order) {
  const { currency } = order.shippingCost;
  const total = orderTotal(order, (line) => line.ordered - line.removed);
  const goods = { minor: total.minor - order.shippingCost.minor, currency };
  const nothing = etsyMoney({ minor: 0, currency });
  return {
    receipt_id: Number(order.id),
    receipt_type: 0,
    seller_user_id: etsyUserId,
    seller_email: null,
    buyer_user_id: 82_990_001,
    buyer_email: null,
    name: order.customerName,
    first_line: null,
    second_line: null,
    city: null,
    state: null,
    zip: null,
    status: receiptStatus(order),
    formatted_address: null,
    country_iso: 'US',
    payment_method: 'cc',
    payment_email: null,
    message_from_seller: null,
    message_from_buyer: null,
    message_from_payment: null,
    is_paid: order.paidAt !== null,
    is_shipped: isShipped(order),
    create_timestamp: epochSeconds(order.createdAt),
    created_timestamp: epochSeconds(order.createdAt),
    update_timestamp: epochSeconds(order.updatedAt),
    updated_timestamp: epochSeconds(order.updatedAt),
    is_gift: false,
    gift_message: '',
    gift_sender: '',
    grandtotal: etsyMoney(total),
    subtotal: etsyMoney(goods),
    total_price: etsyMoney(goods),
    total_shipping_cost: etsyMoney(order.shippingCost),
    total_tax_cost: nothing,
    total_vat_cost: nothing,
    discount_amt: nothing,
    gift_wrap_price: nothing,
    shipments: order.parcels.map((parcel) => ({
      receipt_shipping_id: Number(parcel.id),
      shipment_notification_timestamp: epochSeconds(parcel.at),
      carrier_name: parcel.carrier ?? '',
      tracking_code: parcel.trackingNumber ?? '',
    })),
    transactions: order.lines.map((line) => transactionBody(order, line, shop.variant(line.variantId))),
    refunds: order.refunds.map((refund) => ({
      amount: etsyMoney(refund.amount),
      created_timestamp: epochSeconds(refund.at),
      reason: order.cancelReason,
      note_from_issuer: null,
      status: 'success',
    })),
  };
}
