/** Records the statements that the product sends and asks PostgreSQL how it would run them. */
import { Client } from 'pg';
import type { Queryable } from '../../src/db.ts';

// ------------------------------------------------------------------------------------------------------------- recording

/** Only a statement with a name is prepared once and may be planned without its values. */
export type Statement = {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly named: boolean;
};

type Query = (this: Client, ...parameters: unknown[]) => unknown;

const clientQuery = Client.prototype.query as Query;
let recorded: Statement[] | null = null;

function record(...[first, second]: unknown[]): void {
  const config = (typeof first === 'string' ? { text: first } : first) as {
    text?: string;
    name?: string;
    values?: unknown[];
  };
  const values = config.values ?? (Array.isArray(second) ? (second as unknown[]) : []);
  if (config.text !== undefined)
    recorded?.push({ text: config.text, values, named: config.name !== undefined });
}

function recordingQuery(this: Client, ...parameters: unknown[]): unknown {
  record(...parameters);
  return clientQuery.apply(this, parameters);
}

/** From now on every connection of this process is listened to; disposing of the answer ends that. */
export function startRecording(): Disposable {
  Client.prototype.query = recordingQuery as typeof Client.prototype.query;
  return {
    [Symbol.dispose]: () => {
      Client.prototype.query = clientQuery as typeof Client.prototype.query;
    },
  };
}

/** Every statement that `work` sends and that reads or writes rows. */
export async function statementsOf(work: () => Promise<unknown>): Promise<readonly Statement[]> {
  const statements: Statement[] = [];
  recorded = statements;
  try {
    await work();
  } finally {
    recorded = null;
  }
  return statements.filter(
    ({ text }) => /\b(?:FROM|UPDATE|INTO)\b/i.test(text) && !/graphile_worker|pg_advisory/.test(text),
  );
}

// ----------------------------------------------------------------------------------------------------------------- plans

type Plan = {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Total Cost': number;
  readonly Plans?: readonly Plan[];
};

export type Explained = {
  readonly text: string;
  /** True for the plan that is made without knowing the values. */
  readonly generic: boolean;
  /** PostgreSQL's estimate, in units of one page read in sequence. */
  readonly cost: number;
  /** Big tables that are read whole. */
  readonly scans: readonly string[];
};

/** The tables that grow with the years. */
const grows = new Set([
  'inventory_items',
  'listings',
  'listing_writes',
  'orders',
  'order_lines',
  'stock_movements',
  'events',
  'alerts',
  'sync_conflicts',
  'sync_operations',
  'webhook_deliveries',
  'idempotency_keys',
  'sku_aliases',
  'shadows',
  'setting_changes',
  'measured_sales',
  'bundle_components',
  'order_line_components',
  'order_returns',
  'reservations',
  'reservation_lines',
  'reservation_holdings',
]);

function* nodesOf(plan: Plan): Iterable<Plan> {
  yield plan;
  for (const child of plan.Plans ?? []) yield* nodesOf(child);
}

async function explain(db: Queryable, { text, values }: Statement, generic: boolean): Promise<Explained> {
  const { rows } = await db.query<{ 'QUERY PLAN': readonly { readonly Plan: Plan }[] }>(
    generic
      ? `EXPLAIN (FORMAT JSON, GENERIC_PLAN) ${text}`
      : { text: `EXPLAIN (FORMAT JSON) ${text}`, values: [...values] },
  );
  const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
  if (plan === undefined) throw new Error(`no plan for ${text}`);
  const scans = [...nodesOf(plan)].filter(
    (node) => node['Node Type'] === 'Seq Scan' && grows.has(node['Relation Name'] ?? ''),
  );
  return { text, generic, cost: plan['Total Cost'], scans: scans.map((node) => node['Relation Name'] ?? '') };
}

/** What planning with values costs more than reusing a plan without them, per statement: PostgreSQL weighs both (plancache.c, choose_custom_plan). */
const planningCost = 25;

/** Each different statement with its values, and, where PostgreSQL would choose that plan, as a prepared statement planned without them. */
export async function explainAll(
  db: Queryable,
  statements: readonly Statement[],
): Promise<readonly Explained[]> {
  const different = new Map(statements.map((statement) => [statement.text, statement]));
  const explained: Explained[] = [];
  for (const statement of different.values()) {
    const custom = await explain(db, statement, false);
    explained.push(custom);
    if (!statement.named) continue;
    const generic = await explain(db, statement, true);
    if (generic.cost < custom.cost + planningCost) explained.push(generic);
  }
  return explained;
}
