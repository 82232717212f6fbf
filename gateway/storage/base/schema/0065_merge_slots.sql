-- A merge counts what it moves in slots of its own, so that nobody who hands over one incentive waits for its end at a counter.
CREATE FUNCTION funnel_slot() RETURNS integer LANGUAGE sql VOLATILE AS
$$ SELECT pg_backend_pid() % 64 + CASE WHEN current_setting('gateway.merging', true) = 'on' THEN 64 ELSE 0 END $$;

CREATE OR REPLACE FUNCTION count_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO funnel_counts AS f (programme, partner, stage, blocker, organisation, slot, incentives, amount_rupiah)
    SELECT programme, partner, stage, coalesce(blocker, ''), organisation, funnel_slot(), count(*), sum(amount_rupiah)
    FROM after_rows GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (programme, partner, stage, blocker, organisation, slot) DO UPDATE
    SET incentives = f.incentives + excluded.incentives, amount_rupiah = f.amount_rupiah + excluded.amount_rupiah;
    RETURN NULL;
END $$;
