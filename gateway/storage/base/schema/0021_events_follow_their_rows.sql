-- Who took a transaction number early may write last, after waiting for a row: by that number alone its event would come before the one
-- that it follows. An event's place is at least its own transaction's number (a reader waits for that one) and the highest number that
-- had ended when it was written.
ALTER TABLE events ALTER tx SET DEFAULT
    greatest(pg_current_xact_id(), (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text::xid8);
