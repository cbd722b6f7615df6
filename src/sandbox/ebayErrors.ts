/** eBay's error bodies: every error number the sandbox answers, in one place, as eBay's documents list them. */

export type EbayErrorEntry = {
  readonly errorId: number;
  readonly domain: string;
  readonly category: 'REQUEST' | 'APPLICATION' | 'SYSTEM';
  readonly message: string;
  readonly longMessage?: string;
  readonly parameters?: readonly { readonly name: string; readonly value: string }[];
};

type Known = {
  readonly status: number;
  readonly domain: string;
  readonly message: string;
  readonly application?: true;
};

const inventory = 'API_INVENTORY';
const fulfillment = 'API_FULFILLMENT';
const notification = 'API_NOTIFICATION';

const known = {
  1001: { status: 401, domain: 'OAuth', message: 'Invalid access token' },
  1100: { status: 403, domain: 'ACCESS', message: 'Access denied' },
  2001: { status: 429, domain: 'ACCESS', message: 'Too many requests.' },
  2002: { status: 404, domain: 'ACCESS', message: 'Resource not found' },
  25001: { status: 500, domain: inventory, message: 'A system error has occurred.', application: true },
  25002: { status: 400, domain: inventory, message: 'A user error has occurred.' },
  25003: {
    status: 400,
    domain: inventory,
    message:
      'The eBay listing associated with the inventory item, or the unpublished offer has an invalid price.',
  },
  25004: {
    status: 400,
    domain: inventory,
    message:
      'The eBay listing associated with the inventory item, or the unpublished offer has an invalid quantity.',
  },
  25025: {
    status: 500,
    domain: inventory,
    message:
      'Concurrent access of the same Inventory or Inventory Item Group object is not allowed. Please try again later.',
    application: true,
  },
  25702: {
    status: 404,
    domain: inventory,
    message: 'SKU could not be found or is not available in the system.',
  },
  25706: { status: 400, domain: inventory, message: 'You have provided invalid pagination values.' },
  25708: { status: 400, domain: inventory, message: 'Invalid SKU.' },
  25709: { status: 400, domain: inventory, message: 'Invalid value for a field.' },
  25713: { status: 404, domain: inventory, message: 'This Offer is not available.' },
  25727: {
    status: 400,
    domain: inventory,
    message: 'The number of InventoryItems in the request cannot exceed 25.',
  },
  25734: { status: 400, domain: inventory, message: 'SKU should be unique in the request.' },
  30500: { status: 500, domain: fulfillment, message: 'System error', application: true },
  30700: { status: 400, domain: fulfillment, message: 'Invalid filter name' },
  30800: { status: 400, domain: fulfillment, message: 'Invalid filter value' },
  30810: { status: 400, domain: fulfillment, message: 'Invalid date format' },
  30820: { status: 400, domain: fulfillment, message: 'Start date is missing' },
  30830: {
    status: 400,
    domain: fulfillment,
    message: "Time range between start date and end date must be within '2' years.",
  },
  30840: { status: 400, domain: fulfillment, message: 'Start date should be before end date' },
  30850: { status: 400, domain: fulfillment, message: "Start and end dates can't be in the future" },
  30900: {
    status: 400,
    domain: fulfillment,
    message: 'Exceeded maximum number of order IDs (the current limit is 50)',
  },
  31000: { status: 400, domain: fulfillment, message: 'Invalid offset' },
  31100: { status: 400, domain: fulfillment, message: 'Invalid limit' },
  32100: { status: 404, domain: fulfillment, message: 'Invalid order ID' },
  32200: { status: 400, domain: fulfillment, message: 'Invalid line item id' },
  32210: { status: 400, domain: fulfillment, message: 'Duplicate line item in the request' },
  32300: { status: 400, domain: fulfillment, message: 'Invalid shipment tracking number or carrier' },
  32500: { status: 400, domain: fulfillment, message: 'Invalid shipped date' },
  32800: { status: 400, domain: fulfillment, message: 'Invalid field group' },
  32600: { status: 400, domain: fulfillment, message: 'Invalid input data' },
  195000: {
    status: 500,
    domain: notification,
    message: 'There was a problem with an eBay internal system or process.',
    application: true,
  },
  195001: { status: 404, domain: notification, message: 'The specified key id is invalid.' },
  195003: {
    status: 409,
    domain: notification,
    message: 'Please provide configurations required for notifications. Refer to /config',
  },
  195004: { status: 400, domain: notification, message: 'Invalid limit. Supported ranges 10 - 100.' },
  195006: { status: 400, domain: notification, message: 'Invalid or missing subscription status.' },
  195007: { status: 400, domain: notification, message: 'Invalid or missing destination id.' },
  195008: {
    status: 400,
    domain: notification,
    message:
      'Invalid or missing schema version. Please refer to /topic/{topic_id} for supported schema versions.',
  },
  195009: { status: 400, domain: notification, message: 'Specified format is not supported for the topic.' },
  195010: { status: 400, domain: notification, message: 'Invalid or missing protocol' },
  195011: { status: 403, domain: notification, message: 'Not authorized for this topic.' },
  195012: { status: 409, domain: notification, message: 'Subscription already exists' },
  195013: { status: 404, domain: notification, message: 'The subscription id does not exist.' },
  195015: {
    status: 409,
    domain: notification,
    message: 'The subscription cannot be enabled since the destination is not enabled.',
  },
  195016: {
    status: 400,
    domain: notification,
    message: 'Invalid name. Markups or lengths greater than 64 not supported',
  },
  195017: { status: 400, domain: notification, message: 'Invalid or missing endpoint.' },
  195018: {
    status: 400,
    domain: notification,
    message: 'Invalid or missing destination status. Supported values:[ENABLED,DISABLED]',
  },
  195019: {
    status: 400,
    domain: notification,
    message: 'Invalid or missing verification token for this endpoint.',
  },
  195020: {
    status: 409,
    domain: notification,
    message: 'Challenge verification failed for requested endpoint',
  },
  195021: { status: 409, domain: notification, message: 'Destination exists for this endpoint' },
  195022: { status: 404, domain: notification, message: 'Invalid or missing destination id.' },
  195025: { status: 400, domain: notification, message: 'Invalid or missing email.' },
  195026: { status: 404, domain: notification, message: 'Configuration Not Found.', application: true },
  195027: { status: 400, domain: notification, message: 'Invalid or missing topic id.' },
} as const satisfies Record<number, Known>;

export type EbayErrorId = keyof typeof known;

/** One entry of an `errors` array. `details` becomes eBay's `{additionalInfo}`; `parameters` names the values it is about. */
export function ebayErrorEntry(
  errorId: EbayErrorId,
  details = '',
  parameters: Readonly<Record<string, string>> = {},
): EbayErrorEntry {
  const { domain, message, ...rest }: Known = known[errorId];
  const text = details === '' ? message : `${message} ${details}`;
  const named = Object.entries(parameters).map(([name, value]) => ({ name, value }));
  return {
    errorId,
    domain,
    category: rest.application ? 'APPLICATION' : 'REQUEST',
    message: text,
    longMessage: text,
    ...(named.length === 0 ? {} : { parameters: named }),
  };
}

/** The HTTP status eBay gives with this error. */
export const ebayErrorStatus = (errorId: EbayErrorId): number => known[errorId].status;
