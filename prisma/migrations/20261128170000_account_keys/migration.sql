-- What hangs on a listing cannot say another account than the listing does. Each key takes the place of one without the account: as many checks as before.
ALTER TABLE dirty_listings
  DROP CONSTRAINT dirty_listings_listing_id_fkey,
  ADD FOREIGN KEY (listing_id, account_id) REFERENCES listings (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE shadows
  DROP CONSTRAINT shadows_listing_id_fkey,
  ADD FOREIGN KEY (listing_id, account_id) REFERENCES listings (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE channel_sales
  DROP CONSTRAINT channel_sales_listing_id_fkey,
  ADD FOREIGN KEY (listing_id, account_id) REFERENCES listings (id, account_id) ON DELETE CASCADE ON UPDATE CASCADE;
