/** Amazon: stock is read and written by SKU, and a doubtful write is called so. */
import { describe, expect, test } from 'vitest';
import { connectSeller, marketplaceId, startSeller } from './amazonSeller.ts';
import { collect, type ReceivedRequest, startLocalChannel, unclearAnswers } from './localChannel.ts';
import { recording } from './recordings.ts';

const listing = recording('amazon/getListingsItem') as Record<string, unknown>;
const fba = {
  ...listing,
  sku: 'MUG-FBA',
  fulfillmentAvailability: [{ fulfillmentChannelCode: 'AMAZON_NA', quantity: 9 }],
};

function write(sku: string, quantity: number) {
  return { address: { unitId: sku, variantId: '' }, quantity, expected: null, key: `key-${sku}` };
}

function skusAsked(request: ReceivedRequest): string[] {
  return (request.query.get('identifiers') ?? '').split(',');
}

/** Knows every SKU that is asked for. */
function listingOf(sku: string) {
  return { ...(sku === 'MUG-FBA' ? fba : listing), sku };
}

function everyListing(request: ReceivedRequest) {
  const items = skusAsked(request).map(listingOf);
  return { json: { numberOfResults: items.length, items } };
}

describe('stock', () => {
  test('45 SKUs are read by three calls of at most 20, in the order asked', async () => {
    await using channel = await startSeller(everyListing);
    const asked = Array.from({ length: 45 }, (_unused, index) => ({ unitId: `SKU-${index}`, variantId: '' }));
    const readings = await connectSeller(channel).connector.readStock(asked);
    expect(readings).toEqual(asked.map(() => ({ kind: 'quantity', quantity: 5 })));
    expect(channel.requests.map((request) => skusAsked(request).length).toSorted((a, b) => b - a)).toEqual([
      20, 20, 5,
    ]);
  });

  test('a SKU that is not found, or has no number, is unknown and never zero', async () => {
    const empty = { sku: 'EMPTY', fulfillmentAvailability: [{ fulfillmentChannelCode: 'DEFAULT' }] };
    await using channel = await startSeller(() => ({ json: { numberOfResults: 1, items: [empty] } }));
    const readings = await connectSeller(channel).connector.readStock(
      ['EMPTY', 'GONE'].map((unitId) => ({ unitId, variantId: '' })),
    );
    expect(readings.map((reading) => reading.kind)).toEqual(['unknown', 'unknown']);
  });

  test('a write merges the one quantity under the product type, which is asked once', async () => {
    await using channel = await startSeller((request) =>
      request.method === 'PATCH' ? { json: recording('amazon/patchAccepted') } : everyListing(request),
    );
    const { connector } = connectSeller(channel);
    const accepted = { kind: 'accepted', reference: 'f1dc0000-0000-11f0-0000-000000000001' };
    expect(await connector.setStock([write('MUG-BLUE', 4)])).toEqual([accepted]);
    expect(await connector.setStock([write('MUG-BLUE', 0)])).toEqual([accepted]);
    expect(channel.requests.map((request) => request.method)).toEqual(['GET', 'PATCH', 'PATCH']);
    const [, patch] = channel.requests;
    expect(patch?.path).toBe('/listings/2021-08-01/items/A1SELLER/MUG-BLUE');
    expect(JSON.parse(patch?.body ?? '')).toEqual({
      productType: 'MUG',
      patches: [
        {
          op: 'merge',
          path: '/attributes/fulfillment_availability',
          value: [{ fulfillment_channel_code: 'DEFAULT', quantity: 4 }],
        },
      ],
    });
  });

  test('a SKU in Amazon’s warehouses is never written, and its neighbours are', async () => {
    await using channel = await startSeller((request) =>
      request.method === 'PATCH' ? { json: recording('amazon/patchAccepted') } : everyListing(request),
    );
    const results = await connectSeller(channel).connector.setStock(
      ['A', 'MUG-FBA', 'B'].map((sku) => write(sku, 1)),
    );
    expect(results.map((result) => result.kind)).toEqual(['accepted', 'rejected', 'accepted']);
    const patched = channel.requests
      .filter((request) => request.method === 'PATCH')
      .map((request) => request.path);
    expect(patched.toSorted()).toEqual(['A', 'B'].map((sku) => `/listings/2021-08-01/items/A1SELLER/${sku}`));
  });

  test.each([
    ['lost', 'lost', 'unknown'],
    ['silent', 'silent', 'unknown'],
    ['HTTP 503', { status: 503 }, 'unknown'],
    ['not JSON', { text: '<html>' }, 'unknown'],
    ['a lasting limit', { status: 429, json: recording('amazon/quotaExceeded') }, 'deferred'],
    ['HTTP 400', { status: 400, json: { errors: [{ code: 'InvalidInput', message: 'no' }] } }, 'rejected'],
  ] as const)('an answer that is %s', async (_case, reply, kind) => {
    await using channel = await startSeller((request) =>
      request.method === 'PATCH' ? reply : everyListing(request),
    );
    expect(await connectSeller(channel).connector.setStock([write('MUG-BLUE', 4)])).toMatchObject([{ kind }]);
    const patches = channel.requests.filter((request) => request.method === 'PATCH');
    expect(patches).toHaveLength(kind === 'deferred' ? 3 : 1);
  });

  test.each(unclearAnswers)(
    'when the facts are answered with %s nothing was written, so the write is deferred',
    async (_case, answer) => {
      await using channel = await startSeller(() => answer);
      const results = await connectSeller(channel).connector.setStock([write('MUG-BLUE', 4)]);
      expect(results).toMatchObject([{ kind: 'deferred' }]);
      expect(channel.requests.some(({ method }) => method === 'PATCH')).toBe(false);
    },
  );

  test.each(unclearAnswers)(
    'when the token for the write is answered with %s nothing was written, so the write is deferred',
    async (_case, answer) => {
      await using channel = await startLocalChannel((request) => {
        if (request.path === '/auth/o2/token') return answer;
        return request.method === 'PATCH' ? { status: 401 } : everyListing(request);
      });
      const results = await connectSeller(channel).connector.setStock([write('MUG-BLUE', 4)]);
      expect(results).toMatchObject([{ kind: 'deferred' }]);
    },
  );

  test('a catalogue beyond the 1000 that can be paged is sliced by creation date, without repeats', async () => {
    const all = Array.from({ length: 1_230 }, (_unused, index) => ({
      ...listing,
      sku: `SKU-${String(index).padStart(4, '0')}`,
      summaries: [
        {
          marketplaceId,
          productType: 'MUG',
          createdDate: new Date(1_760_000_000_000 + index * 1_000).toISOString(),
        },
      ],
    }));
    await using channel = await startSeller(({ query }) => {
      const after = Date.parse(query.get('createdAfter') ?? '1970-01-01');
      const matching = all.filter((entry) => Date.parse(entry.summaries[0]?.createdDate ?? '') >= after);
      const from = Number(query.get('pageToken') ?? 0);
      const more = from + 20 < Math.min(matching.length, 1_000);
      const pagination = more ? { nextToken: String(from + 20) } : {};
      return {
        json: { numberOfResults: matching.length, pagination, items: matching.slice(from, from + 20) },
      };
    });
    const entries = await collect(connectSeller(channel, { rateScale: 1000 }).connector.catalogue());
    expect(entries.map((entry) => entry.sku)).toEqual(all.map((entry) => entry.sku));
  });
});
