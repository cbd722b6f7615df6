/** What a listing should cost, and what becomes of a price that is written to it. */
import { openStates } from '../sync/priceRows.ts';
import { explainPrice, type PriceFacts } from '../sync/priceWords.ts';
import { builder } from './builder.ts';
import { PriceRefusal } from './enums.ts';
import { Listing } from './listing.ts';
import { decimalOf, Money, moneyOf } from './money.ts';

type Amounts = { readonly priceMinor: bigint | null; readonly currency: string | null };

/** Of its item, where the listing is sold in the same currency. */
function intendedOf(listing: Amounts, item: Amounts | null) {
  return item !== null && item.currency === listing.currency ? moneyOf(item.priceMinor, item.currency) : null;
}

const writeFields = {
  state: true,
  sentMinor: true,
  error: true,
  refusal: true,
  reference: true,
  workedOffAt: true,
} as const;
const undecided = new Set<string>(openStates);

builder.prismaObjectFields(Listing, (t) => ({
  intendedPrice: t.field({
    type: Money,
    nullable: true,
    description:
      'What its item should cost; null while nobody has said (see `itemPriceSet`), and where the listing is sold in another currency.',
    select: { priceMinor: true, currency: true, item: { select: { priceMinor: true, currency: true } } },
    resolve: (listing) => intendedOf(listing, listing.item),
  }),
  pricePending: t.boolean({
    description:
      'Whether the intended price is being written: it waits, or was sent and is not proved yet. `price` is the one from before until then.',
    select: { dirtyPrice: { select: writeFields } },
    resolve: ({ dirtyPrice: [write] }) => write !== undefined && undecided.has(write.state),
  }),
  priceRefusal: t.field({
    type: PriceRefusal,
    nullable: true,
    description:
      'Why the channel refused the intended price; null unless it did. Setting a price tries again.',
    select: { dirtyPrice: { select: writeFields } },
    resolve: ({ dirtyPrice: [write] }) => write?.refusal ?? null,
  }),
  priceExplanation: t.string({
    description: 'Why it shows the price it shows, and what is being done about it, in plain words.',
    select: {
      priceMinor: true,
      currency: true,
      syncEnabled: true,
      item: { select: { priceMinor: true, currency: true } },
      connection: { select: { status: true, syncEnabled: true, awaitingPlan: true } },
      account: { select: { priceToleranceMinor: true } },
      dirtyPrice: { select: writeFields },
    },
    resolve: (listing) => explainPrice(factsOf(listing)),
  }),
}));

type PricedListing = Amounts & {
  readonly syncEnabled: boolean;
  readonly item: Amounts | null;
  readonly connection: {
    readonly status: string;
    readonly syncEnabled: boolean;
    readonly awaitingPlan: boolean;
  };
  readonly account: { readonly priceToleranceMinor: number };
  readonly dirtyPrice: readonly {
    readonly state: NonNullable<PriceFacts['write']>['state'];
    readonly sentMinor: bigint | null;
    readonly error: string | null;
    readonly reference: string | null;
    readonly workedOffAt: Date | null;
  }[];
};

function factsOf(listing: PricedListing): PriceFacts {
  const { item, account } = listing;
  const [write] = listing.dirtyPrice;
  const intended = intendedOf(listing, item);
  const apart =
    intended === null || listing.priceMinor === null ? null : Number(listing.priceMinor - intended.minor);
  return {
    shown: textOf(listing.priceMinor, listing.currency),
    intended: item === null ? null : textOf(item.priceMinor, item.currency),
    sameCurrency: intended !== null,
    inStep: apart !== null && Math.abs(apart) <= account.priceToleranceMinor,
    hasItem: item !== null,
    paused: pausedBy(listing),
    write:
      write === undefined
        ? null
        : {
            state: write.state,
            sent: textOf(write.sentMinor, listing.currency),
            error: write.error,
            queued: write.reference !== null && write.workedOffAt === null,
          },
  };
}

function pausedBy({ syncEnabled, connection }: PricedListing): string | null {
  if (connection.awaitingPlan) return 'nothing is written to its connection before a plan is applied';
  if (connection.status !== 'active') return `its connection is ${connection.status.replaceAll('_', ' ')}`;
  if (!connection.syncEnabled) return 'its connection is paused';
  return syncEnabled ? null : 'the listing is paused';
}

function textOf(minor: bigint | null, currency: string | null): string | null {
  const money = moneyOf(minor, currency);
  return money === null ? null : `${decimalOf(money)} ${money.currency}`;
}
