/** The enums of the database in GraphQL's upper case. */
import { builder } from './builder.ts';

type Descriptions<Value extends string> = Readonly<Record<Value, string>>;

export const Platform = upperCase('Platform', 'A marketplace.', {
  etsy: 'Etsy.',
  amazon: 'Amazon (Selling Partner API).',
  ebay: 'eBay.',
  shopify: 'Shopify.',
});

export const SyncStatus = upperCase('SyncStatus', 'How an item stands with its channels.', {
  synced: 'Every channel shows what it should, as far as we know.',
  syncing: 'Being brought in step.',
  conflict: 'An open conflict waits for a decision.',
  error: 'The last attempt failed; it is tried again.',
});

export const ConnectionStatus = upperCase('ConnectionStatus', 'Whether a marketplace account can be used.', {
  active: 'In use.',
  paused: 'Paused by the seller: nothing is read or written.',
  needs_authorization: 'The marketplace refuses our token: the seller must authorise again.',
  disconnected: 'No longer connected. Kept for its history.',
});

export const OrderStatus = upperCase(
  'OrderStatus',
  'Where an order stands. Later ones are never left for earlier ones.',
  {
    pending: 'Placed; payment not yet confirmed. Its units are already reserved.',
    processing: 'Paid and to be shipped.',
    shipped: 'Every unit has left.',
    delivered: 'Arrived.',
    cancelled: 'Cancelled; what it had reserved is free again.',
  },
);

export const MovementKind = upperCase('MovementKind', 'What caused a stock movement.', {
  order: 'A line of an order.',
  adjustment: 'Units added or taken away (`stockAdjust`).',
  count: 'A counted number (`stockSet`).',
  opening: 'The first number of an item.',
  resolution: 'A decision on a proven conflict.',
  reservation: 'A reservation that was made, committed, released or has expired.',
});

export const ItemRole = upperCase('ItemRole', 'How an item stands to bundles. Bundles do not nest.', {
  plain: 'Neither a bundle nor part of one.',
  component: 'Part of one bundle or more, with stock of its own.',
  bundle: 'Made of components, without stock of its own.',
});

export const ReservationStatus = upperCase('ReservationStatus', 'Whether a reservation still holds units.', {
  active: 'Holds its units, unless `expiresAt` has passed.',
  committed: 'Its units have left the shelf.',
  released: 'Its units were given back.',
  expired: 'It ran out and its units were given back.',
});

export const StockReason = upperCase('StockReason', 'Why stock was changed by hand.', {
  received: 'Goods came in.',
  correction: 'The number was wrong.',
  damaged: 'Units can no longer be sold.',
  lost: 'Units are missing.',
  returned: 'A buyer sent units back.',
  promotion: 'Given away or used for promotion.',
  opening: 'The first number of an item.',
  other: 'See the reference.',
});

export const ActorKind = upperCase('ActorKind', 'Who did it.', {
  system: 'The server itself.',
  user: 'A person.',
  api_key: 'A program with an API key.',
});

export const SyncAction = upperCase('SyncAction', 'What an operation does on the channels.', {
  update_quantity: 'Brings the shown quantity in step.',
  update_price: 'Brings the price in step.',
  create_listing: 'Creates a listing.',
  delete_listing: 'Deletes a listing.',
});

export const OperationStatus = upperCase('OperationStatus', 'How far an operation or a job is.', {
  pending: 'Queued.',
  processing: 'Being worked on.',
  completed: 'Done.',
  failed: 'Given up; `error` says why.',
});

export const JobKind = upperCase('JobKind', 'What a job does.', {
  sync_all: 'Brings every item of the account in step.',
});

export const ConflictType = upperCase('ConflictType', 'What does not agree.', {
  quantity_mismatch: 'A channel shows a number that nothing we know explains.',
  price_mismatch: 'A channel shows another price.',
  sold_out: 'A channel shows nothing although it should sell.',
});

export const ConflictStatus = upperCase('ConflictStatus', 'Whether a conflict still needs a decision.', {
  open: 'Needs a decision.',
  resolved: 'Decided.',
  superseded: 'Overtaken by newer evidence; there is nothing left to decide.',
});

export const ConflictResolution = upperCase('ConflictResolution', 'A way out of a conflict.', {
  use_lowest: 'Book the largest proven decrease, then show our number everywhere.',
  use_highest: 'Book the largest proven increase, then show our number everywhere.',
  manual_review: 'A person decides; until then every channel runs at the lower number.',
  keep_ours: 'Book nothing and show our number everywhere.',
});

export const SyncPlanStatus = upperCase('SyncPlanStatus', 'How far a plan is.', {
  planning: 'The channel is being read. Nothing is decided yet.',
  ready: 'To be looked at, for a day; then it expires.',
  applying: 'Being carried out, listing by listing. Can be stopped and taken back by an undo.',
  applied: 'Every listing is decided; numbers go out as they do for any change.',
  undoing: 'Being taken back.',
  undone: 'Taken back: ledger, switches and channel are as they were, but for what was sold since.',
  failed: 'Could not be made; `error` says why. Nothing was done.',
  expired: 'Nobody applied it in time, or a newer one has taken its place. Nothing was done.',
});

export const SyncPlanWinner = upperCase('SyncPlanWinner', 'Whose number is right.', {
  ledger: 'Ours: the channel is to show what the ledger and the rules give.',
  channel: "The channel's: it stays as it is, and the ledger moves by the difference.",
  skip: "Nobody's: neither is changed, and the listing is not written to.",
});

export const SyncPlanAction = upperCase('SyncPlanAction', "What our number would do to a listing's.", {
  raise: 'It would show more.',
  lower: 'It would show fewer, but some.',
  zero: 'It would show nothing any more.',
  unchanged: 'It shows the right number.',
  left_out: 'Nothing can be done there; `reason` says why.',
});

export const SyncPlanReason = upperCase('SyncPlanReason', 'Why, for programs; `why` is for people.', {
  in_step: 'It shows what it should.',
  ledger_differs: 'The ledger has another number to sell.',
  rule: 'A rule makes another number of what the ledger has to sell.',
  paused: 'A rule pauses it: it should show nothing.',
  nothing_left: 'The ledger has nothing left to sell.',
  no_item: 'Nobody knows which item it sells.',
  not_tracked: 'The channel does not count its stock.',
  not_writable: 'The channel keeps the number itself (Amazon FBA).',
  unreadable: 'The channel did not say what it shows.',
});

export const SyncPlanEntryState = upperCase('SyncPlanEntryState', 'How far an entry of a plan is.', {
  pending: 'Not carried out.',
  applied: 'Carried out.',
  changed: 'Left as it is, because it is not what the plan was made of any more; `error` says how.',
  undone: 'Taken back.',
  failed: 'The channel refused the old number; `error` has its words.',
  left_out: 'Nothing to carry out.',
});

export const AlertKind = upperCase('AlertKind', 'What an alert is about.', {
  oversell: 'More units are promised to buyers than are on hand.',
  oversell_risk: 'Nothing is left, and a channel is not confirmed at 0 yet.',
  low_stock: 'As few units are available as the account calls low.',
  still_on_sale: 'A channel still sells what is sold out, although it was told.',
  broken_connection: 'A marketplace account cannot be used.',
  blast_stopped:
    'So many numbers would change at once, or so many listings show 0 without a reason, that a person should look first.',
});

export const Protection = upperCase('Protection', 'How an item is kept from being oversold.', {
  shared:
    'Every channel shows what is available: most is sold, and two channels can sell the last unit in the same moments.',
  escrow:
    'Every shown unit is a right that was granted once: nothing is oversold, and a buyer may find nothing where another channel still has some.',
  automatic: 'The shared pool while stock is deep for its pace, escrow as soon as it is not.',
});

export const AlertStatus = upperCase('AlertStatus', 'Whether somebody has dealt with an alert.', {
  open: 'Nobody has seen it.',
  acknowledged: 'Seen, not yet solved. A growing oversell opens it again.',
  resolved: 'No longer true.',
});

export const WriteState = upperCase('WriteState', 'What became of a number sent to a channel.', {
  sent: 'Sent, no answer yet.',
  accepted: 'Taken in by the channel; takes effect later.',
  effective: 'Came into force.',
  unknown: 'No answer came: it may or may not have happened.',
  rejected: 'Refused; nothing changed.',
  stale: 'Not done, because the channel showed another number than expected.',
  superseded: 'Overtaken by a newer number.',
});

export const PriceRefusal = upperCase('PriceRefusal', 'Why a channel takes no price.', {
  wrong_currency: 'The listing is sold in another currency; nothing was sent.',
  price_not_allowed: 'The channel does not allow the amount: below its minimum, or outside limits set there.',
  shared_price: 'The channel shows one price for several variants, and not all of them are to have it.',
  other: 'Something else about the listing: see `priceExplanation`.',
});

export const SettingKind = upperCase('SettingKind', 'A setting with a history.', {
  rule: 'A target rule.',
  sync_enabled: 'Whether numbers are written.',
  low_stock_units: 'From how many units on an item is low on stock.',
  still_on_sale_after_s: 'After how many seconds a sold-out item that is still shown is told.',
});

function upperCase<const Value extends string>(
  name: string,
  description: string,
  members: Descriptions<Value>,
) {
  const entries = Object.entries<string>(members).map(([value, text]) => [
    value.toUpperCase(),
    { value, description: text },
  ]);
  return builder.enumType(name, {
    description,
    values: Object.fromEntries(entries) as Record<Uppercase<Value>, { value: Value; description: string }>,
  });
}
