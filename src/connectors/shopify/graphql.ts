/** Sends one GraphQL operation and answers its checked `data`, or throws a `ChannelError`; a 200 with errors is never taken for success. */

import { z } from 'zod';
import {
  ChannelError,
  type ChannelErrorCode,
  type ConnectorContext,
  type RateLimit,
  type Turn,
} from '../connector.ts';
import { redactText } from '../redaction.ts';
import { refusalOf } from '../refusal.ts';
import { parseBody, parseValue, statusError } from '../wire.ts';
import { createShopifySend, type ShopifySettings } from './auth.ts';
import { type ShopifyOperation, shopifyOperations } from './operations.ts';

export type ShopifyRequest<Schema extends z.ZodType> = {
  readonly operation: ShopifyOperation;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly schema: Schema;
  /** `never` only for a mutation that would do its work twice. */
  readonly retry: 'safe' | 'never';
};

export interface ShopifyApi {
  readonly turn: Turn;
  now(): number;
  run<Schema extends z.ZodType>(request: ShopifyRequest<Schema>): Promise<z.output<Schema>>;
  /** The same, taking another turn. */
  inTurn(turn: Turn): ShopifyApi;
}

export const pageInfoSchema = z.looseObject({ hasNextPage: z.boolean(), endCursor: z.string().nullish() });

/** A connection without edges, as all operations here ask for it. */
export function connectionSchema<Node extends z.ZodType>(node: Node) {
  return z.looseObject({ pageInfo: pageInfoSchema, nodes: z.array(node) });
}

/** The cursor of the next page, or null after the last. Throws when Shopify promises more without saying where. */
export function nextCursor(pageInfo: z.output<typeof pageInfoSchema>): string | null {
  if (!pageInfo.hasNextPage) return null;
  const cursor = pageInfo.endCursor ?? '';
  if (cursor === '') throw new ChannelError('invalid_response', 'shopify: hasNextPage without endCursor');
  return cursor;
}

const errorSchema = z.looseObject({
  message: z.string().default(''),
  path: z.array(z.union([z.string(), z.number()])).nullish(),
  extensions: z.looseObject({ code: z.string().nullish() }).nullish(),
});

const envelopeSchema = z.looseObject({
  data: z.unknown().optional(),
  // A refused token is said as a string, everything else as a list.
  errors: z.union([z.array(errorSchema), z.string()]).nullish(),
  extensions: z
    .looseObject({ cost: z.looseObject({ requestedQueryCost: z.number().nullish() }).nullish() })
    .nullish(),
});

/** Cost assumed before an operation's first answer says its true one: a mutation is 10, a page some tens. */
const firstCostGuess = 40;

export function createShopifyApi(context: ConnectorContext, settings: ShopifySettings): ShopifyApi {
  const authorizedSend = createShopifySend(context, settings);
  const url = `${settings.apiBaseUrl}/admin/api/${settings.apiVersion}/graphql.json`;
  const perSecond = settings.restoreRate * settings.rateScale;
  const costs = new Map<ShopifyOperation, number>();

  const budgetFor = (operation: ShopifyOperation): RateLimit => ({
    key: `shopify.${settings.shopDomain}`,
    perSecond,
    burst: perSecond * 20,
    cost: costs.get(operation) ?? firstCostGuess,
  });

  const inTurn = (turn: Turn): ShopifyApi => ({
    turn,
    now: context.now,
    inTurn,
    async run({ operation, variables, schema, retry }) {
      const name = `shopify.${operation}`;
      const body = JSON.stringify({ query: shopifyOperations[operation], variables });
      const response = await authorizedSend((accessToken) => ({
        method: 'POST',
        url,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'x-shopify-access-token': accessToken,
        },
        body,
        operation: name,
        retry,
        budget: budgetFor(operation),
        turn,
      }));
      if (response.status !== 200) throw statusError(response, name);
      const envelope = parseBody(envelopeSchema, response, name);
      const cost = envelope.extensions?.cost?.requestedQueryCost;
      if (typeof cost === 'number' && cost > 0) costs.set(operation, cost);
      const refusal = refusalOf(200, response.headers, response.text, context.now());
      if (refusal !== null) {
        throw new ChannelError(refusal.code, `${name}: refused by the channel`, {
          retryAfterMs: refusal.retryAfterMs,
          maybeApplied: refusal.code === 'unavailable' && retry === 'never',
          raw: redactText(response.text),
        });
      }
      throwForErrors(envelope, name, response.text);
      return parseValue(schema, envelope.data, name);
    },
  });
  return inTurn({ urgency: 'read' });
}

/** Members that an app without approval for protected customer data may not read: they come as null and an error, the rest is whole. */
const privateMembers = new Set(['customer', 'shippingAddress']);

function throwForErrors(envelope: z.output<typeof envelopeSchema>, name: string, text: string): void {
  const { errors } = envelope;
  if (errors === null || errors === undefined || errors.length === 0) return;
  const raw = redactText(text);
  if (typeof errors === 'string')
    throw new ChannelError('rejected', `${name}: ${redactText(errors, 200)}`, { raw });
  const serious = errors.find(
    (error) =>
      envelope.data === null ||
      envelope.data === undefined ||
      error.extensions?.code !== 'ACCESS_DENIED' ||
      !(error.path ?? []).some((member) => typeof member === 'string' && privateMembers.has(member)),
  );
  if (serious === undefined) return;
  const code = serious.extensions?.code ?? 'error';
  throw new ChannelError(codeOf(code), `${name}: ${code}: ${redactText(serious.message, 200)}`, { raw });
}

function codeOf(code: string): ChannelErrorCode {
  return code === 'ACCESS_DENIED' || code === 'SHOP_INACTIVE' ? 'forbidden' : 'rejected';
}

/** True when the query was refused unread for being too expensive: a smaller page will do. */
export function isTooExpensive(error: unknown): boolean {
  return error instanceof ChannelError && error.message.includes('MAX_COST_EXCEEDED');
}
