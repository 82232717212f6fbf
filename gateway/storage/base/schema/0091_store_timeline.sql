-- Which history of the database this is. A failover, a restore and a copy begin another one, and what the old one had committed last may be
-- missing from it: payouts that have left, and that nobody knows of any more. So each new connection compares (storage/base/timeline.py).

ALTER TABLE recoveries ADD COLUMN demanded text;       -- why the store itself holds the partner, until a person has begun `gateway recover`

CREATE TABLE store_timeline (
    -- One row, written by the first process that connects.
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    server     text NOT NULL,                          -- the cluster's system identifier and the database's: a copy elsewhere has others
    timeline   text NOT NULL,                          -- eight hexadecimal digits: a promotion and a restore to a moment begin another
    beat       bigint NOT NULL,                        -- only grows: whoever knows a later one knows that something was forgotten
    beat_at    timestamptz NOT NULL,                   -- up to here the history is known to be complete
    complete   text[] NOT NULL                         -- standbys (by cluster_name) that have a commit before it is answered
);

CREATE FUNCTION complete_standbys() RETURNS text[] LANGUAGE sql STABLE AS $$
-- `synchronous_standby_names` asks for k of n names; who surely has each commit is known only where it asks for all of them.
    WITH said AS (
        SELECT regexp_match(btrim(current_setting('synchronous_standby_names')), '^(?:(?:first|any)\s+)?(\d+)\s*\((.*)\)$', 'i') AS parts),
    names AS (
        SELECT coalesce((parts)[1], '1')::integer AS wanted,
               array_remove(ARRAY(SELECT btrim(btrim(name), '"')
                   FROM regexp_split_to_table(coalesce((parts)[2], current_setting('synchronous_standby_names')), ',') AS name), '') AS listed
        FROM said)
    SELECT CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply') AND wanted >= cardinality(listed)
                 AND '*' <> ALL (listed) THEN listed ELSE '{}' END
    FROM names
$$;

CREATE FUNCTION here(OUT server text, OUT timeline text) LANGUAGE sql VOLATILE AS $$
    SELECT (pg_control_system()).system_identifier || '/' || d.oid, substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
    FROM pg_database d WHERE d.datname = current_database()
$$;

CREATE FUNCTION compare_timeline(seen bigint, partners text[]) RETURNS TABLE (identity text, beat bigint, demanded text)
LANGUAGE plpgsql VOLATILE AS $$
-- Whether this database may have forgotten something: then every partner is held, in this very statement. `seen`: the latest beat that the
-- caller knows to be committed.
#variable_conflict use_column
DECLARE
    h record;
    known store_timeline;
    why text;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN;                                        -- a standby: nothing can be written, so nothing can be sent
    END IF;
    SELECT * INTO h FROM here();
    SELECT * INTO known FROM store_timeline;
    IF NOT FOUND THEN
        INSERT INTO store_timeline (server, timeline, beat, beat_at, complete)
            VALUES (h.server, h.timeline, 1, clock_timestamp(), complete_standbys()) ON CONFLICT DO NOTHING;
        SELECT * INTO known FROM store_timeline;
    END IF;
    IF (known.server, known.timeline) <> (h.server, h.timeline) OR known.beat < seen THEN
        SELECT * INTO known FROM store_timeline FOR UPDATE;  -- somebody else may have seen to it meanwhile
        why := CASE
            WHEN known.beat < seen THEN 'something later was committed than this database knows: an older copy, or a primary that was left behind'
            WHEN known.server <> h.server THEN 'a copy of the database in another place'
            WHEN known.timeline <> h.timeline AND current_setting('cluster_name') <> ALL (known.complete)
                THEN 'a failover to a standby that need not have had each commit, or a restore to a moment' END;
        UPDATE store_timeline SET server = h.server, timeline = h.timeline, beat = greatest(known.beat, seen) + 1;
        known.beat := greatest(known.beat, seen) + 1;
        IF why IS NOT NULL THEN
            INSERT INTO recoveries AS r (partner, since, opened_at, settled_at, demanded)
            SELECT p, known.beat_at, clock_timestamp(), clock_timestamp(), why FROM unnest(partners) AS p ORDER BY p COLLATE "C"
            ON CONFLICT (partner) WHERE released_at IS NULL DO UPDATE SET since = least(r.since, excluded.since),
                opened_at = excluded.opened_at, settled_at = excluded.settled_at, marked_at = NULL, demanded = excluded.demanded;
        END IF;
    END IF;
    RETURN QUERY SELECT h.server, known.beat, why;
END $$;

CREATE FUNCTION beat_timeline() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
-- One of the processes writes, the others read; each remembers what it was told.
#variable_conflict use_column
DECLARE
    last bigint;
BEGIN
    UPDATE store_timeline SET beat = beat + 1, beat_at = clock_timestamp(), complete = complete_standbys()
        WHERE beat_at < clock_timestamp() - interval '4 s';
    SELECT beat INTO last FROM store_timeline;
    RETURN last;
END $$;
