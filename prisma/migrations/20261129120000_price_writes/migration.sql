-- Prices that are to be written to channels, and what became of them: at most one row per listing, no number before it is sent.

CREATE TYPE price_state AS ENUM ('waiting', 'sent', 'accepted', 'unknown', 'refused', 'shown');
CREATE TYPE price_refusal AS ENUM ('wrong_currency', 'price_not_allowed', 'shared_price', 'other');

CREATE TABLE dirty_prices (
  listing_id uuid PRIMARY KEY,
  account_id uuid NOT NULL,
  connection_id uuid NOT NULL,
  -- Whose price was asked for: a listing that is mapped to another item since is left alone.
  item_id uuid NOT NULL,
  -- Grows whenever somebody says what the listing should cost. An answer ends the row only if it is still the version that was sent.
  version bigint NOT NULL DEFAULT 1,
  state price_state NOT NULL DEFAULT 'waiting',
  -- What was shown when the newest write was asked for, in minor units of the listing's currency: explains the old price until the new one is proved.
  before_minor bigint,
  -- Where that was a price of ours, what was shown before it: a reading may still be from then.
  earlier_minor bigint,
  -- The newest price sent, in minor units; null while none was. What becomes of it is decided before another one leaves.
  sent_minor bigint CHECK (sent_minor >= 0),
  sent_version bigint,
  sent_at timestamptz(3),
  -- Until then a reading may still be from before the price was proved.
  echo_until timestamptz(3),
  since timestamptz(3) NOT NULL DEFAULT now(),
  not_before timestamptz(3) NOT NULL DEFAULT now(),
  attempts integer NOT NULL DEFAULT 0,
  -- How many writes of this wish were proved lost.
  lost integer NOT NULL DEFAULT 0,
  leased_until timestamptz(3),
  lease_owner uuid,
  -- The operation that people follow; null when none is open.
  operation_id uuid,
  refusal price_refusal,
  error text,
  actor_kind actor_kind NOT NULL,
  actor_id text,
  CHECK ((state = 'refused') = (refusal IS NOT NULL)),
  CHECK ((state = 'shown') = (echo_until IS NOT NULL)),
  CHECK (state NOT IN ('sent', 'accepted', 'unknown', 'shown') OR (sent_minor IS NOT NULL AND sent_at IS NOT NULL AND sent_version IS NOT NULL)),
  FOREIGN KEY (listing_id, account_id) REFERENCES listings (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE
) WITH (fillfactor = 70);
-- What a push or a read-back still has to do; refused and shown prices wait for nothing.
CREATE INDEX dirty_prices_due_idx ON dirty_prices (connection_id, not_before) WHERE state IN ('waiting', 'sent', 'accepted', 'unknown');
-- One run at a time writes the prices of a connection.
CREATE INDEX dirty_prices_leased_idx ON dirty_prices (connection_id) WHERE leased_until IS NOT NULL;
CREATE INDEX dirty_prices_shown_idx ON dirty_prices (echo_until) WHERE state = 'shown';
