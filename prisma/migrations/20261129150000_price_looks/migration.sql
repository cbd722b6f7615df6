-- Prices that channels show are looked at in turn, those not looked at for longest first; one batch of a connection at a time.
ALTER TABLE listings ADD COLUMN price_looked_at timestamptz(3) NOT NULL DEFAULT now();
ALTER TABLE connections ADD COLUMN next_price_look_at timestamptz(3) NOT NULL DEFAULT now();
CREATE INDEX listings_price_looked_at_idx ON listings (connection_id, price_looked_at) WHERE sync_enabled AND item_id IS NOT NULL;
