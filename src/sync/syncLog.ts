/** Writes down what each verb has done: who asked for it, by which request, and the ids of what came of it. */
import type { Correlation, Log } from '../log.ts';
import { actorName, type Caller, type Outcome } from './outcome.ts';
import type { RulePlace } from './rules.ts';
import type { Sync } from './sync.ts';

type Verb<Input, Value> = (caller: Caller, input: Input) => Promise<Outcome<Value>>;
type Logged = <Input, Value>(
  message: string,
  verb: Verb<Input, Value>,
  idsOf: (value: Value, input: Input) => Correlation,
) => Verb<Input, Value>;

/** The same verbs. A refusal is the caller's business and is not logged; a repeated request is logged again, with its own id. */
export function loggedSync(log: Log, sync: Sync): Sync {
  const logged: Logged = (message, verb, idsOf) => async (caller, input) => {
    const outcome = await verb(caller, input);
    const { correlationId: requestId, accountId } = caller;
    const actor = actorName(caller.actor);
    if (outcome.ok) log.info({ requestId, accountId, actor, ...idsOf(outcome.value, input) }, message);
    return outcome;
  };
  return { ...sync, ...stockVerbs(sync, logged), ...syncVerbs(sync, logged), ...settingVerbs(sync, logged) };
}

/** What moves stock, or may. */
function stockVerbs(sync: Sync, logged: Logged): Partial<Sync> {
  return {
    adjustStock: logged('stock adjusted', sync.adjustStock, (change) => change),
    setStock: logged('stock set', sync.setStock, (change) => change),
    updateOrderStatus: logged('order status set', sync.updateOrderStatus, (order) => order),
    returnOrder: logged('order returned', sync.returnOrder, (order) => order),
    resolveConflicts: logged('conflicts decided', sync.resolveConflicts, (decided) => decided),
    setBundle: logged('bundle set', sync.setBundle, (item) => item),
    createReservation: logged('reservation made', sync.createReservation, (made, { lines }) => ({
      ...made,
      itemIds: lines.map(({ itemId }) => itemId),
    })),
    extendReservation: logged('reservation extended', sync.extendReservation, (held) => held),
    commitReservation: logged('reservation committed', sync.commitReservation, (ended) => ended),
    releaseReservation: logged('reservation released', sync.releaseReservation, (ended) => ended),
    mapListing: logged('listing mapped', sync.mapListing, (listing, { itemId }) => ({ ...listing, itemId })),
    mapSku: logged('SKU mapped', sync.mapSku, (_applied, { itemId }) => ({ itemId })),
  };
}

/** What queues work, or lets it go on. */
function syncVerbs(sync: Sync, logged: Logged): Partial<Sync> {
  return {
    syncItem: logged('operation queued', sync.syncItem, (operation, { itemId }) => ({
      ...operation,
      itemId,
    })),
    syncAll: logged('job queued', sync.syncAll, (job) => job),
    createPlan: logged('plan begun', sync.createPlan, (plan, { connectionId }) => ({
      ...plan,
      connectionId,
    })),
    setPlanEntries: logged('plan entries set', sync.setPlanEntries, (plan) => plan),
    applyPlan: logged('plan applied', sync.applyPlan, (plan) => plan),
    undoPlan: logged('plan undone', sync.undoPlan, (plan) => plan),
    approveBlast: logged('stopped change approved', sync.approveBlast, (connection) => connection),
    acknowledgeAlert: logged('alert acknowledged', sync.acknowledgeAlert, (alert) => alert),
  };
}

/** What decides how numbers are kept from now on. */
function settingVerbs(sync: Sync, logged: Logged): Partial<Sync> {
  return {
    setConflictPolicy: logged('conflict policy set', sync.setConflictPolicy, (account) => account),
    setItemPrice: logged('price set', sync.setItemPrice, (item) => item),
    setProtection: logged('protection set', sync.setProtection, (item) => item),
    resumeEscrow: logged('listing resumed', sync.resumeEscrow, (listing) => listing),
    setRule: logged('rule set', sync.setRule, (_changed, { place }) => idsOfPlace(place)),
    switchSync: logged('sync switched', sync.switchSync, (_changed, { place, enabled }) => ({
      ...idsOfPlace(place),
      enabled,
    })),
    updateAccountSettings: logged('account settings set', sync.updateAccountSettings, () => ({})),
  };
}

function idsOfPlace(place: RulePlace): Correlation {
  if (place.level === 'account') return {};
  return place.level === 'connection' ? { connectionId: place.id } : { listingId: place.id };
}
