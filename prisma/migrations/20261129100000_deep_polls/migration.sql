-- When the newest finished poll that looked far back was started.
ALTER TABLE connections ADD COLUMN deep_polled_at timestamptz(3);
