-- Listings that nothing is written to are observed in turn, those not looked at for longest first; one batch of a connection at a time.
ALTER TABLE connections ADD COLUMN next_observation_at timestamptz(3) NOT NULL DEFAULT now();
ALTER TABLE listings
  -- The epoch before the first look.
  ADD COLUMN observed_at timestamptz(3) NOT NULL DEFAULT '1970-01-01 00:00:00+00',
  -- Whether it showed another number than sync would have when it was last looked at; null before that. Says nothing of what is written to.
  ADD COLUMN differs boolean;

-- What was found of it while it was off, or as another item's, says nothing any more.
CREATE FUNCTION forget_difference() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.differs := NULL;
  RETURN NEW;
END $$;
CREATE TRIGGER listings_differs BEFORE UPDATE OF sync_enabled, writable, item_id ON listings
  FOR EACH ROW WHEN (NEW.sync_enabled AND NEW.writable OR NEW.item_id IS DISTINCT FROM OLD.item_id) EXECUTE FUNCTION forget_difference();

-- Of a connection that is on, what is switched off by itself; of one that is off, everything.
CREATE INDEX listings_observed_at_idx ON listings (connection_id, observed_at) WHERE item_id IS NOT NULL AND NOT (sync_enabled AND writable);
-- Spelled so that nothing but such a look fits it: a plan that was made while the table was empty must find the listing of a SKU by the SKU.
CREATE INDEX listings_observed_together_idx ON listings (connection_id, observed_at) WHERE (item_id IS NULL) IS FALSE;
CREATE INDEX listings_differing_idx ON listings (connection_id, id) WHERE differs;
