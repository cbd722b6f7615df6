/** Fetches and keeps eBay's notification keys; senders cannot make it ask eBay more than a bounded number of times a minute. */

import { z } from 'zod';
import { ChannelError } from '../connector.ts';
import { parseBody } from '../wire.ts';
import type { EbayApi } from './auth.ts';

export type PublicKey = { readonly pem: string; readonly digest: 'sha1' | 'sha256' };

export type PublicKeys = {
  /** Null: eBay does not know the key, or it is of a kind that is not accepted. `unavailable`: try again later. */
  find(keyId: string): Promise<PublicKey | null | 'unavailable'>;
};

/** eBay asks to keep a key for about an hour. */
const keyLifeMs = 3_600_000;
const keysMax = 100;
/** eBay uses a handful of keys. Every further number comes from somebody who makes them up. */
const lookupsPerMinute = 10;

const keySchema = z.object({ key: z.string(), algorithm: z.string(), digest: z.string() });
const digests: Readonly<Record<string, PublicKey['digest']>> = { SHA1: 'sha1', SHA256: 'sha256' };

type Kept = { readonly key: PublicKey | null; readonly until: number };

export function createPublicKeys(api: EbayApi): PublicKeys {
  const kept = new Map<string, Kept>();
  const running = new Map<string, Promise<PublicKey | null>>();
  let lookups: readonly number[] = [];

  const mayLookUp = (): boolean => {
    lookups = lookups.filter((at) => api.now() - at < 60_000);
    if (lookups.length >= lookupsPerMinute) return false;
    lookups = [...lookups, api.now()];
    return true;
  };

  const keep = (keyId: string, key: PublicKey | null): void => {
    kept.delete(keyId);
    kept.set(keyId, { key, until: api.now() + keyLifeMs });
    // Made-up numbers go first: they must not push out the keys in use.
    const victim = [...kept].find(([, entry]) => entry.key === null)?.[0] ?? kept.keys().next().value;
    if (kept.size > keysMax && victim !== undefined) kept.delete(victim);
  };

  return {
    find: async (keyId) => {
      const known = kept.get(keyId);
      if (known !== undefined && api.now() < known.until) return known.key;
      try {
        let lookup = running.get(keyId);
        if (lookup === undefined) {
          if (!mayLookUp()) return 'unavailable';
          lookup = fetchKey(api, keyId);
          running.set(keyId, lookup);
        }
        const key = await lookup;
        keep(keyId, key);
        return key;
      } catch (error) {
        if (error instanceof ChannelError) return 'unavailable';
        throw error;
      } finally {
        running.delete(keyId);
      }
    },
  };
}

async function fetchKey(api: EbayApi, keyId: string): Promise<PublicKey | null> {
  const operation = 'ebay.getPublicKey';
  const response = await api.call({
    api: 'notification',
    method: 'GET',
    path: `/commerce/notification/v1/public_key/${encodeURIComponent(keyId)}`,
    operation,
    retry: 'safe',
    as: 'application',
    answers: [400, 404],
  });
  if (response.status !== 200) return null;
  const { key, algorithm, digest } = parseBody(keySchema, response, operation);
  const known = digests[digest.toUpperCase().replace('-', '')];
  if (algorithm.toUpperCase() !== 'ECDSA' || known === undefined) return null;
  return { pem: pemOf(key), digest: known };
}

/** eBay sends the key on one line; PEM wants its base64 on lines of its own. */
function pemOf(key: string): string {
  const base64 = key.replaceAll(/-----(BEGIN|END) PUBLIC KEY-----|\s/g, '');
  return `-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`;
}
