-- Ids that sort by time, to the microsecond instead of the millisecond: RFC 9562 (6.2, method 3) lets version 7 keep the fraction of the millisecond in
-- the 12 bits after its version. What is written one after the other is listed one after the other.
CREATE OR REPLACE FUNCTION uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT (
    overlay(lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 4096000)::bigint), 15, '0') PLACING '7' FROM 13 FOR 0)
    || substring(gen_random_uuid()::text FROM 20)
  )::uuid
$$;
