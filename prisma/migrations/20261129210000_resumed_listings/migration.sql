-- True from when a listing was switched on again until a reading is what was known: what is proved before that may have been done while nobody looked.
ALTER TABLE shadows ADD COLUMN resumed boolean NOT NULL DEFAULT false;
