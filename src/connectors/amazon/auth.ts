/** Settings and Login-with-Amazon tokens of one seller: validated once, renewed before they expire. */

import { z } from 'zod';
import {
  type AuthorizedSend,
  createAuthorizedSend,
  renewedCredentials,
  requiredCredential,
  type TokenVerdict,
  tokenError,
  tokenSchema,
} from '../accessToken.ts';
import type { ConnectorContext, Credentials, HttpResponse } from '../connector.ts';
import { jsonOrNull, parseBody, parseSettings } from '../wire.ts';

const regions = {
  na: 'https://sellingpartnerapi-na.amazon.com',
  eu: 'https://sellingpartnerapi-eu.amazon.com',
  fe: 'https://sellingpartnerapi-fe.amazon.com',
} as const;

const urlSchema = z.url({ protocol: /^https?$/ });

const settingsSchema = z
  .object({
    region: z.enum(['na', 'eu', 'fe']).optional(),
    apiBaseUrl: urlSchema.optional(),
    tokenUrl: urlSchema.default('https://api.amazon.com/auth/o2/token'),
    sellerId: z.string().regex(/^[A-Z0-9]+$/, 'must be a selling partner id'),
    marketplaceId: z.string().regex(/^[A-Z0-9]+$/, 'must be a marketplace id'),
    rateScale: z.number().positive().default(1),
    // Five patches a second set 1500 SKUs in the five minutes in which a feed begins to show.
    stockFeedMin: z.int().min(51).default(1_500),
  })
  .refine((settings) => settings.region !== undefined || settings.apiBaseUrl !== undefined, {
    path: ['region'],
    message: 'region (na, eu or fe) or apiBaseUrl is needed',
  });

export type AmazonSettings = {
  readonly apiBaseUrl: string;
  readonly tokenUrl: string;
  readonly sellerId: string;
  readonly marketplaceId: string;
  readonly rateScale: number;
  /** From so many waiting listings on raises may go by feed. */
  readonly stockFeedMin: number;
};

export function readAmazonSettings(settings: unknown): AmazonSettings {
  const { region, apiBaseUrl, ...rest } = parseSettings(settingsSchema, settings, 'amazon settings');
  return { ...rest, apiBaseUrl: (apiBaseUrl ?? regions[region ?? 'na']).replace(/\/+$/, '') };
}

export const amazonErrorsSchema = z.looseObject({
  errors: z.array(
    z.looseObject({ code: z.string(), message: z.string().default(''), details: z.string().nullish() }),
  ),
});

export function createAmazonSend(context: ConnectorContext, settings: AmazonSettings): AuthorizedSend {
  return createAuthorizedSend({
    http: context.http,
    credentials: context.credentials,
    now: context.now,
    renew: (current) => renewToken(context, settings, current),
    verdict,
  });
}

/** Amazon says 403 `Unauthorized` both for a dead token and for a missing role; only the text may tell them apart. */
function verdict(response: HttpResponse): TokenVerdict {
  if (response.status === 401) return 'refused';
  if (response.status !== 403) return 'accepted';
  const parsed = amazonErrorsSchema.safeParse(jsonOrNull(response.text));
  const error = parsed.success ? parsed.data.errors[0] : undefined;
  if (error?.code !== 'Unauthorized') return 'accepted';
  return /token\b.*\b(expired|invalid|revoked|malformed)/i.test(`${error.message} ${error.details ?? ''}`)
    ? 'refused'
    : 'perhaps';
}

async function renewToken(
  context: ConnectorContext,
  settings: AmazonSettings,
  current: Credentials,
): Promise<Credentials> {
  const operation = 'amazon.token';
  const response = await context.http.send({
    method: 'POST',
    url: settings.tokenUrl,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: requiredCredential(current, 'amazon', 'refreshToken'),
      client_id: requiredCredential(current, 'amazon', 'clientId'),
      client_secret: requiredCredential(current, 'amazon', 'clientSecret'),
    }).toString(),
    operation,
    // Amazon's refresh token does not rotate, so a repeat is harmless.
    retry: 'safe',
  });
  if (response.status !== 200) throw tokenError(response, operation);
  return renewedCredentials(current, parseBody(tokenSchema, response, operation), context.now());
}
