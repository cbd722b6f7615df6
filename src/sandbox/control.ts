/** The control API of the sandbox: look at the shops, buy, edit, break, reset. On loopback, JSON in and out, every input checked. */
import {
  actionSchema,
  buyersSchema,
  editSchema,
  input,
  orderSchema,
  platformOf,
  refusal,
  settingsSchema,
  webhookSchema,
} from './controlInput.ts';
import { faultSchema } from './faults.ts';
import { type Order, type Platform, platforms, RuleError } from './goods.ts';
import { type HttpCall, type HttpServer, listen, pathPattern, Refusal, type Reply } from './http.ts';
import { orderState } from './orderState.ts';
import type { Sandbox } from './sandbox.ts';

type ControlRoute = {
  readonly method: string;
  readonly path: string;
  readonly handle: (call: HttpCall, params: Readonly<Record<string, string>>) => Reply;
};

const orderView = (order: Order) => ({
  id: order.id,
  state: orderState(order),
  createdAt: new Date(order.createdAt).toISOString(),
  updatedAt: new Date(order.updatedAt).toISOString(),
  lines: order.lines.map(({ id, sku, ordered, shipped }) => ({ id, sku, ordered, shipped })),
});

/** Everything a person looking at the sandbox wants to see at once. */
function state(sandbox: Sandbox): object {
  const one = (each: Platform) => ({
    url: sandbox.url(each),
    webhookTarget: sandbox.webhooks[each].target,
    displayed: sandbox.displayed(each),
    counts: sandbox.shops[each].orders.counts,
    orders: sandbox.shops[each].orders.all().length,
    writesInFlight: sandbox.shops[each].writesInFlight(),
    settings: sandbox.shops[each].settings,
  });
  return {
    platforms: Object.fromEntries(platforms.map((each) => [each, one(each)])),
    faults: sandbox.faults.list(),
    buyers: { running: sandbox.buyers.running, perMinute: sandbox.buyers.options.perMinute },
  };
}

function variantOf(sandbox: Sandbox, where: Platform, sku: string): string {
  const variant = sandbox.shops[where].variantBySku(sku);
  if (variant !== undefined) return variant.id;
  throw new Refusal(refusal(404, 'not_found', `${where} has no SKU ${sku}.`));
}

function buy(sandbox: Sandbox, call: HttpCall): Reply {
  const { lines, platform: where, paid = true, customerName = 'Kim Doe' } = input(orderSchema, call);
  const wanted = lines.map(({ sku, quantity }) => ({ variantId: variantOf(sandbox, where, sku), quantity }));
  const result = sandbox.shops[where].orders.place({ lines: wanted, paid, customerName });
  if (result.kind === 'placed') return { status: 201, body: { order: orderView(result.order) } };
  const { asked, displayed } = result;
  return refusal(409, 'refused', `The marketplace shows ${displayed} and refused to sell ${asked}.`, {
    asked,
    displayed,
  });
}

function act(sandbox: Sandbox, call: HttpCall, params: Readonly<Record<string, string>>): Reply {
  const { orders } = sandbox.shops[platformOf(params['platform'] ?? null)];
  const id = params['orderId'] ?? '';
  const wanted = input(actionSchema, call);
  switch (wanted.action) {
    case 'pay':
      orders.pay(id);
      break;
    case 'cancel': {
      const { restock, reason } = wanted;
      orders.cancel(id, {
        ...(restock === undefined ? {} : { restock }),
        ...(reason === undefined ? {} : { reason }),
      });
      break;
    }
    case 'ship':
      orders.ship(id, { carrier: wanted.carrier ?? null, trackingNumber: wanted.trackingNumber ?? null });
      break;
    case 'deliver':
      orders.deliver(id);
      break;
    case 'edit':
      orders.edit(id, wanted.lineId, wanted.quantity, wanted.restock);
      break;
    case 'refund':
      orders.refund(id, [{ lineId: wanted.lineId, quantity: wanted.quantity }], wanted.restock);
      break;
  }
  return { status: 200, body: { order: orderView(orders.require(id)) } };
}

function look(sandbox: Sandbox): readonly ControlRoute[] {
  const shopOf = (params: Readonly<Record<string, string>>) =>
    sandbox.shops[platformOf(params['platform'] ?? null)];
  return [
    { method: 'GET', path: '/_sandbox/state', handle: () => ({ status: 200, body: state(sandbox) }) },
    {
      method: 'GET',
      path: '/_sandbox/connections',
      handle: () => ({ status: 200, body: platforms.map((each) => sandbox.connection(each)) }),
    },
    {
      method: 'GET',
      path: '/_sandbox/journal/:platform',
      handle: (_call, params) => ({ status: 200, body: { changes: shopOf(params).journal.values() } }),
    },
    {
      method: 'GET',
      path: '/_sandbox/orders/:platform',
      handle: (_call, params) => ({
        status: 200,
        body: { orders: shopOf(params).orders.all().map(orderView) },
      }),
    },
    {
      method: 'GET',
      path: '/_sandbox/faults',
      handle: () => ({ status: 200, body: { faults: sandbox.faults.list() } }),
    },
  ];
}

function change(sandbox: Sandbox): readonly ControlRoute[] {
  const done: Reply = { status: 204 };
  return [
    { method: 'POST', path: '/_sandbox/orders', handle: (call) => buy(sandbox, call) },
    {
      method: 'POST',
      path: '/_sandbox/orders/:platform/:orderId',
      handle: (call, params) => act(sandbox, call, params),
    },
    {
      method: 'POST',
      path: '/_sandbox/edits',
      handle: (call) => {
        const { platform: where, sku, quantity, changeFrom } = input(editSchema, call);
        const variant = variantOf(sandbox, where, sku);
        const shown = sandbox.displayed(where)[sku] ?? 0;
        if (changeFrom !== undefined && changeFrom !== shown)
          return refusal(409, 'changed', `${sku} shows ${shown} by now.`);
        sandbox.shops[where].editOutside(variant, quantity);
        return done;
      },
    },
    {
      method: 'POST',
      path: '/_sandbox/faults',
      handle: (call) => ({ status: 201, body: { id: sandbox.faults.add(input(faultSchema, call)) } }),
    },
    {
      method: 'DELETE',
      path: '/_sandbox/faults',
      handle: (call) => {
        const only = call.query.get('platform');
        sandbox.faults.clear(only === null ? undefined : platformOf(only));
        return done;
      },
    },
    {
      method: 'DELETE',
      path: '/_sandbox/faults/:id',
      handle: (_call, { id = '' }) =>
        sandbox.faults.remove(id) ? done : refusal(404, 'not_found', `There is no fault ${id}.`),
    },
    {
      method: 'POST',
      path: '/_sandbox/buyers',
      handle: (call) => {
        const { running, perMinute } = input(buyersSchema, call);
        if (perMinute !== undefined) sandbox.buyers.configure({ perMinute });
        if (running === true) sandbox.buyers.start();
        if (running === false) sandbox.buyers.stop();
        return done;
      },
    },
    {
      method: 'POST',
      path: '/_sandbox/settings',
      handle: (call) => {
        const { platform: where, ...settings } = input(settingsSchema, call);
        const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
        sandbox.shops[where].configure(given);
        return done;
      },
    },
    {
      method: 'POST',
      path: '/_sandbox/webhooks',
      handle: (call) => {
        const { platform: where, url } = input(webhookSchema, call);
        sandbox.setWebhookTarget(where, url);
        return done;
      },
    },
    {
      method: 'POST',
      path: '/_sandbox/reset',
      handle: () => {
        sandbox.reset();
        return done;
      },
    },
  ];
}

const ruleRefusals = {
  notFound: { status: 404, code: 'not_found' },
  conflict: { status: 409, code: 'conflict' },
  invalid: { status: 422, code: 'invalid_input' },
} as const;

/** A page in a browser must not steer the sandbox through a name that points to loopback. */
const hostPattern = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/u;

export function createControl(sandbox: Sandbox): { listen(port: number): Promise<HttpServer> } {
  const table = [...look(sandbox), ...change(sandbox)].map((route) => ({
    route,
    match: pathPattern(route.path),
  }));

  function answer(call: HttpCall): Reply {
    if (!hostPattern.test(call.headers.host ?? '') || call.headers.origin !== undefined)
      return refusal(403, 'forbidden', 'The control API answers only to this machine, and not to web pages.');
    for (const { route, match } of table) {
      const params = route.method === call.method ? match(call.path) : null;
      if (params !== null) return route.handle(call, params);
    }
    return refusal(404, 'not_found', `No ${call.method} ${call.path} in the control API.`);
  }

  return {
    listen: (port) =>
      listen(port, async (call) => {
        try {
          return answer(call);
        } catch (error) {
          if (error instanceof Refusal) return error.reply;
          if (error instanceof RuleError) {
            const { status, code } = ruleRefusals[error.code];
            return refusal(status, code, error.message);
          }
          throw error;
        }
      }),
  };
}
