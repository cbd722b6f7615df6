/** Amazon: many prices leave as one feed, which is followed to its end; where there certainly is no feed they leave one by one. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Connector, PriceWriteResult, QueuedWrite } from '../../src/connectors/connector.ts';
import { describeBySpecification } from '../support/specifications.ts';
import { amazonExamples } from './amazonExamples.ts';
import { doneFeed, feedBody, feedCreated, feedEnded, reportOf, startFeedSeller } from './amazonFeedSeller.ts';
import { marketplaceId } from './amazonSeller.ts';
import { type Answer, unclearAnswers } from './localChannel.ts';
import { recording } from './recordings.ts';

const write = (sku: string) => ({
  address: { unitId: sku, variantId: '' },
  price: { minor: 2_599, currency: 'USD' },
});
const writes = (count: number) => Array.from({ length: count }, (_unused, index) => write(`S${index + 1}`));
const kinds = (results: readonly PriceWriteResult[]) => [...new Set(results.map(({ kind }) => kind))];
const patch = {
  op: 'merge',
  path: '/attributes/purchasable_offer',
  value: [
    {
      marketplace_id: marketplaceId,
      currency: 'USD',
      audience: 'ALL',
      our_price: [{ schedule: [{ value_with_tax: 25.99 }] }],
    },
  ],
};

/** A price of the feed that every seller here answers for. */
const queued = (messageId: number, sku = `S${messageId}`): QueuedWrite => ({
  address: { unitId: sku, variantId: '' },
  reference: `feed/77/${messageId}`,
  sentAt: new Date(feedCreated),
});
const outcomes = (connector: Connector, ...prices: readonly QueuedWrite[]) => connector.submitted?.(prices);
const accepted = { kind: 'ended', at: new Date(feedEnded), refused: null };

describe('prices that are written at once', () => {
  test('are one call each up to fifty, and one feed beyond', async () => {
    await using few = await startFeedSeller();
    expect(kinds(await few.connector.setPrices(writes(50)))).toEqual(['accepted']);
    expect(few.asked('patch')).toHaveLength(50);
    expect(few.asked('createFeed')).toEqual([]);
    await using many = await startFeedSeller();
    const results = await many.connector.setPrices(writes(51));
    expect(results).toEqual(
      writes(51).map((_one, index) => ({
        kind: 'accepted',
        reference: `feed/77/${index + 1}`,
        queued: true,
      })),
    );
    expect(many.asked('patch')).toEqual([]);
    expect(many.asked('createFeed')).toHaveLength(1);
  });

  test('are the very patches that single calls would send, and those that may not be written are left out', async () => {
    await using seller = await startFeedSeller();
    const results = await seller.connector.setPrices([write('GONE'), ...writes(51)]);
    expect(results[0]).toMatchObject({ kind: 'refused', code: 'not_found' });
    expect(results[1]).toMatchObject({ reference: 'feed/77/1' });
    const [upload] = seller.asked('upload');
    expect(JSON.parse(upload?.body ?? '')).toEqual({
      header: { sellerId: 'A1SELLER', version: '2.0', issueLocale: 'en_US' },
      messages: writes(51).map(({ address }, index) => ({
        messageId: index + 1,
        sku: address.unitId,
        operationType: 'PATCH',
        productType: 'MUG',
        patches: [patch],
      })),
    });
    expect(JSON.parse(seller.asked('createFeed')[0]?.body ?? '')).toEqual({
      feedType: 'JSON_LISTINGS_FEED',
      marketplaceIds: [marketplaceId],
      inputFeedDocumentId: 'document',
    });
    await using single = await startFeedSeller();
    await single.connector.setPrices(writes(1));
    expect(JSON.parse(single.asked('patch')[0]?.body ?? '')).toEqual({
      productType: 'MUG',
      patches: [patch],
    });
  });

  test('go to the storage with the content type of the document and without an access token', async () => {
    await using seller = await startFeedSeller();
    await seller.connector.setPrices(writes(51));
    await outcomes(seller.connector, queued(1));
    const [upload] = seller.asked('upload');
    const { contentType } = JSON.parse(seller.asked('createFeedDocument')[0]?.body ?? '');
    expect(contentType).toBe('application/json; charset=UTF-8');
    expect(upload?.headers['content-type']).toBe(contentType);
    expect(seller.asked('download')).toHaveLength(1);
    for (const { headers } of [...seller.asked('upload'), ...seller.asked('download')]) {
      expect(headers).not.toHaveProperty('x-amz-access-token');
      expect(headers).not.toHaveProperty('authorization');
    }
    expect(seller.asked('createFeed')[0]?.headers['x-amz-access-token']).toBe('Atza|old');
  });

  test.each(unclearAnswers)(
    'are all unknown, and sent in no other way, where the feed was answered with %s',
    async (_name, answer) => {
      await using seller = await startFeedSeller({ createFeed: answer });
      const sentAt = new Date(seller.context.now()).toISOString();
      const unknown = { kind: 'unknown', reference: `feeds/${sentAt}` };
      expect(await seller.connector.setPrices(writes(51))).toMatchObject(writes(51).map(() => unknown));
      expect(seller.asked('createFeed')).toHaveLength(1);
      expect(seller.asked('patch')).toEqual([]);
    },
  );

  test.each<[string, 'createFeedDocument' | 'upload' | 'createFeed', Answer]>([
    ['no document is given', 'createFeedDocument', { status: 403, json: { errors: [] } }],
    ['the document is answered with nothing', 'createFeedDocument', 'lost'],
    ['the storage refuses', 'upload', { status: 403 }],
    ['the storage answers nothing', 'upload', 'lost'],
    ['the storage points elsewhere', 'upload', { status: 307, headers: { location: 'http://127.0.0.1:9/' } }],
    ['too many feeds were created', 'createFeed', { status: 429, json: recording('amazon/quotaExceeded') }],
    ['the feed is refused', 'createFeed', { status: 400, json: { errors: [] } }],
    [
      'the storage is no web address',
      'createFeedDocument',
      { status: 201, json: { feedDocumentId: 'd', url: 'file:///x' } },
    ],
  ])('leave one by one where %s, and for a while no feed is tried', async (_name, call, answer) => {
    await using seller = await startFeedSeller({ [call]: answer });
    expect(seller.connector.capabilities.pricesPerCall).toBe(400);
    const results = await seller.connector.setPrices(writes(51));
    expect(kinds(results)).toEqual(['accepted']);
    expect(results.some((result) => result.kind === 'accepted' && result.queued === true)).toBe(false);
    expect(seller.asked('patch')).toHaveLength(51);
    expect(seller.connector.capabilities.pricesPerCall).toBe(50);
    const tries = seller.asked(call).length;
    await seller.connector.setPrices(writes(51));
    expect(seller.asked(call)).toHaveLength(tries);
    expect(seller.asked('patch')).toHaveLength(102);
  });

  test('leave one by one once three feeds have left, as five in five minutes are the most', async () => {
    await using seller = await startFeedSeller();
    for (let feed = 1; feed <= 4; feed += 1) await seller.connector.setPrices(writes(51));
    expect(seller.asked('createFeed')).toHaveLength(3);
    expect(seller.asked('patch')).toHaveLength(51);
  });

  test('come again where their turn ends before they are read, and those that were read leave', async () => {
    await using seller = await startFeedSeller();
    const leaveBy = seller.context.now() + 1_000;
    const results = await seller.connector.setPrices(writes(400), { urgency: 'price', leaveBy });
    const sent = results.filter(({ kind }) => kind === 'accepted');
    const again = results.filter(({ kind }) => kind === 'deferred');
    expect(sent.length).toBeGreaterThanOrEqual(60);
    expect(again.length).toBe(400 - sent.length);
    expect(again.length).toBeGreaterThan(0);
    expect(seller.asked('createFeed')).toHaveLength(1);
  });

  test('of four hundred SKUs are read and sent within the usual turn', async () => {
    await using seller = await startFeedSeller();
    const leaveBy = seller.context.now() + 5_000;
    const results = await seller.connector.setPrices(writes(400), { urgency: 'price', leaveBy });
    expect(kinds(results)).toEqual(['accepted']);
    expect(seller.asked('search')).toHaveLength(20);
    expect(seller.context.now()).toBeLessThan(leaveBy);
  });
});

describe('what became of a feed', () => {
  test.each(['IN_QUEUE', 'IN_PROGRESS'])('is open while it is %s', async (status) => {
    await using seller = await startFeedSeller({ getFeed: feedBody(status) });
    expect(await outcomes(seller.connector, queued(1))).toEqual([{ kind: 'open' }]);
  });

  const error = { severity: 'ERROR', code: '90000900', message: 'too low' };
  const issues = [
    { ...error, messageId: 2, attributeName: 'purchasable_offer' },
    { ...error, sku: 'S3' },
    { severity: 'WARNING', messageId: 4, sku: 'S4', message: 'unusual' },
    { ...error, messageId: 50, sku: 'S5' },
    error,
  ];

  test.each<[string, Answer, object]>([
    ['plain', { json: reportOf(issues) }, {}],
    ['packed', { bytes: gzipSync(JSON.stringify(reportOf(issues))) }, { compressionAlgorithm: 'GZIP' }],
  ])(
    'is in its %s report: errors by the number of the message, or else by SKU',
    async (_name, file, more) => {
      await using seller = await startFeedSeller({
        download: file,
        getFeedDocument: ({ headers }) => ({
          json: { feedDocumentId: 'result', url: `http://${headers.host ?? ''}/storage/report`, ...more },
        }),
      });
      const said = await outcomes(seller.connector, queued(1), queued(2), queued(3), queued(4), queued(5));
      const refused = { code: '90000900', message: 'too low' };
      expect(said).toEqual([
        accepted,
        { ...accepted, refused: { ...refused, refusal: 'price_not_allowed' } },
        { ...accepted, refused: { ...refused, refusal: 'other' } },
        accepted,
        accepted,
      ]);
    },
  );

  test('is asked for once, however many batches ask for its prices', async () => {
    await using seller = await startFeedSeller();
    expect(await outcomes(seller.connector, queued(1), queued(2))).toEqual([accepted, accepted]);
    expect(await outcomes(seller.connector, queued(3))).toEqual([accepted]);
    expect(seller.asked('getFeed')).toHaveLength(1);
    expect(seller.asked('download')).toHaveLength(1);
  });

  test.each<[string, Parameters<typeof startFeedSeller>[0], string]>([
    ['was cancelled', { getFeed: feedBody('CANCELLED', { processingEndTime: feedEnded }) }, feedEnded],
    [
      'broke off',
      { getFeed: feedBody('FATAL', { processingEndTime: feedEnded, resultFeedDocumentId: 'result' }) },
      feedEnded,
    ],
    ['is not known any more', { getFeed: { status: 404 } }, '2026-11-22T08:05:00Z'],
    ['has no report any more', { getFeedDocument: { status: 404 } }, feedEnded],
    ['has a report that was taken away', { download: { status: 403 } }, feedEnded],
    ['has a report that nobody can read', { download: { text: '<html>' } }, feedEnded],
  ])('is left to what is read, from its end on, where it %s', async (_name, answers, at) => {
    await using seller = await startFeedSeller(answers);
    expect(await outcomes(seller.connector, queued(1))).toEqual([
      { kind: 'ended', at: new Date(at), refused: null },
    ]);
  });

  test.each<[string, Parameters<typeof startFeedSeller>[0], string]>([
    ['Amazon fails', { getFeed: { status: 503 } }, 'unavailable'],
    ['Amazon says what nobody understands', { getFeed: feedBody('RESTING') }, 'invalid_response'],
    ['the storage answers nothing', { download: 'lost' }, 'network'],
    ['the storage fails', { download: { status: 500 } }, 'unavailable'],
  ])('cannot be said now where %s, and is asked again', async (_name, answers, code) => {
    await using seller = await startFeedSeller(answers);
    expect(await outcomes(seller.connector, queued(1))).toMatchObject([{ kind: 'unknown', error: code }]);
    const before = seller.asked('getFeed').length;
    await outcomes(seller.connector, queued(1));
    expect(seller.asked('getFeed').length).toBeGreaterThan(before);
  });

  test('that Amazon does not list yet, minutes after it was sent, may be on its way into the list', async () => {
    await using seller = await startFeedSeller({ getFeed: { status: 404 } });
    const sentAt = new Date(new Date('2026-11-22T08:05:00Z').getTime() - 299_000);
    expect(await outcomes(seller.connector, { ...queued(1), sentAt })).toMatchObject([
      { kind: 'unknown', error: 'not_found' },
    ]);
  });

  test('of nobody’s reference is left to what is read', async () => {
    await using seller = await startFeedSeller();
    const said = await outcomes(seller.connector, { ...queued(1), reference: 'f1dc0000' });
    expect(said).toMatchObject([{ kind: 'ended', refused: null }]);
    expect(seller.channel.requests).toEqual([]);
  });
});

const of = (operation: string) =>
  amazonExamples()
    .filter((example) => example.model === 'feeds_2021-06-30' && example.operation === operation)
    .map((example) => [`${operation} ${example.status}`, example] as const);
/** The documented answer with a storage that is here. */
const here = (response: unknown, host: string | undefined) => ({
  ...(response as object),
  url: `http://${host ?? ''}/storage/document`,
});

describeBySpecification('the examples of the official model of feeds', () => {
  test.each([...of('createFeedDocument'), ...of('createFeed')])('%s', async (_name, example) => {
    const { operation, status, response } = example;
    await using seller = await startFeedSeller({
      [operation]: ({ headers }: { headers: { host?: string } }) => ({
        status,
        json: operation === 'createFeedDocument' ? here(response, headers.host) : response,
      }),
    });
    const [result] = await seller.connector.setPrices(writes(51));
    const { feedDocumentId = 'document', feedId = '77' } = response as Record<string, string>;
    const sent = seller.asked('createFeed').map(({ body }): unknown => JSON.parse(body).inputFeedDocumentId);
    const patches = seller.asked('patch').length;
    const asFeed = { result: { kind: 'accepted', reference: `feed/${feedId}/1`, queued: true }, patches: 0 };
    const oneByOne = { result: { kind: 'accepted' }, patches: 51 };
    expect({ result, patches }).toMatchObject(status === 400 ? oneByOne : asFeed);
    expect(sent).toEqual(status === 400 && operation === 'createFeedDocument' ? [] : [feedDocumentId]);
  });

  test.each([...of('getFeed'), ...of('getFeedDocument')])(
    '%s',
    async (_name, { operation, status, response }) => {
      await using seller = await startFeedSeller({
        getFeed: doneFeed,
        download: { json: reportOf([{ severity: 'ERROR', messageId: 1, message: 'no' }]) },
        [operation]: ({ headers }: { headers: { host?: string } }) => ({
          status,
          json: operation === 'getFeedDocument' && status === 200 ? here(response, headers.host) : response,
        }),
      });
      const [said] = (await outcomes(seller.connector, queued(1))) ?? [];
      const expected: Readonly<Record<string, object>> = {
        'getFeed 200': { kind: 'ended', at: new Date('2024-03-11T13:16:24.630Z'), refused: null },
        'getFeed 400': { kind: 'unknown', error: 'rejected' },
        'getFeedDocument 200': { ...accepted, refused: { refusal: 'other', code: 'INVALID', message: 'no' } },
        'getFeedDocument 400': accepted,
      };
      expect(said).toMatchObject(expected[`${operation} ${status}`] ?? { kind: 'not foreseen' });
    },
  );
});
