-- Listings that a reading found at 0 although units are left and no known sale says why: a few are believed, many at once are a fault of the channel.
ALTER TABLE blast_counts
  ADD COLUMN emptied uuid[] NOT NULL DEFAULT '{}',
  ADD COLUMN emptied_since timestamptz(3) NOT NULL DEFAULT now(),
  -- Since when zeroes were not believed any more.
  ADD COLUMN doubted_at timestamptz(3);
