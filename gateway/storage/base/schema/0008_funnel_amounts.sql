-- Incentives that change places in one statement leave the numbers as they are, but not the amounts.
CREATE OR REPLACE FUNCTION count_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO funnel_counts AS f
    SELECT programme, partner, stage, blocker, pg_backend_pid() % 64, sum(n), sum(amount) FROM (
        SELECT programme, partner, stage, coalesce(blocker, '') AS blocker, -1 AS n, -amount_rupiah AS amount FROM before_rows
        UNION ALL
        SELECT programme, partner, stage, coalesce(blocker, ''), 1, amount_rupiah FROM after_rows) AS moved
    GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0 OR sum(amount) <> 0 ORDER BY 1, 2, 3, 4
    ON CONFLICT (programme, partner, stage, blocker, slot) DO UPDATE
    SET incentives = f.incentives + excluded.incentives, amount_rupiah = f.amount_rupiah + excluded.amount_rupiah;
    RETURN NULL;
END $$;

LOCK TABLE incentives IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM funnel_counts;
INSERT INTO funnel_counts
    SELECT programme, partner, stage, coalesce(blocker, ''), 0, count(*), sum(amount_rupiah)
    FROM incentives GROUP BY 1, 2, 3, 4;
