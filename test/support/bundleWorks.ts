/** What bundles, reservations and returns send to the database, each as the product runs it, on the rows of a large shop. */
import type { Pool } from 'pg';
import { setBundle } from '../../src/sync/bundles.ts';
import { applyOrder } from '../../src/sync/orders.ts';
import type { Caller } from '../../src/sync/outcome.ts';
import {
  commitReservation,
  createReservation,
  expireReservations,
  extendReservation,
} from '../../src/sync/reservations.ts';
import { returnOrder } from '../../src/sync/returns.ts';
import * as fixtures from './fixtures.ts';
import { type LargeShop, rowId } from './largeShop.ts';

type Place = { readonly pool: Pool; readonly caller: Caller; readonly shop: LargeShop };

const ignore = (): void => undefined;
const key = (): { idempotencyKey: string } => ({ idempotencyKey: fixtures.unique('key') });

/** In a large shop item 2,007 is a bundle of item 2,008, item 2,017 of item 2,018, and so on. */
export function bundleWorks(place: () => Place): Record<string, () => Promise<unknown>> {
  let round = 0;
  const reservations = () => ({
    pool: place().pool,
    onMoved: ignore,
    reservationDefaultMs: 60_000,
    reservationMaxMs: 60_000,
  });
  const sold = (sku: string) => () => {
    const { pool, shop } = place();
    const source = { ...shop, platform: 'shopify', observedAt: fixtures.noon, deliveryId: null };
    return applyOrder(pool, source, fixtures.order({ lines: [fixtures.orderLine({ sku })] }));
  };
  return {
    'a bundle is sold': sold('SKU-000002007'),
    'a component is sold': sold('SKU-000002008'),
    'an older snapshot comes late': async () => {
      const { pool, shop } = place();
      const newest = fixtures.order({ lines: [fixtures.orderLine({ sku: 'SKU-000002000' })] });
      const older = {
        ...newest,
        updatedAt: fixtures.after(-5),
        lines: [fixtures.orderLine({ sku: 'SKU-000002000', shipped: 2 })],
      };
      const source = { ...shop, platform: 'shopify', observedAt: fixtures.noon, deliveryId: null };
      await applyOrder(pool, source, newest);
      await applyOrder(pool, source, older);
    },
    'a bundle is made of other things': () => {
      const { pool, caller } = place();
      round += 1;
      return setBundle({ pool, onChanged: ignore }, caller, {
        itemId: rowId('item', 2_017),
        components: [
          { itemId: rowId('item', 2_018), quantity: 5 + round },
          { itemId: rowId('item', 2_028), quantity: 1 },
        ],
        ...key(),
      });
    },
    'a reservation is made, extended and ended': async () => {
      const { caller } = place();
      const made = await createReservation(reservations(), caller, {
        lines: [2_007, 2_000].map((n) => ({ itemId: rowId('item', n), quantity: 1 })),
        expiresInSeconds: 60,
        reference: null,
        ...key(),
      });
      if (!made.ok) throw new Error(JSON.stringify(made.problems));
      await extendReservation(reservations(), caller, { ...made.value, expiresInSeconds: 60, ...key() });
      await commitReservation(reservations(), caller, { ...made.value, ...key() });
    },
    'reservations run out': () => expireReservations(reservations()),
    'goods come back': () => {
      const { pool, caller } = place();
      round += 1;
      return returnOrder({ pool, onApplied: ignore }, caller, {
        orderId: rowId('order', 2_100 + round),
        lines: [{ lineId: rowId('line', 2_100 + round), quantity: 1 }],
        restock: true,
        reason: 'returned',
        reference: null,
        ...key(),
      });
    },
  };
}
