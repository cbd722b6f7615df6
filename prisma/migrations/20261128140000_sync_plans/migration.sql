-- The first sync of a connection as a plan: what its channel shows, what it should show, who is right about it, and how to take everything back.

ALTER TYPE event_topic ADD VALUE 'plan';

CREATE TYPE plan_status AS ENUM ('planning', 'ready', 'applying', 'applied', 'undoing', 'undone', 'failed', 'expired');
CREATE TYPE plan_winner AS ENUM ('ledger', 'channel', 'skip');
CREATE TYPE plan_action AS ENUM ('raise', 'lower', 'zero', 'unchanged', 'left_out');
CREATE TYPE plan_reason AS ENUM ('in_step', 'ledger_differs', 'rule', 'paused', 'nothing_left', 'no_item', 'not_tracked', 'not_writable', 'unreadable');
CREATE TYPE plan_entry_state AS ENUM ('pending', 'applied', 'changed', 'undone', 'failed', 'left_out');

-- True while nothing may be written to what a new connection offers: its listings come in switched off until a plan is applied.
ALTER TABLE connections ADD COLUMN awaiting_plan boolean NOT NULL DEFAULT false;

CREATE TABLE sync_plans (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  connection_id uuid NOT NULL,
  status plan_status NOT NULL DEFAULT 'planning',
  -- Who wins where nobody says otherwise.
  winner plan_winner NOT NULL DEFAULT 'ledger',
  -- Listings looked at so far; the other counts are final from `ready` on and follow who is to win.
  listings integer NOT NULL DEFAULT 0,
  raising integer NOT NULL DEFAULT 0,
  lowering integer NOT NULL DEFAULT 0,
  zeroing integer NOT NULL DEFAULT 0,
  unchanged integer NOT NULL DEFAULT 0,
  left_out integer NOT NULL DEFAULT 0,
  channel_wins integer NOT NULL DEFAULT 0,
  skipped integer NOT NULL DEFAULT 0,
  units_added integer NOT NULL DEFAULT 0,
  units_removed integer NOT NULL DEFAULT 0,
  -- True when it passes the connection's limits of the blast guard.
  large boolean NOT NULL DEFAULT false,
  acknowledged boolean NOT NULL DEFAULT false,
  -- How far it is.
  applied integer NOT NULL DEFAULT 0,
  changed integer NOT NULL DEFAULT 0,
  undone integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  imported_at timestamptz(3),
  -- The last listing read, so that a restarted worker goes on where the killed one stopped.
  read_through_unit text,
  read_through_variant text,
  error text,
  attempts integer NOT NULL DEFAULT 0,
  not_before timestamptz(3) NOT NULL DEFAULT now(),
  leased_until timestamptz(3),
  lease_owner uuid,
  -- Whether the connection was waiting for its first plan when this one was applied.
  was_awaiting boolean NOT NULL DEFAULT false,
  actor_kind actor_kind NOT NULL,
  actor_id text,
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  ready_at timestamptz(3),
  applied_at timestamptz(3),
  undone_at timestamptz(3),
  FOREIGN KEY (connection_id, account_id) REFERENCES connections (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX sync_plans_id_account_id_key ON sync_plans (id, account_id);
CREATE INDEX sync_plans_account_id_id_idx ON sync_plans (account_id, id);
CREATE INDEX sync_plans_account_id_updated_at_id_idx ON sync_plans (account_id, updated_at, id);
CREATE INDEX sync_plans_connection_id_id_idx ON sync_plans (connection_id, id);
CREATE INDEX sync_plans_working_idx ON sync_plans (not_before) WHERE status IN ('planning', 'applying', 'undoing');

CREATE TABLE sync_plan_entries (
  id uuid PRIMARY KEY DEFAULT uuid_v7(),
  account_id uuid NOT NULL,
  plan_id uuid NOT NULL,
  listing_id uuid NOT NULL,
  -- Null only when left out because no item is known.
  item_id uuid,
  action plan_action NOT NULL,
  reason plan_reason NOT NULL,
  why text NOT NULL,
  -- What the channel said when it was asked for the plan, and between which moments that was true.
  shown integer CHECK (shown >= 0),
  shown_from timestamptz(3) NOT NULL,
  shown_until timestamptz(3) NOT NULL,
  available integer,
  target integer CHECK (target >= 0),
  winner plan_winner NOT NULL,
  -- Units the ledger moves by should the channel win; null when it cannot.
  ledger_delta integer,
  state plan_entry_state NOT NULL DEFAULT 'pending',
  error text,
  -- What it showed right before it was applied: what an undo goes back to.
  checked_shown integer CHECK (checked_shown >= 0),
  checked_from timestamptz(3),
  checked_until timestamptz(3),
  checks integer NOT NULL DEFAULT 0,
  was_enabled boolean,
  -- Units booked for the item, on one entry of it.
  booked_delta integer,
  -- When an undo switched it off; its old number is written after every order up to then is known.
  withdrawn_at timestamptz(3),
  restore_to integer CHECK (restore_to >= 0),
  -- The write that puts the old number back, while its effect is not proved.
  restore_write_id uuid,
  restore_sent_at timestamptz(3),
  created_at timestamptz(3) NOT NULL DEFAULT now(),
  updated_at timestamptz(3) NOT NULL DEFAULT now(),
  CHECK ((action = 'left_out') = (state = 'left_out')),
  CHECK (action = 'left_out' OR (item_id IS NOT NULL AND shown IS NOT NULL AND target IS NOT NULL)),
  FOREIGN KEY (plan_id, account_id) REFERENCES sync_plans (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (listing_id, account_id) REFERENCES listings (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE,
  FOREIGN KEY (item_id, account_id) REFERENCES inventory_items (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX sync_plan_entries_plan_id_listing_id_key ON sync_plan_entries (plan_id, listing_id);
CREATE INDEX sync_plan_entries_plan_id_id_idx ON sync_plan_entries (plan_id, id);
CREATE INDEX sync_plan_entries_plan_id_action_id_idx ON sync_plan_entries (plan_id, action, id);
CREATE INDEX sync_plan_entries_plan_id_state_item_id_idx ON sync_plan_entries (plan_id, state, item_id);
CREATE INDEX sync_plan_entries_listing_id_idx ON sync_plan_entries (listing_id);
CREATE INDEX sync_plan_entries_item_id_idx ON sync_plan_entries (item_id);
CREATE INDEX sync_plan_entries_skipping_idx ON sync_plan_entries (plan_id, listing_id) WHERE state = 'pending' AND winner = 'skip';
