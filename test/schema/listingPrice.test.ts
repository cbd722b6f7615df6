/** A listing says what it should cost, whether that is being written, and why not. */
import { expect, test } from 'vitest';
import { dataOf, openApi } from './apiFixture.ts';
import { listingPrices } from './priceOperations.ts';
import { insertItem, insertListing, type Shop } from './rows.ts';

type Write = {
  readonly state: string;
  readonly sent?: number;
  readonly error?: string;
  readonly refusal?: string;
};

async function shownPrices(
  listings: readonly {
    readonly shown: number;
    readonly intended?: number;
    readonly currency?: string;
    readonly write?: Write;
    readonly enabled?: boolean;
  }[],
  prepare: (shop: Shop) => string | null = () => null,
) {
  await using api = await openApi();
  const { pool } = api.database;
  for (const [index, listing] of listings.entries()) {
    const { shown, intended, currency = 'EUR', write, enabled = true } = listing;
    const price = intended === undefined ? {} : { price_minor: intended, currency };
    const item = await insertItem(pool, api.shop, `SKU-${index}`, price);
    const id = await insertListing(pool, api.shop, item, `${index}`);
    await pool.query('UPDATE listings SET price_minor = $2, sync_enabled = $3 WHERE id = $1', [
      id,
      shown,
      enabled,
    ]);
    if (write === undefined) continue;
    const { state, sent = null, error = null, refusal = null } = write;
    await pool.query(
      `INSERT INTO dirty_prices (listing_id, account_id, connection_id, item_id, state, sent_minor, sent_at, sent_version, error, refusal, actor_kind)
       VALUES ($1, $2, $3, $4, $5, $6, now(), 1, $7, $8, 'system')`,
      [id, api.shop.accountId, api.shop.connectionId, item, state, sent, error, refusal],
    );
  }
  const sql = prepare(api.shop);
  if (sql !== null) await pool.query(sql);
  await api.run(listingPrices, {});
  api.statements.length = 0;
  const { nodes } = dataOf(await api.run(listingPrices, {})).listings;
  expect(api.statements).toHaveLength(1);
  return nodes.toSorted((one, other) => Number(one.platformId) - Number(other.platformId));
}

test('the intended price stands beside the one shown, with what becomes of it', async () => {
  const nodes = await shownPrices([
    { shown: 1_000 },
    { shown: 1_100, intended: 1_100 },
    { shown: 1_000, intended: 1_100, write: { state: 'waiting' } },
    { shown: 1_000, intended: 1_100, write: { state: 'accepted', sent: 1_100 } },
    {
      shown: 1_000,
      intended: 1_100,
      write: { state: 'refused', sent: 1_100, error: 'too low', refusal: 'price_not_allowed' },
    },
    { shown: 1_000, intended: 1_100, currency: 'USD' },
    { shown: 1_000, intended: 1_100, write: { state: 'waiting' }, enabled: false },
  ]);
  const meant = { amount: '11.00', currencyCode: 'EUR' };
  expect(nodes).toMatchObject([
    { intendedPrice: null, pricePending: false, priceRefusal: null },
    { intendedPrice: meant, pricePending: false, priceExplanation: 'It shows 11.00 EUR, as it should.' },
    { intendedPrice: meant, pricePending: true, priceExplanation: '11.00 EUR waits to be written.' },
    { price: { amount: '10.00' }, intendedPrice: meant, pricePending: true },
    {
      pricePending: false,
      priceRefusal: 'PRICE_NOT_ALLOWED',
      priceExplanation: 'The channel refused 11.00 EUR: too low. Setting a price tries again.',
    },
    {
      intendedPrice: null,
      priceExplanation:
        'It shows 10.00 EUR and the item should cost 11.00 USD: a price is never converted, so none is written.',
    },
    { pricePending: true, priceExplanation: '11.00 EUR is to be written, but the listing is paused.' },
  ]);
});

test('a difference that the account tolerates is none', async () => {
  const nodes = await shownPrices(
    [{ shown: 1_098, intended: 1_100 }],
    ({ accountId }) => `UPDATE accounts SET price_tolerance_minor = 2 WHERE id = '${accountId}'`,
  );
  expect(nodes).toMatchObject([{ priceExplanation: 'It shows 10.98 EUR, as it should.' }]);
});

test('a connection that waits for its plan, or for its seller, says so', async () => {
  const listing = { shown: 1_000, intended: 1_100 };
  const before = await shownPrices(
    [listing],
    ({ connectionId }) => `UPDATE connections SET awaiting_plan = true WHERE id = '${connectionId}'`,
  );
  expect(before[0]?.priceExplanation).toContain(
    'nothing is written to its connection before a plan is applied',
  );
  const refused = await shownPrices(
    [listing],
    ({ connectionId }) =>
      `UPDATE connections SET status = 'needs_authorization' WHERE id = '${connectionId}'`,
  );
  expect(refused[0]?.priceExplanation).toContain('its connection is needs authorization');
});
