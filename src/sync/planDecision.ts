/** What a plan says about one listing, and what may still be done about it later: values in, decisions out, no clock and no table. */
import type { StockReading } from '../connectors/connector.ts';
import { blastAlwaysAllowed } from './core/sending.ts';
import { type RuleLevel, type Target, type TargetInput, type TargetStep, targetOf } from './core/targets.ts';
import { beyondRemedy } from './sellsBeyond.ts';

export type PlanWinner = 'ledger' | 'channel' | 'skip';
export type PlanAction = 'raise' | 'lower' | 'zero' | 'unchanged' | 'left_out';
export type PlanReason =
  | 'in_step'
  | 'ledger_differs'
  | 'rule'
  | 'paused'
  | 'nothing_left'
  | 'no_item'
  | 'not_tracked'
  | 'not_writable'
  | 'unreadable';

/** What is known of a listing when it is read for a plan. */
export type PlanListing = {
  readonly hasItem: boolean;
  readonly sku: string | null;
  readonly writable: boolean;
  /** Whether the channel goes on selling it where its number is used up. */
  readonly sellsBeyond: boolean;
  /** Other listings of the same connection that sell the same item. */
  readonly siblings: number;
};

export type Assessment = { readonly action: PlanAction; readonly reason: PlanReason; readonly why: string };

/** What writing the ledger's number would do to a listing, and why; or why it is left out. */
export function assess(listing: PlanListing, reading: StockReading, target: Target | null): Assessment {
  if (reading.kind === 'notTracked')
    return leftOut('not_tracked', 'The marketplace does not count the stock of this listing.');
  if (!listing.writable)
    return leftOut(
      'not_writable',
      'The marketplace keeps this number itself (Amazon FBA): it is shown, never written.',
    );
  if (!listing.hasItem || target === null) return leftOut('no_item', withoutItem(listing.sku));
  if (reading.kind === 'unknown')
    return leftOut('unreadable', `The marketplace did not say what it shows: ${reading.reason}.`);
  const shown = reading.quantity;
  const shared =
    listing.siblings === 0 ? '' : ` The item is on ${listing.siblings + 1} listings of this connection.`;
  const beyond = listing.sellsBeyond
    ? ` The marketplace goes on selling it beyond that number. ${beyondRemedy}`
    : '';
  return {
    action: actionOf(shown, target.target),
    reason: reasonOf(shown, target),
    why: `It shows ${shown}. ${targetInWords(target)}${shared}${beyond}`,
  };
}

function leftOut(reason: PlanReason, why: string): Assessment {
  return { action: 'left_out', reason, why };
}

function withoutItem(sku: string | null): string {
  return sku === null || sku === ''
    ? 'It has no SKU and nobody has said which item it sells: map the listing, then plan again.'
    : `No item is known for its SKU "${sku}": map the SKU or make the item, then plan again.`;
}

function actionOf(shown: number, target: number): PlanAction {
  if (shown === target) return 'unchanged';
  if (target === 0) return 'zero';
  return target < shown ? 'lower' : 'raise';
}

function reasonOf(shown: number, { target, steps }: Target): PlanReason {
  if (shown === target) return 'in_step';
  if (steps.some(({ step }) => step === 'paused')) return 'paused';
  const available = steps[0]?.result ?? target;
  if (target === 0 && available <= 0) return 'nothing_left';
  return target === available ? 'ledger_differs' : 'rule';
}

const levelWords: Readonly<Record<RuleLevel, string>> = {
  listing: ' (rule of the listing)',
  connection: ' (rule of the connection)',
  account: ' (rule of the account)',
};

const stepWords: Readonly<Record<Exclude<TargetStep['step'], 'available'>, (amount: number) => string>> = {
  holds: (amount) => `${amount} held back for sales that are suspected`,
  conflicts: (amount) => `${-amount} held back until a conflict is decided`,
  buffer: (amount) => `${amount} kept as a buffer`,
  automaticBuffer: (amount) => `${amount} kept as a buffer against the other channels`,
  share: (amount) => `${Math.round(amount * 100)} % of it`,
  fixed: (amount) => `always ${amount}`,
  cutOff: (amount) => `nothing below ${amount}`,
  quantityMin: (amount) => `at least ${amount}`,
  quantityMax: (amount) => `at most ${amount}`,
  channelMax: (amount) => `the marketplace shows at most ${amount}`,
  notBelowZero: () => 'never below 0',
  paused: () => 'paused',
};

function targetInWords({ target, steps }: Target): string {
  const [available, ...rest] = steps;
  const words = rest.map(({ step, amount, level }) =>
    step === 'available' ? '' : `${stepWords[step](amount)}${level === null ? '' : levelWords[level]}`,
  );
  const because = words.length === 0 ? '' : `: ${words.join(', ')}`;
  return `Of ${available?.result ?? target} available it should show ${target}${because}.`;
}

/** No shelf holds more, either way. */
const availableLimit = 1_000_000_000;

/**
 * Units to move the ledger by so that a listing which shows `shown` shows just what it should; the fewest that do. Null when its rules let it show
 * that number for no stock at all.
 */
export function ledgerDelta(input: TargetInput, shown: number): number | null {
  const at = (available: number): number => targetOf({ ...input, available }).target;
  const now = at(input.available);
  if (now === shown) return 0;
  // More stock never shows less, so the nearest stock that shows it is found by halving.
  let [near, far] = [input.available, shown > now ? availableLimit : -availableLimit];
  const enough = (available: number): boolean =>
    shown > now ? at(available) >= shown : at(available) <= shown;
  if (!enough(far)) return null;
  while (Math.abs(far - near) > 1) {
    const middle = Math.trunc((near + far) / 2);
    if (enough(middle)) far = middle;
    else near = middle;
  }
  return at(far) === shown ? far - input.available : null;
}

// ------------------------------------------------------------------------------------------------------------------ later

/** A number that was true at some instant in [from, until], in milliseconds since the epoch. */
export type PlanReading = { readonly shown: number; readonly from: number; readonly until: number };

/** Units sold on one listing, at the channel's time. */
export type PlanSale = { readonly units: number; readonly at: number };

/** What a listing shows by a later reading, against the one the plan was made of and the sales known in between. */
export type Comparison =
  | 'explained'
  /** Lower than known sales explain: sold without our knowing, or edited. */
  | 'low'
  /** Higher than anything explains. */
  | 'high';

/** `marginMs` is how far the channel's clock and ours may be apart: a sale so near to a reading may be in it or not. */
export function compareReadings(
  first: PlanReading,
  second: PlanReading,
  sales: readonly PlanSale[],
  marginMs: number,
): Comparison {
  const between = (from: number, until: number): number =>
    sales.reduce((sum, { units, at }) => (at > from && at < until ? sum + units : sum), 0);
  const least = between(first.until + marginMs, second.from - marginMs);
  const most = between(first.from - marginMs, second.until + marginMs);
  if (second.shown > first.shown - least) return 'high';
  return second.shown < first.shown - most ? 'low' : 'explained';
}

/** What the channel shows by now if it has sold nothing else; null while a sale is so near to the reading that it may be in it or not. */
export function shownNow(reading: PlanReading, sales: readonly PlanSale[], marginMs: number): number | null {
  const later = sales.filter(({ at }) => at > reading.from - marginMs);
  if (later.some(({ at }) => at < reading.until + marginMs)) return null;
  return Math.max(0, reading.shown - unitsOf(later));
}

/** What an undo writes: the number from before, less everything that may have been sold since. Never below 0, never more than it was. */
export function numberBefore(reading: PlanReading, sales: readonly PlanSale[], marginMs: number): number {
  const since = sales.filter(({ at }) => at > reading.from - marginMs);
  return Math.max(0, reading.shown - Math.max(0, unitsOf(since)));
}

export function unitsOf(sales: readonly PlanSale[]): number {
  return sales.reduce((sum, { units }) => sum + units, 0);
}

// ------------------------------------------------------------------------------------------------------------ blast guard

export type PlanSize = {
  /** Listings of the connection. */
  readonly listings: number;
  readonly zeroing: number;
  /** Raised, lowered and zeroed. */
  readonly changing: number;
};
export type PlanLimits = { readonly zeroShareMax: number; readonly changeShareMax: number };

/** Whether a plan passes what the blast guard lets through by itself: then somebody must say that they have seen it. */
export function isLarge({ listings, zeroing, changing }: PlanSize, limits: PlanLimits): boolean {
  if (changing <= blastAlwaysAllowed) return false;
  return zeroing > limits.zeroShareMax * listings || changing > limits.changeShareMax * listings;
}
