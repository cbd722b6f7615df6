-- Listings that nothing is written to are observed in turn, those not looked at for longest first; one batch of a connection at a time.
ALTER TABLE connections ADD COLUMN next_observation_at timestamptz(3) NOT NULL DEFAULT now();
ALTER TABLE listings
  -- The epoch before the first look.
  ADD COLUMN observed_at timestamptz(3) NOT NULL DEFAULT '1970-01-01 00:00:00+00',
  -- Whether it showed another number than sync would have when it was last looked at. Says nothing of what is written to.
  ADD COLUMN differs boolean NOT NULL DEFAULT false;

-- Of a connection that is on, what is switched off by itself; of one that is off, everything.
CREATE INDEX listings_observed_at_idx ON listings (connection_id, observed_at) WHERE item_id IS NOT NULL AND NOT (sync_enabled AND writable);
-- Spelled so that nothing but such a look fits it: a plan that was made while the table was empty must find the listing of a SKU by the SKU.
CREATE INDEX listings_observed_together_idx ON listings (connection_id, observed_at) WHERE (item_id IS NULL) IS FALSE;
CREATE INDEX listings_differing_idx ON listings (connection_id, id) WHERE differs;
