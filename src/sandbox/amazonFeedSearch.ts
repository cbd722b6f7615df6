/** Finds Amazon feeds by what `getFeeds` may ask for, the newest first, page by page. */
import { amazonErrors } from './amazonAccess.ts';
import { encodeToken, listParameter, sizeParameter, timeParameter } from './amazonListings.ts';
import type { Call } from './channel.ts';
import type { Reply } from './http.ts';

export const feedStatuses = ['CANCELLED', 'DONE', 'FATAL', 'IN_PROGRESS', 'IN_QUEUE'] as const;

/** What a search looks at. */
export type FoundFeed = {
  readonly feedId: string;
  readonly marketplaceIds: readonly string[];
  readonly createdAt: number;
  readonly status: (typeof feedStatuses)[number];
};

const pageSizeMax = 100;
const pageSizeDefault = 10;
/** Of feed types and of marketplaces. */
const namesMax = 10;

/** `feeds` are in the order of their creation, all of `feedType`. */
export function searchFeeds<Feed extends FoundFeed>(
  call: Call,
  feedType: string,
  feeds: readonly Feed[],
  bodyOf: (feed: Feed) => unknown,
): Reply {
  const page = readPage(call);
  if (page === null) return amazonErrors.invalidInput('nextToken is invalid, or not the only parameter.');
  const asked = { ...call, query: page.query };
  const size = sizeParameter(asked, 'pageSize', pageSizeDefault, pageSizeMax);
  const types = listParameter(asked, 'feedTypes');
  const marketplaces = listParameter(asked, 'marketplaceIds');
  if (types.length === 0) return amazonErrors.invalidInput('Either feedTypes or nextToken is required.');
  if (Math.max(types.length, marketplaces.length) > namesMax)
    return amazonErrors.invalidInput(`No more than ${namesMax} feedTypes or marketplaceIds are allowed.`);
  const statuses = listParameter(asked, 'processingStatuses', feedStatuses);
  const since = timeParameter(asked, 'createdSince') ?? Number.NEGATIVE_INFINITY;
  const until = timeParameter(asked, 'createdUntil') ?? Number.POSITIVE_INFINITY;
  const found = feeds
    .filter(
      ({ createdAt, status, marketplaceIds }) =>
        types.includes(feedType) &&
        createdAt >= since &&
        createdAt <= until &&
        (statuses.length === 0 || statuses.includes(status)) &&
        (marketplaces.length === 0 || marketplaceIds.some((id) => marketplaces.includes(id))),
    )
    .toReversed();
  const end = page.offset + size;
  const more = end < found.length && !call.cutShort;
  return {
    status: 200,
    body: {
      feeds: call.cut(found.slice(page.offset, end)).map(bodyOf),
      ...(more ? { nextToken: encodeToken({ query: page.query.toString(), offset: end }) } : {}),
    },
  };
}

type Page = { readonly query: URLSearchParams; readonly offset: number };

/** A token holds the whole question, because no other parameter may stand beside it. Null when it is none of ours, or not alone. */
function readPage({ query }: Call): Page | null {
  const token = query.get('nextToken');
  if (token === null) return { query, offset: 0 };
  if (query.size > 1) return null;
  try {
    const { query: asked, offset }: { query?: unknown; offset?: unknown } = JSON.parse(
      Buffer.from(token, 'base64url').toString('utf8'),
    );
    if (typeof asked !== 'string' || !Number.isInteger(offset)) return null;
    return { query: new URLSearchParams(asked), offset: Number(offset) };
  } catch {
    return null;
  }
}
