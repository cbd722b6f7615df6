/** An API whose rules, explanations, exposure and health are the real ones, over marketplaces in memory. */
import { systemClock } from '../../src/clock.ts';
import { createInsights } from '../../src/sync/insights.ts';
import * as support from '../support/channel.ts';
import { noWakeUps } from '../support/wakeUps.ts';
import { type Api, openApi } from './apiFixture.ts';
import { createFakeSync } from './fakeSync.ts';

export type InsightApi = Api & { readonly woken: string[] };

export async function openInsights(): Promise<InsightApi> {
  const woken: string[] = [];
  const etsy = support.createChannel('etsy');
  etsy.capabilities.quantityMax = 999;
  const api = await openApi({
    sync: ({ pool }) => ({
      ...createFakeSync(),
      ...createInsights({
        pool,
        wakeUps: { ...noWakeUps, push: (ids) => void woken.push(...ids) },
        clock: systemClock,
        connections: support.connectTo(pool, { etsy }),
      }),
    }),
  });
  return { ...api, woken };
}
