-- Conflicts that can be followed and decided: who overtook them, what they moved, who waits for a decision; and the price a seller means an item to have.

ALTER TABLE sync_conflicts
  -- The newer proof for the same listing that took its edit in; null when the edits cancel out, or a channel came back by itself.
  ADD COLUMN superseded_by uuid REFERENCES sync_conflicts (id) ON DELETE SET NULL ON UPDATE CASCADE,
  -- A person said that they will decide: the account's policy then never does.
  ADD COLUMN awaits_review boolean NOT NULL DEFAULT false,
  ADD FOREIGN KEY (movement_id) REFERENCES stock_movements (id) ON DELETE SET NULL ON UPDATE CASCADE,
  ADD CHECK (superseded_by IS NULL OR status = 'superseded'),
  ADD CHECK (movement_id IS NULL OR status = 'resolved');
CREATE INDEX sync_conflicts_movement_id_idx ON sync_conflicts (movement_id) WHERE movement_id IS NOT NULL;
CREATE INDEX sync_conflicts_superseded_by_idx ON sync_conflicts (superseded_by) WHERE superseded_by IS NOT NULL;
-- What is undecided about an item is read with every target.
CREATE INDEX sync_conflicts_open_item_idx ON sync_conflicts (item_id) WHERE status = 'open';
-- A listing has at most one open conflict about its number, whatever the number was, and one about its price.
DROP INDEX sync_conflicts_open_listing_key;
CREATE UNIQUE INDEX sync_conflicts_open_listing_key ON sync_conflicts (listing_id, (conflict_type = 'price_mismatch')) WHERE status = 'open';

ALTER TABLE accounts
  -- Minor units of money by which a shown price may differ from the intended one.
  ADD COLUMN price_tolerance_minor integer NOT NULL DEFAULT 0 CHECK (price_tolerance_minor >= 0);

ALTER TABLE inventory_items
  -- The list price that the seller means it to have on every channel with this currency; null while they have not said.
  ADD COLUMN price_minor bigint CHECK (price_minor >= 0),
  ADD COLUMN currency char(3),
  ADD CHECK ((price_minor IS NULL) = (currency IS NULL));
