-- How often each was switched on: a listing by itself, be it that the channel gave its number back, or with its whole connection.
ALTER TABLE listings ADD COLUMN switched_on integer NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN switched_on integer NOT NULL DEFAULT 0;
-- Both together when a reading last was what was known: what is proved while they are more may have been done when nobody looked.
ALTER TABLE shadows ADD COLUMN known_switch integer NOT NULL DEFAULT 0;

CREATE FUNCTION count_switching_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.switched_on := OLD.switched_on + 1;
  RETURN NEW;
END $$;
CREATE TRIGGER listings_switched_on BEFORE UPDATE OF sync_enabled, writable ON listings
  FOR EACH ROW WHEN (NEW.sync_enabled AND NEW.writable AND NOT (OLD.sync_enabled AND OLD.writable)) EXECUTE FUNCTION count_switching_on();
CREATE TRIGGER connections_switched_on BEFORE UPDATE OF sync_enabled ON connections
  FOR EACH ROW WHEN (NEW.sync_enabled AND NOT OLD.sync_enabled) EXECUTE FUNCTION count_switching_on();
