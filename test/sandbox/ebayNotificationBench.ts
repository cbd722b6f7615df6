/** An eBay sandbox that sends its notifications over HTTP to a receiver which answers challenges. */

import { createHash } from 'node:crypto';
import { type Webhooks, withWebhooks } from './channelBench.ts';
import { type EbayBench, withEbay } from './ebayBench.ts';
import type { ReceiverAnswers } from './webhookReceiver.ts';

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

export type Notifications = Webhooks & { readonly bench: EbayBench; readonly token: string };

/** Sends everything the channel tells to a receiver that answers challenges rightly, unless `challenge` is given. */
export async function withNotifications(
  run: (notifications: Notifications) => Promise<void>,
  { status, challenge, ...options }: Parameters<typeof withEbay>[1] & ReceiverAnswers = {},
): Promise<void> {
  await withEbay(async (bench) => {
    let endpoint = '';
    const answers = {
      ...(status === undefined ? {} : { status }),
      challenge: challenge ?? answerChallenge(() => endpoint),
    };
    await withWebhooks(bench, answers, async (webhooks) => {
      endpoint = webhooks.receiver.url;
      await run({ ...webhooks, bench, token: await bench.applicationToken() });
    });
  }, options);
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
