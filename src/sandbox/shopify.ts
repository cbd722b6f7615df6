/** Shopify as a channel: GraphQL Admin 2026-10 executed for real, its token endpoint, its cost bucket, its webhooks. */
import {
  buildSchema,
  type DocumentNode,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLFormattedError,
  getOperationAST,
  Kind,
  parse,
  validate,
} from 'graphql';
import type { Call, Channel, ChannelFactory, ChannelParts, Connection } from './channel.ts';
import { type HttpCall, jsonBody, type Reply } from './http.ts';
import { actualCost, requestedCost } from './shopifyCost.ts';
import { locationLegacyId, shopDomain, shopLegacyId } from './shopifyGoods.ts';
import { createInventoryMutations } from './shopifyInventory.ts';
import { createRoot } from './shopifyRoot.ts';
import { shopifyApiVersion, shopifySdl } from './shopifySchema.ts';
import type { SearchWarning } from './shopifySearch.ts';
import { createShopifyTokens, shopifyClient } from './shopifyTokens.ts';
import { createSubscriptionBook, shopifyDeliveries } from './shopifyWebhooks.ts';
import { createTokenBucket, type TokenBucket } from './tokenBucket.ts';

const schema = buildSchema(shopifySdl);

/** Standard plan: 100 points per second, a bucket of twenty times that. */
const restoreRate = 100;
const bucketSize = 2000;

type GraphQLBody = { readonly query: string; readonly variables: Record<string, unknown> };

type Throttle = {
  readonly bucket: TokenBucket;
  readonly restoreRate: number;
  readonly maximumAvailable: number;
};

export const createShopifyChannel: ChannelFactory = (parts) => {
  const { shop, clock, random } = parts;
  const tokens = createShopifyTokens(clock, random.fork('shopify tokens'));
  const inventory = createInventoryMutations(shop, clock);
  const subscriptions = createSubscriptionBook(clock);
  // Receivers remember delivery ids: a restarted sandbox must not use one again.
  const ids = random.fork(`shopify webhooks ${clock.now()}`);
  const throttle: Throttle = {
    bucket: createTokenBucket(restoreRate * parts.rateScale, bucketSize * parts.rateScale, clock),
    restoreRate: restoreRate * parts.rateScale,
    maximumAvailable: bucketSize * parts.rateScale,
  };

  async function graphql(call: Call): Promise<Reply> {
    if (!tokens.accepts(String(call.headers['x-shopify-access-token'] ?? ''))) return unauthorized;
    const body = readBody(call);
    if (body === null) return { status: 400, body: { errors: 'Bad Request' } };
    const document = readDocument(body.query);
    if ('errors' in document) return { status: 200, body: { errors: document.errors } };
    const requested = requestedCost(document.document, body.variables);
    if (throttle.bucket.take(requested) > 0) return throttled(throttle, requested);
    const search: object[] = [];
    const result = await execute({
      schema,
      document: document.document,
      variableValues: body.variables,
      rootValue: createRoot({
        shop,
        call,
        inventory,
        subscriptions,
        warn: (path, query, warnings: readonly SearchWarning[]) => {
          if (warnings.length > 0) search.push({ path: [path], query, parsed: query, warnings });
        },
      }),
    });
    const actual = Math.min(requested, actualCost(document.document, result.data));
    throttle.bucket.giveBack(requested - actual);
    return { status: 200, body: answer(result, requested, actual, throttle, search) };
  }

  const channel: Channel = {
    platform: 'shopify',
    routes: [
      ...tokens.routes,
      {
        method: 'POST',
        path: `/admin/api/${shopifyApiVersion}/graphql.json`,
        operation: rootField,
        handle: graphql,
      },
    ],
    errors: {
      notFound: () => ({ status: 404, body: { errors: 'Not Found' } }),
      rateLimited: (seconds, call) =>
        call.path.endsWith('/graphql.json')
          ? throttled(throttle, 0, seconds)
          : { status: 429, headers: { 'retry-after': seconds.toFixed(1) }, body: { errors: 'Throttled' } },
      serverError: (status) => ({ status, body: { errors: 'Internal Server Error' } }),
    },
    connection: (baseUrl) => connectionOf(baseUrl, parts, tokens.issue()),
    deliveries: (event) => shopifyDeliveries(event, subscriptions.list(), ids),
    expireTokens: tokens.expireAll,
    clear() {
      inventory.clear();
      subscriptions.clear();
    },
  };
  return channel;
};

const unauthorized: Reply = {
  status: 401,
  body: { errors: '[API] Invalid API key or access token (unrecognized login or wrong password)' },
};

function connectionOf(
  baseUrl: string,
  parts: ChannelParts,
  pair: ReturnType<ReturnType<typeof createShopifyTokens>['issue']>,
): Connection {
  return {
    platform: 'shopify',
    name: 'Demo Shop on Shopify',
    externalAccountId: shopLegacyId,
    settings: {
      shopDomain,
      apiBaseUrl: baseUrl,
      locationId: locationLegacyId,
      authMode: 'expiring_offline',
      rateScale: parts.rateScale,
    },
    credentials: {
      accessToken: pair.accessToken,
      accessTokenExpiresAt: new Date(pair.accessTokenExpiresAt).toISOString(),
      refreshToken: pair.refreshToken,
      clientId: shopifyClient.id,
      clientSecret: shopifyClient.secret,
    },
  };
}

function readBody(call: HttpCall): GraphQLBody | null {
  const value = jsonBody(call.body);
  if (typeof value !== 'object' || value === null || !('query' in value) || typeof value.query !== 'string')
    return null;
  const variables =
    'variables' in value && typeof value.variables === 'object' && value.variables !== null
      ? value.variables
      : {};
  return { query: value.query, variables: { ...variables } };
}

function readDocument(
  query: string,
): { readonly document: DocumentNode } | { readonly errors: readonly GraphQLFormattedError[] } {
  try {
    const document = parse(query);
    const problems = validate(schema, document);
    return problems.length === 0 ? { document } : { errors: problems.map((problem) => problem.toJSON()) };
  } catch (error) {
    if (error instanceof GraphQLError) return { errors: [error.toJSON()] };
    throw error;
  }
}

/** Names an operation by its first root field, so that faults can be aimed at `inventorySetQuantities` and the like. */
function rootField(call: HttpCall): string {
  const body = readBody(call);
  if (body === null) return 'graphql';
  try {
    const selection = getOperationAST(parse(body.query))?.selectionSet.selections.find(
      (each) => each.kind === Kind.FIELD,
    );
    return selection?.name.value ?? 'graphql';
  } catch {
    return 'graphql';
  }
}

function throttleStatus({ bucket, restoreRate: rate, maximumAvailable }: Throttle) {
  return { maximumAvailable, currentlyAvailable: Math.floor(bucket.available()), restoreRate: rate };
}

/** Shopify throttles inside a 200. A fault's wait is said the same way: as a bucket that is empty for that long. */
function throttled(throttle: Throttle, requested: number, emptyForSeconds?: number): Reply {
  const status = throttleStatus(throttle);
  const cost =
    emptyForSeconds === undefined
      ? { requestedQueryCost: requested, actualQueryCost: null, throttleStatus: status }
      : {
          requestedQueryCost: Math.max(1, Math.ceil(emptyForSeconds * throttle.restoreRate)),
          actualQueryCost: null,
          throttleStatus: { ...status, currentlyAvailable: 0 },
        };
  const documentation = 'https://shopify.dev/api/usage/rate-limits';
  const errors = [{ message: 'Throttled', extensions: { code: 'THROTTLED', documentation } }];
  return { status: 200, body: { errors, extensions: { cost } } };
}

function answer(
  result: ExecutionResult,
  requested: number,
  actual: number,
  throttle: Throttle,
  search: readonly object[],
): object {
  const cost = {
    requestedQueryCost: requested,
    actualQueryCost: actual,
    throttleStatus: throttleStatus(throttle),
  };
  const errors = result.errors === undefined ? {} : { errors: result.errors.map((error) => error.toJSON()) };
  return {
    data: result.data ?? null,
    ...errors,
    extensions: { cost, ...(search.length > 0 ? { search } : {}) },
  };
}
