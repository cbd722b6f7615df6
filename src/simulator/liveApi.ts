/** The product as a client sees it: GraphQL over HTTP, and nothing else. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Platform } from '../connectors/connector.ts';
import { platforms } from '../connectors/connector.ts';

export type Rights = {
  readonly platform: Platform;
  readonly inForce: number;
  readonly replaced: number;
  readonly pending: number;
  readonly paused: string | null;
};

export type ItemSeen = {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly reserved: number;
  readonly available: number;
  readonly seq: number;
  readonly escrow: {
    readonly available: number;
    readonly free: number;
    readonly shortfall: number;
    readonly rights: readonly Rights[];
  } | null;
  readonly listings: readonly {
    readonly platform: Platform;
    /** What the product believes that the channel shows. */
    readonly quantity: number | null;
    readonly lastError: string | null;
  }[];
};

export type LiveApi = {
  item(sku: string): Promise<ItemSeen>;
  /** Resolves when the delivery is in the ledger. The same key counts once. */
  receive(itemId: string, units: number, key: string): Promise<void>;
  protect(itemId: string, protection: 'SHARED' | 'ESCROW' | 'AUTOMATIC'): Promise<void>;
  /** What was found out about edits behind our back. */
  conflicts(): Promise<readonly ConflictSeen[]>;
};

export type ConflictSeen = { readonly platform: Platform; readonly sku: string; readonly words: string };

const itemQuery = `query LiveItem($sku: String!) {
  inventoryItemBySku(sku: $sku) {
    id sku quantity reserved available seq
    escrow { available free shortfall rights { inForce replaced pending paused listing { platform } } }
    listings(first: 10) { nodes { platform quantity lastError } }
  }
}`;

const receiveMutation = `mutation LiveReceive($input: StockAdjustInput!) {
  stockAdjust(input: $input) { userErrors { code message } }
}`;

const protectMutation = `mutation LiveProtect($input: InventoryItemProtectionSetInput!) {
  inventoryItemProtectionSet(input: $input) { userErrors { code message } }
}`;

const conflictsQuery = `query LiveConflicts {
  conflicts(first: 50) { nodes { conflictType delta listing { platform } item { sku } } }
}`;

/** A busy product is asked again a little later, under the same key. */
const attemptsMax = 10;
const attemptPauseMs = 200;

type Answered = { readonly userErrors: readonly { readonly code: string; readonly message: string }[] };
type Nodes<Node> = { readonly nodes: readonly Node[] };

type ItemFound = Omit<ItemSeen, 'seq' | 'escrow' | 'listings'> & {
  readonly seq: string | number;
  readonly escrow:
    | (Omit<NonNullable<ItemSeen['escrow']>, 'rights'> & {
        readonly rights: readonly (Omit<Rights, 'platform'> & {
          readonly listing: { readonly platform: string } | null;
        })[];
      })
    | null;
  readonly listings: Nodes<Omit<ItemSeen['listings'][number], 'platform'> & { readonly platform: string }>;
};

function seenFrom(found: ItemFound): ItemSeen {
  const { escrow } = found;
  const rights = escrow?.rights.map((right) => ({
    ...right,
    platform: platformOf(right.listing?.platform ?? ''),
  }));
  return {
    ...found,
    seq: Number(found.seq),
    escrow: escrow && { ...escrow, rights: rights ?? [] },
    listings: found.listings.nodes.map((node) => ({ ...node, platform: platformOf(node.platform) })),
  };
}

function succeed({ userErrors }: Answered): void {
  if (userErrors.length > 0) throw new Error(userErrors.map(({ message }) => message).join('; '));
}

export function openApi(url: string, key: string): LiveApi {
  async function ask<Data>(query: string, variables: Readonly<Record<string, unknown>>): Promise<Data> {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(30_000),
    });
    const { data, errors } = (await response.json()) as { data?: Data; errors?: unknown };
    if (errors !== undefined || data === undefined)
      throw new Error(`the product refused a question: ${JSON.stringify(errors)}`);
    return data;
  }

  return {
    async item(sku) {
      const { inventoryItemBySku: found } = await ask<{ inventoryItemBySku: ItemFound | null }>(itemQuery, {
        sku,
      });
      if (found === null) throw new Error(`there is no ${sku}`);
      return seenFrom(found);
    },
    async receive(itemId, units, idempotencyKey) {
      const input = { itemId, delta: units, reason: 'RECEIVED', idempotencyKey };
      for (let attempt = 1; ; attempt += 1) {
        const { stockAdjust: answer } = await ask<{ stockAdjust: Answered }>(receiveMutation, { input });
        const busy = answer.userErrors.some(({ code }) => code === 'IN_PROGRESS');
        if (!busy || attempt === attemptsMax) return succeed(answer);
        await delay(attemptPauseMs);
      }
    },
    async protect(itemId, protection) {
      const input = { itemId, protection };
      const answer = await ask<{ inventoryItemProtectionSet: Answered }>(protectMutation, { input });
      succeed(answer.inventoryItemProtectionSet);
    },
    async conflicts() {
      type Found = {
        readonly conflictType: string;
        readonly delta: number | null;
        readonly listing: { readonly platform: string } | null;
        readonly item: { readonly sku: string } | null;
      };
      const { conflicts } = await ask<{ conflicts: Nodes<Found> }>(conflictsQuery, {});
      return conflicts.nodes.map(({ conflictType, delta, listing, item }) => {
        const [platform, sku] = [platformOf(listing?.platform ?? ''), item?.sku ?? ''];
        return { platform, sku, words: `${conflictType} of ${delta} for ${sku} on ${platform}` };
      });
    },
  };
}

function platformOf(name: string): Platform {
  const platform = platforms.find((known) => known === name.toLowerCase());
  if (platform === undefined) throw new Error(`there is no marketplace ${name}`);
  return platform;
}
