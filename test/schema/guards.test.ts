/** What keeps from overselling and from mistakes, over the API and the real sync: protection, a paused escrow, a stopped change. */
import { expect, test } from 'vitest';
import { graphql } from '../../.generated/gql/gql.ts';
import type { Results } from '../../src/graphql.ts';
import { encodeId } from '../../src/schema/globalId.ts';
import type { Scope } from '../../src/schema/scopes.ts';
import { newEscrow, violated } from '../../src/sync/core/escrow.ts';
import { pushConnection } from '../../src/sync/push.ts';
import * as support from '../support/channel.ts';
import * as fixtures from '../support/fixtures.ts';
import { type Api, codesOf, dataOf, sessionOf } from './apiFixture.ts';
import { alertEvents } from './insightOperations.ts';
import { openReal } from './realApi.ts';
import { insertItem, insertListing } from './rows.ts';

const protectionSet = graphql(`
  mutation ProtectionSet($input: InventoryItemProtectionSetInput!) {
    inventoryItemProtectionSet(input: $input) {
      item { protection listings(first: 5) { nodes { pending } } }
      userErrors { code field }
    }
  }
`);

const escrowResume = graphql(`
  mutation EscrowResume($input: EscrowResumeInput!) {
    escrowResume(input: $input) {
      listing { item { escrow { available free rights { inForce paused listing { platformId } } } } }
      userErrors { code field }
    }
  }
`);

const blastApprove = graphql(`
  mutation BlastApprove($input: BlastApproveInput!) {
    blastApprove(input: $input) { connection { name } userErrors { code field } }
  }
`);

const unknown = '00000000-0000-7000-8000-000000000001';
const without = (api: Api, scope: Scope) => ({
  session: sessionOf(
    api.shop,
    [...api.session.scopes].filter((each) => each !== scope),
  ),
});

async function offered(api: Api) {
  const item = await insertItem(api.database.pool, api.shop, 'MUG');
  const listing = await insertListing(api.database.pool, api.shop, item, 'unit');
  return { item, listing, itemId: encodeId('InventoryItem', item), listingId: encodeId('Listing', listing) };
}

test('an item is put under escrow and back, read again, and its listings are brought in step', async () => {
  await using real = await openReal();
  const { api } = real;
  const { item, itemId, listing } = await offered(api);
  const set = async (protection: 'ESCROW' | 'SHARED' | 'AUTOMATIC', id = itemId) =>
    dataOf(await api.run(protectionSet, { input: { itemId: id, protection } })).inventoryItemProtectionSet;
  for (const protection of ['ESCROW', 'AUTOMATIC', 'SHARED'] as const) {
    await api.database.pool.query('DELETE FROM dirty_listings');
    expect(await set(protection)).toEqual({
      item: { protection, listings: { nodes: [{ pending: true }] } },
      userErrors: [],
    });
  }
  await api.database.pool.query('UPDATE listings SET writable = false WHERE id = $1', [listing]);
  expect(await set('ESCROW')).toMatchObject({
    item: { protection: 'SHARED' },
    userErrors: [{ code: 'INVALID_INPUT', field: ['input', 'protection'] }],
  });
  const nothing = { item: null, userErrors: [{ code: 'NOT_FOUND', field: ['input', 'itemId'] }] };
  expect(await set('ESCROW', encodeId('InventoryItem', unknown))).toEqual(nothing);
  expect(await set('ESCROW', encodeId('Listing', item))).toEqual(nothing);
  const input = { itemId, protection: 'ESCROW' } as const;
  expect(codesOf(await api.run(protectionSet, { input }, without(api, 'stock:write')))).toEqual([
    'FORBIDDEN',
  ]);
});

test('a listing that was paused at zero takes part in the escrow again, with what it may show now', async () => {
  await using real = await openReal();
  const { api } = real;
  const { pool } = api.database;
  const { item, listing, listingId } = await offered(api);
  const resume = async (id = listingId) =>
    dataOf(await api.run(escrowResume, { input: { listingId: id } })).escrowResume;
  const nothing = { code: 'NOT_FOUND', field: ['input', 'listingId'] };
  // In the shared pool there is nothing to resume.
  expect(await resume()).toMatchObject({ userErrors: [nothing] });

  await support.insertShadow(pool, support.createChannel(), listing, 4);
  const paused = violated(newEscrow(10, { [listing]: 4 }), listing, 'A4');
  await pool.query('INSERT INTO escrows (item_id, account_id, state, seq) VALUES ($1, $2, $3, 1)', [
    item,
    api.shop.accountId,
    JSON.stringify(paused),
  ]);
  const input = { listingId };
  expect(codesOf(await api.run(escrowResume, { input }, without(api, 'stock:write')))).toEqual(['FORBIDDEN']);
  const rights = [{ inForce: 4, paused: null, listing: { platformId: 'unit' } }];
  const resumed = { listing: { item: { escrow: { available: 10, free: 6, rights } } }, userErrors: [] };
  expect(await resume()).toEqual(resumed);
  expect(await resume()).toEqual(resumed);
  expect(await resume(encodeId('Listing', unknown))).toEqual({ listing: null, userErrors: [nothing] });
});

test('a change that would zero a whole connection stops and says so live; whoever approves it lets it go on', async () => {
  await using real = await openReal();
  const { api } = real;
  const { pool } = api.database;
  const connection = await fixtures.insertConnection(pool, api.shop.accountId);
  const channel = support.createChannel();
  const push = () =>
    pushConnection(support.pushOptions(pool, support.connectTo(pool, { shopify: channel })), connection.id);
  const connectionId = encodeId('PlatformConnection', connection.id);
  const stream = await api.open(alertEvents, { kinds: ['BLAST_STOPPED'] });
  expect(await next(stream)).toMatchObject({ __typename: 'Heartbeat' });
  for (let index = 0; index < 30; index += 1) {
    const listed = await support.insertListed(pool, { connection, channel }, 5, 5);
    await support.moveStock(pool, listed.item, -5);
  }
  await push();
  expect(channel.writes).toEqual([]);
  expect(await nextEvent(stream)).toMatchObject({
    kind: 'BLAST_STOPPED',
    status: 'OPEN',
    units: 30,
    message: expect.stringContaining('30 would go to zero within an hour') as string,
    connectionId,
  });

  const input = { connectionId };
  const refused = await api.run(blastApprove, { input }, without(api, 'connections:admin'));
  expect(codesOf(refused)).toEqual(['FORBIDDEN']);
  const nobody = { connectionId: encodeId('PlatformConnection', unknown) };
  expect(dataOf(await api.run(blastApprove, { input: nobody })).blastApprove).toEqual({
    connection: null,
    userErrors: [{ code: 'NOT_FOUND', field: ['input', 'connectionId'] }],
  });
  await push();
  expect(channel.writes).toEqual([]);

  const approved = dataOf(await api.run(blastApprove, { input })).blastApprove;
  expect(approved).toMatchObject({ connection: { name: expect.any(String) as string }, userErrors: [] });
  expect(await nextEvent(stream)).toMatchObject({ kind: 'BLAST_STOPPED', status: 'RESOLVED', connectionId });
  await push();
  expect(channel.writes.map(({ quantity }) => quantity)).toEqual(Array.from({ length: 30 }, () => 0));
  await stream.return();
});

type Envelope = Readonly<Record<string, unknown>>;

async function next(stream: Results): Promise<Envelope> {
  const { done, value } = await stream.next();
  if (done) throw new Error('the stream has ended');
  const [envelope] = Object.values(value.data ?? {});
  return envelope as Envelope;
}

/** Heartbeats are passed over. */
async function nextEvent(stream: Results): Promise<Envelope> {
  for (;;) {
    const envelope = await next(stream);
    if (envelope['__typename'] !== 'Heartbeat') return envelope;
  }
}
