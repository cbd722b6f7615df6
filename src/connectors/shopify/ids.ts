/** Turns Shopify's global ids into the plain numbers that addresses and orders carry, and back. */

import { ChannelError, type ListingAddress } from '../connector.ts';

export function globalId(kind: string, number: string): string {
  return `gid://shopify/${kind}/${number}`;
}

/** `gid://shopify/LineItem/12` and `12` are both `12`. Throws `ChannelError` (`invalid_response`). */
export function plainId(id: string): string {
  const found = /^(?:gid:\/\/shopify\/\w+\/)?(\d+)(?:\?.*)?$/.exec(id);
  if (found?.[1] === undefined)
    throw new ChannelError('invalid_response', `"${id.slice(0, 80)}" is not a Shopify id`);
  return found[1];
}

export function stockAddress(inventoryItemId: string, locationId: string): ListingAddress {
  return { unitId: `${plainId(inventoryItemId)}/${plainId(locationId)}`, variantId: '' };
}

/** The two global ids of an address. Null when it is not one of Shopify's. */
export function stockIds(
  address: ListingAddress,
): { readonly inventoryItemId: string; readonly locationId: string } | null {
  const found = /^(\d+)\/(\d+)$/.exec(address.unitId);
  if (found?.[1] === undefined || found[2] === undefined) return null;
  return { inventoryItemId: globalId('InventoryItem', found[1]), locationId: globalId('Location', found[2]) };
}
