-- What is no evidence goes once it is old (services/messages/retention.py). Events go from the oldest on, and who would go on reading
-- before the first that is left is told so.
CREATE TABLE events_purged (
    one                boolean PRIMARY KEY DEFAULT true CHECK (one),
    tx                 xid8 NOT NULL,
    seq                bigint NOT NULL
);
INSERT INTO events_purged (tx, seq) VALUES ('0', 0);

CREATE FUNCTION refuse_but_purge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('gateway.purging', true) IS DISTINCT FROM 'on' THEN
        RAISE restrict_violation USING MESSAGE = format('%s: not allowed on %s', TG_OP, TG_TABLE_NAME);
    END IF;
    RETURN OLD;
END $$;
DROP TRIGGER events_stay ON events;
CREATE TRIGGER events_stay BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER events_stay_until_old BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_but_purge();

CREATE FUNCTION purge_events(before timestamptz, most integer) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
-- Of the `most` oldest events in their order those up to the first that is not older than `before`; how many went.
DECLARE
    last_tx xid8; last_seq bigint; gone bigint;
BEGIN
    WITH oldest AS (SELECT e.tx, e.seq, e.at, row_number() OVER (ORDER BY e.tx, e.seq) AS n
                    FROM events_after('0', 0, most) e)
    SELECT o.tx, o.seq INTO last_tx, last_seq FROM oldest o
    WHERE o.at < before AND NOT EXISTS (SELECT FROM oldest k WHERE k.n < o.n AND k.at >= before) ORDER BY o.n DESC LIMIT 1;
    IF last_tx IS NULL THEN RETURN 0; END IF;
    PERFORM set_config('gateway.purging', 'on', true);
    DELETE FROM events e WHERE (e.tx, e.seq) <= (last_tx, last_seq);
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('gateway.purging', 'off', true);
    UPDATE events_purged SET tx = last_tx, seq = last_seq;
    RETURN gone;
END $$;

CREATE INDEX inbox_applied ON inbox (applied_at) WHERE applied_at IS NOT NULL;
