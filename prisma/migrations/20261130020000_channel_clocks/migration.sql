-- How far the channel's clock was proved to be from the database's, in milliseconds.
ALTER TABLE connections ADD COLUMN clock_skew_measured_ms integer CHECK (clock_skew_measured_ms >= 0);
