/** An eBay sandbox that sends its notifications over HTTP to a receiver which answers challenges. */

import { createHash } from 'node:crypto';
import { createSystemClock } from '../../src/sandbox/clock.ts';
import { createWebhookSender } from '../../src/sandbox/webhookSender.ts';
import { type EbayBench, withEbay } from './ebayBench.ts';
import { openWebhookReceiver, type WebhookReceiver } from './webhookReceiver.ts';

export const verificationToken = 'demo_verification_token_0123456789abcd';

export const answerChallenge = (endpoint: () => string) => (code: string) => ({
  contentType: 'application/json',
  body: JSON.stringify({
    challengeResponse: createHash('sha256')
      .update(code)
      .update(verificationToken)
      .update(endpoint())
      .digest('hex'),
  }),
});

export type Notifications = {
  readonly bench: EbayBench;
  readonly receiver: WebhookReceiver;
  readonly token: string;
  readonly idle: () => Promise<void>;
};

/** Sends everything the channel tells to a receiver that answers challenges rightly, unless `challenge` is given. */
export async function withNotifications(
  run: (notifications: Notifications) => Promise<void>,
  options: Parameters<typeof withEbay>[1] & {
    readonly status?: (index: number) => number;
    readonly challenge?: (code: string) => { readonly contentType: string; readonly body: string };
  } = {},
): Promise<void> {
  const { status = () => 204, challenge, ...rest } = options;
  await withEbay(async (bench) => {
    let endpoint = '';
    const receiver = await openWebhookReceiver({
      status,
      challenge: challenge ?? answerChallenge(() => endpoint),
    });
    endpoint = receiver.url;
    const clock = createSystemClock();
    const sender = createWebhookSender({
      platform: 'ebay',
      clock,
      faults: bench.faults,
      retryDelaysMs: [1, 1],
    });
    sender.target = receiver.url;
    const stop = bench.shop.subscribe((event) => {
      for (const delivery of bench.channel.deliveries(event)) sender.send(delivery);
    });
    try {
      await run({ bench, receiver, token: await bench.applicationToken(), idle: () => sender.idle() });
    } finally {
      stop();
      await sender.stop();
      clock.cancelAll();
      await receiver.stop();
    }
  }, rest);
}

/** The parts of a notification that are looked at. */
export type Notification = {
  readonly metadata: { readonly topic: string };
  readonly notification: {
    readonly notificationId: string;
    readonly publishAttemptCount: number;
    readonly data: {
      readonly order: { readonly orderId: string; readonly orderLineItems: readonly unknown[] };
    };
  };
};
