/** Takes in what was delivered: kept durably before it is answered, and in a process that works carried out at once. */
import type pg from 'pg';
import type { Order } from '../connectors/connector.ts';
import type { Log } from '../log.ts';
import type { ConnectedChannel } from './connections.ts';
import type { EventTail } from './eventTail.ts';
import {
  type Delivery,
  type InboxOptions,
  logApplied,
  type NewDelivery,
  processDelivery,
  storeDelivery,
} from './inbox.ts';
import { measureOrder } from './measureBuffer.ts';
import { deliverOrder } from './orderDelivery.ts';
import { measureDeliveredLag } from './orderLag.ts';
import type { OrderEffect } from './orders.ts';

export type IntakeOptions = {
  /** Connections on which statements may be sent one behind the other and no lock is waited for long. */
  readonly connections: pg.Pool;
  /** Orders applied as they come in at the same time, those that wait for a connection included. What comes beyond is only stored at first. */
  readonly atOnceMax: number;
  /** Deliveries that this process works off itself at the same time. */
  readonly ownMax: number;
  readonly inbox: InboxOptions;
  readonly tail: Pick<EventTail, 'lookOver'>;
  /** Told of an order that was applied; the tail has still to look when `told` is false. */
  readonly onApplied: (effect: OrderEffect) => void;
  readonly onUntold: () => void;
  /** Told that deliveries wait for a worker. */
  readonly onWaiting: () => void;
  readonly log: Log;
};

export type Intake = {
  /** Resolves when the delivery is stored. `works` is false where another process does the work. */
  receive(delivery: NewDelivery, channel: ConnectedChannel, works: boolean): Promise<void>;
  /** Resolves when nothing that was taken in is under way. */
  idle(): Promise<void>;
};

export function createIntake(options: IntakeOptions): Intake {
  const { inbox, log } = options;
  const own = new Set<Promise<unknown>>();
  let atOnce = 0;

  function track<Result>(work: Promise<Result>): Promise<Result> {
    const tracked = work.finally(() => own.delete(tracked));
    own.add(tracked);
    return tracked;
  }

  /** False when the delivery is not stored: it then takes the longer way. */
  async function applyAtOnce(
    delivery: NewDelivery,
    channel: ConnectedChannel,
    order: Order,
  ): Promise<boolean> {
    const { accountId, platform } = channel.connection;
    try {
      const client = await options.connections.connect();
      // The look is sent right behind, and so begins where the commit ends.
      const source = { ...delivery, accountId, platform, observedAt: order.updatedAt };
      const applying = deliverOrder(client, source, order);
      const looking = options.tail.lookOver(client);
      void Promise.allSettled([applying, looking]).then(() => client.release());
      const { storedId, waits, ...effect } = await applying;
      if (waits) options.onWaiting();
      if (storedId === null || !effect.changed) return true;
      measureOrder(inbox.measures, delivery.connectionId, order, effect, inbox.clock.now());
      options.onApplied(effect);
      logApplied(log, effect, {
        connectionId: delivery.connectionId,
        eventId: storedId,
        requestId: delivery.requestId,
      });
      void looking.then((told) => (told ? undefined : options.onUntold()));
      void track(measureDeliveredLag(inbox.db, channel, order, effect, inbox.clock.now())).catch(
        (error: unknown) =>
          log.error({ requestId: delivery.requestId, error }, 'lateness of an order not measured'),
      );
      return true;
    } catch (error) {
      // A lock that did not come in time and an order that was overtaken are met by the inbox, which waits and runs again.
      log.debug({ requestId: delivery.requestId, error }, 'order not applied at once');
      return false;
    }
  }

  function carryOut(delivery: Delivery, channel: ConnectedChannel): void {
    void track(
      processDelivery(inbox, delivery, channel).catch((error: unknown) =>
        log.error({ requestId: delivery.requestId, error, eventId: delivery.id }, 'delivery not processed'),
      ),
    );
  }

  return {
    async receive(delivery, channel, works) {
      const keeps = works && own.size < options.ownMax;
      const order = keeps && atOnce < options.atOnceMax ? wholeOrder(channel, delivery) : null;
      if (order !== null) {
        atOnce += 1;
        const stored = await track(applyAtOnce(delivery, channel, order)).finally(() => (atOnce -= 1));
        if (stored) return;
      }
      const stored = await storeDelivery(inbox.db, delivery, keeps ? inbox.leaseMs : null);
      if (stored === null) return;
      if (keeps) carryOut(stored, channel);
      else options.onWaiting();
    },
    async idle() {
      await Promise.allSettled(own);
    },
  };
}

/** What a delivery says when that is one whole order; null for everything else, an unreadable body included: the inbox says what is wrong with it. */
function wholeOrder({ connector }: ConnectedChannel, { topic, body }: NewDelivery): Order | null {
  try {
    const [message, ...more] = connector.parseWebhook(topic, body);
    return message?.kind === 'order' && more.length === 0 ? message.order : null;
  } catch {
    return null;
  }
}
