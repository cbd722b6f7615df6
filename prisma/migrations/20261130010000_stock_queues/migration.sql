-- A number that went, or may have gone, into a queue of the channel together with others (an Amazon feed): the name to ask for it under, and when to ask next.
ALTER TABLE listing_writes ADD COLUMN queue_reference text, ADD COLUMN queue_due_at timestamptz(3);
CREATE INDEX listing_writes_queued_idx ON listing_writes (connection_id, queue_due_at)
  WHERE queue_due_at IS NOT NULL AND state IN ('sent', 'accepted', 'unknown');
