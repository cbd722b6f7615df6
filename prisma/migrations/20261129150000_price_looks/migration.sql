-- Prices that channels show are looked at in turn, those not looked at for longest first; one batch of a connection at a time.
ALTER TABLE listings ADD COLUMN price_looked_at timestamptz(3) NOT NULL DEFAULT now();
ALTER TABLE connections ADD COLUMN next_price_look_at timestamptz(3) NOT NULL DEFAULT now();

-- A price that was proved stays explained while the next one is on its way.
ALTER TABLE dirty_prices DROP CONSTRAINT dirty_prices_check1, ADD CONSTRAINT dirty_prices_echo_check CHECK (state <> 'shown' OR echo_until IS NOT NULL);
