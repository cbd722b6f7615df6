/** Rules, switches and alert settings as people change them: one statement that also records who did it and makes exactly the affected listings dirty. */
import type pg from 'pg';
import { inTransaction } from '../db.ts';
import type { RuleLevel } from './core/targets.ts';
import { type Caller, done, type Outcome, type Problem, refused } from './outcome.ts';
import { type StoredRule, storedRule } from './targets.ts';

export type RulesOptions = {
  readonly pool: pg.Pool;
  /** These connections have listings to bring in step. */
  readonly onDirty: (connectionIds: readonly string[]) => void;
  /** The orders of these connections may have been missed. */
  readonly onResumed: (connectionIds: readonly string[]) => void;
};

/** Whose rule or switch: `id` is that of the listing or the connection; null for the caller's account. */
export type RulePlace =
  | { readonly level: 'account'; readonly id: null }
  | { readonly level: 'connection' | 'listing'; readonly id: string };

/** `listings` are those whose number may be another one now. */
export type SettingChange = { readonly listings: number };

type Level = {
  readonly table: string;
  readonly own: string;
  readonly column: string;
  readonly scope: string;
};
const levels: Readonly<Record<RuleLevel, Level>> = {
  account: {
    table: 'accounts',
    own: 'id = $1 AND $2::uuid IS NULL',
    column: 'NULL::uuid, NULL::uuid',
    scope: 'listing.account_id = place.id',
  },
  connection: {
    table: 'connections',
    own: 'id = $2 AND account_id = $1',
    column: 'place.id, NULL::uuid',
    scope: 'listing.connection_id = place.id',
  },
  listing: {
    table: 'listings',
    own: 'id = $2 AND account_id = $1',
    column: 'NULL::uuid, place.id',
    scope: 'listing.id = place.id',
  },
};

/** What a listing's three levels say together, one of them as given. */
function together(level: RuleLevel, rule: string): string {
  const of = (each: RuleLevel) => (each === level ? rule : `${each}.rule`);
  return `merged_rule(merged_rule(${of('account')}, ${of('connection')}), ${of('listing')})`;
}

/** Locked in the order of ids, as every statement that makes several listings dirty. */
const dirtySql = (reread: boolean): string => `
dirty AS (
  INSERT INTO dirty_listings AS current (listing_id, account_id, connection_id, reread, guarded)
  SELECT id, account_id, connection_id, ${reread}, true FROM affected ORDER BY id
  ON CONFLICT (listing_id) DO UPDATE
     SET version = current.version + 1, not_before = now(), guarded = true, reread = current.reread OR excluded.reread
  RETURNING connection_id
)
SELECT EXISTS (SELECT FROM place) AS found, EXISTS (SELECT FROM changed) AS changed, (SELECT count(*)::int FROM dirty) AS listings,
       (SELECT array_agg(DISTINCT connection_id) FROM dirty) AS connection_ids`;

function settingSql(level: RuleLevel, setting: 'rule' | 'sync_enabled', type: string): string {
  const { table, own, column } = levels[level];
  return `
WITH place AS (
  SELECT id, ${setting} AS before FROM ${table} WHERE ${own} FOR NO KEY UPDATE
),
changed AS (
  UPDATE ${table} SET ${setting} = $3::${type}, updated_at = now() FROM place WHERE ${table}.id = place.id AND place.before <> $3::${type}
  RETURNING ${table}.id
),
recorded AS (
  INSERT INTO setting_changes (account_id, connection_id, listing_id, setting, before, after, actor_kind, actor_id)
  SELECT $1, ${column}, '${setting}', to_jsonb(place.before), to_jsonb($3::${type}), $4, $5 FROM place JOIN changed USING (id)
),`;
}

/** Only listings whose levels together say something else than before: what a nearer level decides, a farther one leaves untouched. */
function ruleSql(level: RuleLevel): string {
  return `${settingSql(level, 'rule', 'jsonb')}
affected AS (
  SELECT listing.id, listing.account_id, listing.connection_id
    FROM place JOIN changed USING (id) JOIN listings listing ON ${levels[level].scope}
    JOIN connections connection ON connection.id = listing.connection_id AND connection.sync_enabled
    JOIN accounts account ON account.id = listing.account_id
   WHERE listing.item_id IS NOT NULL AND listing.sync_enabled AND listing.writable
     AND ${together(level, 'place.before')} <> ${together(level, '$3::jsonb')}
),${dirtySql(false)}`;
}

/** What was off may show anything: everything that is on again is read before it is written. */
function switchSql(level: 'connection' | 'listing'): string {
  const others = level === 'connection' ? 'AND listing.sync_enabled' : '';
  return `${settingSql(level, 'sync_enabled', 'boolean')}
affected AS (
  SELECT listing.id, listing.account_id, listing.connection_id
    FROM place JOIN changed USING (id) JOIN listings listing ON ${levels[level].scope}
   WHERE $3::boolean AND listing.item_id IS NOT NULL AND listing.writable ${others}
),${dirtySql(true)}`;
}

type ChangeRow = { found: boolean; changed: boolean; listings: number; connection_ids: string[] | null };

async function change(
  { pool, onDirty }: RulesOptions,
  caller: Caller,
  place: RulePlace,
  sql: string,
  value: string,
): Promise<ChangeRow | null> {
  const row = await inTransaction(pool, async (client) => {
    // One after the other within an account, each with a snapshot that shows the one before: two levels changed at the same moment could
    // otherwise each find that the other one decides.
    await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('rules ' || $1, 0))`, [
      caller.accountId,
    ]);
    const { rows } = await client.query<ChangeRow>(sql, [
      caller.accountId,
      place.id,
      value,
      caller.actor.kind,
      caller.actor.id,
    ]);
    return rows[0];
  });
  if (row?.found !== true) return null;
  onDirty(row.connection_ids ?? []);
  return row;
}

/** Replaces one level's whole rule; what it leaves out, the level above decides. */
export async function setRule(
  options: RulesOptions,
  caller: Caller,
  input: { readonly place: RulePlace; readonly rule: StoredRule },
): Promise<Outcome<SettingChange>> {
  const problems = ruleProblems(input.rule);
  if (problems.length > 0) return refused(...problems);
  const { place } = input;
  const row = await change(
    options,
    caller,
    place,
    ruleSql(place.level),
    JSON.stringify(storedRule.parse(input.rule)),
  );
  return row === null ? refused(noSuch(place)) : done({ listings: row.listings });
}

/** Switches the writing of numbers on or off; for a connection also the asking for orders. Repeating it changes nothing. */
export async function switchSync(
  options: RulesOptions,
  caller: Caller,
  input: { readonly place: RulePlace & { readonly id: string }; readonly enabled: boolean },
): Promise<Outcome<SettingChange>> {
  const { place, enabled } = input;
  const row = await change(options, caller, place, switchSql(place.level), String(enabled));
  if (row === null) return refused(noSuch(place));
  if (row.changed && enabled && place.level === 'connection') {
    await options.pool.query('UPDATE connections SET next_poll_at = now() WHERE id = $1', [place.id]);
    options.onResumed([place.id]);
  }
  return done({ listings: row.listings });
}

function noSuch({ level }: RulePlace): Problem {
  return {
    code: 'NOT_FOUND',
    message: `This account has no such ${level}.`,
    field: ['input', `${level}Id`],
  };
}

function invalidMember(member: string, message: string): Problem {
  return { code: 'INVALID_INPUT', message, field: ['input', 'rule', member] };
}

/** Everything that is wrong with a rule, each with the path of its member. */
function ruleProblems(rule: StoredRule): readonly Problem[] {
  const parsed = storedRule.safeParse(rule);
  if (!parsed.success) {
    return parsed.error.issues.map(({ path: [member] }) => {
      const name = String(member);
      return invalidMember(name, `${name} must be ${ranges[name] ?? 'left out'}.`);
    });
  }
  const { automaticBuffer, buffer, quantityMax, quantityMin } = parsed.data;
  const problems: Problem[] = [];
  if (buffer !== undefined && automaticBuffer !== undefined)
    problems.push(invalidMember('automaticBuffer', 'Give either buffer or automaticBuffer, not both.'));
  if (quantityMin !== undefined && quantityMax !== undefined && quantityMin > quantityMax)
    problems.push(invalidMember('quantityMin', 'quantityMin must not be above quantityMax.'));
  return problems;
}

const wholeUnits = 'a whole number of units from 0 to 1000000000';
const ranges: Readonly<Record<string, string>> = {
  buffer: wholeUnits,
  cutOff: wholeUnits,
  quantityMax: wholeUnits,
  quantityMin: wholeUnits,
  fixed: wholeUnits,
  share: 'a share from 0 to 1',
  automaticBuffer: 'a probability above 0 and below 1',
  paused: 'true or false',
};

export type AccountSettings = {
  /** Undefined leaves it as it is; null ends such alerts. Units, 0 or more. */
  readonly lowStockUnits?: number | null;
  /** Undefined leaves it as it is. Seconds, 0 to 86400. */
  readonly stillOnSaleAfterSeconds?: number;
};

const settingsSql = `
WITH before AS (
  SELECT id, low_stock_units, still_on_sale_after_s FROM accounts WHERE id = $1 FOR NO KEY UPDATE
),
wanted AS (
  SELECT CASE WHEN $2 THEN $3::int ELSE low_stock_units END AS low_stock_units, coalesce($4::int, still_on_sale_after_s) AS still_on_sale_after_s FROM before
),
recorded AS (
  INSERT INTO setting_changes (account_id, setting, before, after, actor_kind, actor_id)
  SELECT $1, setting, before, after, $5, $6 FROM (
    SELECT 'low_stock_units'::setting_kind AS setting, coalesce(to_jsonb(before.low_stock_units), 'null') AS before,
           coalesce(to_jsonb(wanted.low_stock_units), 'null') AS after FROM before, wanted
    UNION ALL
    SELECT 'still_on_sale_after_s', to_jsonb(before.still_on_sale_after_s), to_jsonb(wanted.still_on_sale_after_s) FROM before, wanted
  ) setting WHERE before <> after
  RETURNING 1
)
-- The sweep looks through all items of an account that was changed.
UPDATE accounts SET low_stock_units = wanted.low_stock_units, still_on_sale_after_s = wanted.still_on_sale_after_s, updated_at = now()
  FROM wanted WHERE id = $1 AND EXISTS (SELECT FROM recorded)`;

/** When people are alerted. The next sweep raises and closes what follows from it. */
export async function updateAccountSettings(
  { pool }: RulesOptions,
  caller: Caller,
  settings: AccountSettings,
): Promise<Outcome<null>> {
  const { lowStockUnits, stillOnSaleAfterSeconds } = settings;
  const problems: Problem[] = [];
  const invalid = (member: string, message: string) =>
    problems.push({ code: 'INVALID_INPUT', message, field: ['input', member] });
  if ((lowStockUnits ?? 0) < 0 || (lowStockUnits ?? 0) > 1_000_000_000)
    invalid('lowStockUnits', `lowStockUnits must be ${wholeUnits}, or null.`);
  if ((stillOnSaleAfterSeconds ?? 0) < 0 || (stillOnSaleAfterSeconds ?? 0) > 86_400)
    invalid('stillOnSaleAfterSeconds', 'stillOnSaleAfterSeconds must be 0 to 86400.');
  if (problems.length > 0) return refused(...problems);
  await pool.query(settingsSql, [
    caller.accountId,
    lowStockUnits !== undefined,
    lowStockUnits ?? null,
    stillOnSaleAfterSeconds ?? null,
    caller.actor.kind,
    caller.actor.id,
  ]);
  return done(null);
}
