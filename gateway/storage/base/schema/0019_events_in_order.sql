-- Events are read by (tx, seq) and by nothing else: that is their key, and one index less to write.
-- Who delivers them keeps a place in that order: a row for each event beside it is not needed.
DROP TRIGGER events_outbox ON events;
DROP FUNCTION event_to_outbox();
DROP TABLE outbox;
ALTER TABLE events DROP CONSTRAINT events_pkey;
DROP INDEX events_order;
ALTER TABLE events ADD PRIMARY KEY (tx, seq);

CREATE FUNCTION events_after(after_tx xid8, after_seq bigint, most integer) RETURNS SETOF events
LANGUAGE sql STABLE
-- Along the key, whatever the planner believes about the table's size: a sort would read it from the place to its end.
SET enable_sort = off SET enable_incremental_sort = off SET enable_seqscan = off SET enable_bitmapscan = off AS
$$ SELECT * FROM events
   WHERE (tx, seq) > (after_tx, after_seq) AND tx < pg_snapshot_xmin(pg_current_snapshot())
   ORDER BY tx, seq LIMIT most $$;
