/** Every example that Amazon's own models carry, and what each documented order means, written down by hand. */
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Order, OrderStatus } from '../../src/connectors/connector.ts';
import { minorUnitDigits } from '../../src/connectors/money.ts';
import { readSpecification, specificationFolder } from '../support/specifications.ts';

export type AmazonExample = {
  readonly model: string;
  readonly operation: string;
  readonly status: number;
  /** The request that a sandbox example answers; null for a plain example. */
  readonly request: unknown;
  readonly response: unknown;
};

type Response = {
  readonly 'x-amzn-api-sandbox'?: {
    readonly static?: readonly { readonly request: unknown; readonly response: unknown }[];
  };
  readonly examples?: Readonly<Record<string, unknown>>;
};
type Operation = {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, Response>>;
};

/** In the order of the models' files: of each answer the sandbox examples first, then the plain ones. */
export function amazonExamples(): AmazonExample[] {
  const models = readdirSync(resolve(specificationFolder, 'amazon/models')).toSorted();
  return models.flatMap((file) => {
    const paths = readSpecification(`amazon/models/${file}`)['paths'] as Record<string, object>;
    return Object.values(paths)
      .flatMap((path) => Object.values(path) as Partial<Operation>[])
      .flatMap(({ operationId, responses }) =>
        operationId === undefined || responses === undefined
          ? []
          : Object.entries(responses).flatMap(([status, response]) =>
              bodiesOf(response).map(({ request, response: body }) => ({
                model: file.replace('.json', ''),
                operation: operationId,
                status: Number(status),
                request,
                response: body,
              })),
            ),
      );
  });
}

function bodiesOf(response: Response): Pick<AmazonExample, 'request' | 'response'>[] {
  const { examples = {} } = response;
  const named = Object.entries(examples);
  // Where no media type names them, the members are those of one body.
  const typed = named.every(([name]) => name.includes('/'));
  const plain = typed ? named.map(([, body]) => body) : [examples];
  return [
    ...(response['x-amzn-api-sandbox']?.static ?? []),
    ...plain.map((body) => ({ request: null, response: body })),
  ];
}

export type DocumentedOrder = {
  readonly orderId: string;
  readonly createdTime: string;
  readonly lastUpdatedTime: string;
  readonly salesChannel: { readonly marketplaceId: string };
  readonly proceeds: { readonly grandTotal: WireMoney };
  readonly fulfillment: { readonly fulfilledBy: string };
  readonly orderItems: readonly {
    readonly orderItemId: string;
    readonly quantityOrdered: number;
    readonly product: {
      readonly title: string;
      readonly sellerSku: string;
      readonly price: { readonly unitPrice: WireMoney };
    };
    readonly fulfillment: { readonly quantityFulfilled: number; readonly quantityUnfulfilled: number };
  }[];
};

type WireMoney = { readonly amount: string; readonly currencyCode: string };

/** Every order in the examples of the order model. */
export function documentedOrders(examples: readonly AmazonExample[]): DocumentedOrder[] {
  return examples
    .filter(({ model, status }) => model === 'orders_2026-01-01' && status === 200)
    .flatMap(({ response }) => {
      const { order, orders } = response as { order?: DocumentedOrder; orders?: DocumentedOrder[] };
      return orders ?? (order === undefined ? [] : [order]);
    });
}

/** Read by a person from the documented bodies: how far each order is, and whose it is. */
const meanings: Readonly<Record<string, readonly [status: OrderStatus, customerName: string]>> = {
  '250-1234567-8901234': ['shipped', 'John Smith'],
  '202-7654321-1098765': ['shipped', 'Sarah Thompson'],
  '171-2345678-9012345': ['processing', 'Carlos Oliveira'],
  '171-9876543-2109876': ['processing', 'Maria Silva Santos'],
  '028-1234567-8901234': ['shipped', 'Mehmet Yilmaz'],
  // Without the buyer there is still the name on the parcel.
  '114-9876543-1234567': ['processing', 'Test Store #1234'],
  '123-4567890-1234567': ['delivered', 'John Smith'],
  '202-1234567-8901234': ['shipped', 'James Wilson'],
};

/** Written from the specification, not with the connector's own helpers. Throws for an order that nobody has read yet. */
export function expectedOrder(wire: DocumentedOrder): Order {
  const [status, customerName] = meanings[wire.orderId] ?? [];
  if (status === undefined || customerName === undefined)
    throw new Error(`nobody has said yet what the documented order ${wire.orderId} means`);
  const own = wire.fulfillment.fulfilledBy !== 'AMAZON';
  return {
    orderId: wire.orderId,
    status,
    customerName,
    createdAt: new Date(wire.createdTime),
    updatedAt: new Date(wire.lastUpdatedTime),
    total: money(wire.proceeds.grandTotal),
    lines: wire.orderItems.map(({ orderItemId, quantityOrdered, product, fulfillment }) => ({
      lineId: orderItemId,
      sku: product.sellerSku,
      title: product.title,
      address: { unitId: product.sellerSku, variantId: '' },
      ordered: quantityOrdered,
      reserved: own ? fulfillment.quantityUnfulfilled : 0,
      shipped: own ? fulfillment.quantityFulfilled : 0,
      unitPrice: money(product.price.unitPrice),
    })),
    raw: wire,
  };
}

function money({ amount, currencyCode }: WireMoney) {
  const minor = Math.round(Number(amount) * 10 ** minorUnitDigits(currencyCode));
  return { minor, currency: currencyCode };
}
