/** A listing as one transaction holds it: its shadow under lock, and what it has learned in it. */
import type { ConnectorCapabilities, Platform } from '../connectors/connector.ts';
import type { Demand } from './core/demand.ts';
import type { Bounds, Change, Shadow } from './core/shadow.ts';
import type { KeptRow } from './shadowSql.ts';

/** What the channel can do, as far as it matters when it is looked at from another connection's work. */
export type ChannelTraits = Pick<ConnectorCapabilities, 'compareAndSet' | 'quantityMax'> & {
  readonly indexLagMs: number;
  /** From sending a write until it is in force, as a rule. */
  readonly landingMs: number;
};

/** Units sold on a listing, or come back there (below 0). */
export type SaleFact = Change & {
  readonly units: number;
  /** True when it should have been known already: assumption A3 does not hold. */
  readonly late: boolean;
};

/** A listing with its shadow, held under its lock for one transaction. */
export type KeptListing = {
  readonly listingId: string;
  readonly accountId: string;
  readonly connectionId: string;
  readonly platform: Platform;
  readonly itemId: string | null;
  readonly unitId: string;
  readonly variantId: string;
  /** False while nothing is written to it: it, its whole connection or the channel's own word stands against it. */
  readonly enabled: boolean;
  /** The measured or default bounds of its channel, in milliseconds. */
  readonly bounds: Bounds;
  readonly traits: ChannelTraits;
  /** Null while nothing is known of what it shows. */
  shadow: Shadow | null;
  demand: Demand;
  /** Taken in by this very transaction. */
  readonly sales: readonly SaleFact[];
  /** True from when it was switched on again until a reading is what we knew: what is proved before that may have been done while nobody looked. */
  resumed: boolean;
  /** Asked for once more at this time at the latest (milliseconds). */
  readDueAt: number;
  /** What stood in the database. */
  readonly stored: KeptRow;
};
