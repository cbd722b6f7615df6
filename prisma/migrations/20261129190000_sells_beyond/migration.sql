-- Whether the channel goes on selling a listing where its number is used up: such a number limits nothing, so its item cannot be under escrow.
ALTER TABLE listings ADD COLUMN sells_beyond boolean NOT NULL DEFAULT false;
