/** The alerts that are not resolved, as events: what a stream of alerts begins with. */
import type { AlertKind } from '../sync/alerts.ts';
import type { LogEvent } from '../sync/eventStream.ts';
import type { Context } from './context.ts';
import { pageSizeMax } from './paging.ts';

export type AlertStatusName = 'open' | 'acknowledged' | 'resolved';

/** In the order they were raised. `kinds` and `wanted` null mean any. */
export async function* presentAlerts(
  context: Context,
  kinds: readonly AlertKind[] | null,
  wanted: readonly AlertStatusName[] | null,
  cursor: string,
): AsyncGenerator<LogEvent, void> {
  const { accountId, prisma } = context;
  const status = { in: (wanted ?? ['open', 'acknowledged']).filter((each) => each !== 'resolved') };
  let last: string | null = null;
  for (;;) {
    const alerts: PresentAlert[] = await prisma.alert.findMany({
      where: {
        accountId,
        status,
        ...(kinds === null ? {} : { kind: { in: [...kinds] } }),
        ...(last === null ? {} : { id: { gt: last } }),
      },
      select: {
        id: true,
        kind: true,
        status: true,
        itemId: true,
        connectionId: true,
        message: true,
        units: true,
        updatedAt: true,
        orders: { select: { orderId: true } },
      },
      orderBy: { id: 'asc' },
      take: pageSizeMax,
    });
    for (const { id, orders, updatedAt, ...alert } of alerts) {
      const payload = { alertId: id, ...alert, orderIds: orders.map(({ orderId }) => orderId) };
      yield {
        topic: 'alert',
        accountId,
        subjectId: id,
        itemSeq: null,
        payload,
        createdAt: updatedAt,
        xid: 0n,
        cursor,
      };
    }
    last = alerts.at(-1)?.id ?? null;
    if (last === null || alerts.length < pageSizeMax) return;
  }
}

type PresentAlert = {
  readonly id: string;
  readonly kind: string;
  readonly status: AlertStatusName;
  readonly itemId: string | null;
  readonly connectionId: string | null;
  readonly message: string | null;
  readonly units: number;
  readonly updatedAt: Date;
  readonly orders: readonly { readonly orderId: string }[];
};
