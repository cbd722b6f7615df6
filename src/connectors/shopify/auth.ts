/** Settings and tokens of one shop: validated once, renewed as the shop's kind of app requires. */

import { z } from 'zod';
import {
  type AuthorizedSend,
  createAuthorizedSend,
  renewedCredentials,
  requiredCredential,
  tokenError,
  tokenSchema,
} from '../accessToken.ts';
import type { ConnectorContext, Credentials } from '../connector.ts';
import { parseBody, parseSettings } from '../wire.ts';

/** Strict, because the domain becomes part of a URL that receives the client secret. */
const shopDomainPattern = /^[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com$/;
const locationPattern = /^(?:gid:\/\/shopify\/Location\/)?(\d+)$/;

const settingsSchema = z.object({
  shopDomain: z.string().regex(shopDomainPattern, 'must be like my-shop.myshopify.com'),
  apiBaseUrl: z.url({ protocol: /^https?$/ }).optional(),
  apiVersion: z
    .string()
    .regex(/^(\d{4}-\d{2}|unstable)$/, 'must be like 2026-10')
    .default('2026-10'),
  locationId: z
    .union([z.string(), z.number().int().positive().transform(String)])
    .refine((id) => locationPattern.test(id), 'must be a number or gid://shopify/Location/…')
    .transform((id) => id.replace(locationPattern, '$1')),
  authMode: z.enum(['static', 'client_credentials', 'expiring_offline']),
  /** Query cost points per second: 100 Standard, 200 Advanced, 1000 Plus, 2000 Enterprise. The bucket holds 20 times that. */
  restoreRate: z.number().positive().default(100),
  rateScale: z.number().positive().default(1),
});

export type ShopifySettings = Omit<z.output<typeof settingsSchema>, 'apiBaseUrl'> & {
  readonly apiBaseUrl: string;
};

export function readShopifySettings(settings: unknown): ShopifySettings {
  const parsed = parseSettings(settingsSchema, settings, 'shopify settings');
  const apiBaseUrl = parsed.apiBaseUrl ?? `https://${parsed.shopDomain}`;
  return { ...parsed, apiBaseUrl: apiBaseUrl.replace(/\/+$/, '') };
}

/** Sends with the shop's access token. A `static` token is never renewed: a refusal is final. */
export function createShopifySend(context: ConnectorContext, settings: ShopifySettings): AuthorizedSend {
  return createAuthorizedSend({
    http: context.http,
    credentials: context.credentials,
    now: context.now,
    renew: settings.authMode === 'static' ? null : (current) => renewToken(context, settings, current),
    verdict: (response) => (response.status === 401 ? 'refused' : 'accepted'),
  });
}

async function renewToken(
  context: ConnectorContext,
  settings: ShopifySettings,
  current: Credentials,
): Promise<Credentials> {
  const operation = 'shopify.token';
  const response = await context.http.send({
    method: 'POST',
    url: `${settings.apiBaseUrl}/admin/oauth/access_token`,
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(tokenRequest(settings, current)),
    operation,
    // A repeat is harmless: the previous refresh token keeps working until the new access token is first used.
    retry: 'safe',
  });
  if (response.status !== 200) throw tokenError(response, operation);
  return renewedCredentials(current, parseBody(tokenSchema, response, operation), context.now());
}

function tokenRequest(settings: ShopifySettings, current: Credentials): Record<string, string> {
  const client = {
    client_id: requiredCredential(current, 'shopify', 'clientId'),
    client_secret: requiredCredential(current, 'shopify', 'clientSecret'),
  };
  return settings.authMode === 'client_credentials'
    ? { ...client, grant_type: 'client_credentials' }
    : {
        ...client,
        grant_type: 'refresh_token',
        refresh_token: requiredCredential(current, 'shopify', 'refreshToken'),
      };
}
