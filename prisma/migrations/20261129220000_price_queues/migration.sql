-- A price that a channel took into a queue together with others (an Amazon feed): the name to ask for it under, and when it was known to be worked off.
ALTER TABLE dirty_prices ADD COLUMN reference text, ADD COLUMN worked_off_at timestamptz(3);
