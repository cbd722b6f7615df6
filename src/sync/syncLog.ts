/** Writes down what each verb has done, with the id of the request that asked for it and the id of what came of it. */
import type { Correlation, Log } from '../log.ts';
import type { Caller, Outcome } from './outcome.ts';
import type { Sync } from './sync.ts';

/** The same verbs. A refusal is the caller's business and is not logged; a repeated request is logged again, with its own id. */
export function loggedSync(log: Log, sync: Sync): Sync {
  function logged<Input, Value>(
    message: string,
    verb: (caller: Caller, input: Input) => Promise<Outcome<Value>>,
    idsOf: (value: Value, input: Input) => Correlation,
  ): (caller: Caller, input: Input) => Promise<Outcome<Value>> {
    return async (caller, input) => {
      const outcome = await verb(caller, input);
      const { correlationId: requestId, accountId } = caller;
      if (outcome.ok) log.info({ requestId, accountId, ...idsOf(outcome.value, input) }, message);
      return outcome;
    };
  }
  return {
    ...sync,
    adjustStock: logged('stock adjusted', sync.adjustStock, (change) => change),
    setStock: logged('stock set', sync.setStock, (change) => change),
    syncItem: logged('operation queued', sync.syncItem, (operation, { itemId }) => ({
      ...operation,
      itemId,
    })),
    syncAll: logged('job queued', sync.syncAll, (job) => job),
    updateOrderStatus: logged('order status set', sync.updateOrderStatus, (order) => order),
    acknowledgeAlert: logged('alert acknowledged', sync.acknowledgeAlert, (alert) => alert),
    mapListing: logged('listing mapped', sync.mapListing, (listing, { itemId }) => ({ ...listing, itemId })),
    mapSku: logged('SKU mapped', sync.mapSku, (_applied, { itemId }) => ({ itemId })),
  };
}
