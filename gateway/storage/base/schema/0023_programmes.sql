-- One instalment, one spelling: programmes and purposes are registered before anything is handed over under them.

CREATE TABLE programmes (
    programme          text COLLATE "C" PRIMARY KEY,
    registered_by      text NOT NULL,
    registered_at      timestamptz NOT NULL
);
CREATE TABLE purposes (
    programme          text COLLATE "C" NOT NULL REFERENCES programmes,
    purpose            text COLLATE "C" NOT NULL,
    registered_by      text NOT NULL,
    registered_at      timestamptz NOT NULL,
    PRIMARY KEY (programme, purpose)
);

CREATE OR REPLACE FUNCTION pg_temp.plain_period(period text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN period ~ '^[0-9]+$' THEN coalesce(nullif(ltrim(period, '0'), ''), '0') ELSE period END $$;

-- What was handed over before takes the one spelling, unless that makes one instalment of two that both stand.
DO $$
DECLARE first_ones text;
BEGIN
    SELECT string_agg(ids, '; ') INTO first_ones FROM (
        SELECT string_agg(id::text, ' and ' ORDER BY id) AS ids FROM incentives WHERE NOT cancelled
        GROUP BY participant_id, lower(programme), lower(purpose), pg_temp.plain_period(period)
        HAVING count(*) > 1 AND bool_or(payout IS NULL)
        UNION SELECT string_agg(id::text, ' and ' ORDER BY id) FROM incentives WHERE NOT cancelled
        GROUP BY nik_index, lower(programme), lower(purpose), pg_temp.plain_period(period)
        HAVING count(*) > 1 AND bool_or(payout IS NULL)
        LIMIT 10) AS collisions;
    IF first_ones IS NOT NULL THEN
        RAISE EXCEPTION 'one instalment stands under two spellings and would be paid twice: incentives %. Cancel one of each'
            ' with the version that runs now (POST /v1/incentives/{id}/cancel), then migrate again.', first_ones;
    END IF;
END $$;

UPDATE incentives i SET programme = lower(programme), purpose = lower(purpose), period = pg_temp.plain_period(period)
WHERE (programme, purpose, period) <> (lower(programme), lower(purpose), pg_temp.plain_period(period))
    -- Paid under both spellings: history stays as it is.
    AND NOT EXISTS (SELECT FROM incentives o WHERE o.id <> i.id AND NOT o.cancelled AND NOT i.cancelled
        AND (o.participant_id = i.participant_id OR o.nik_index = i.nik_index)
        AND lower(o.programme) = lower(i.programme) AND lower(o.purpose) = lower(i.purpose)
        AND pg_temp.plain_period(o.period) = pg_temp.plain_period(i.period));

INSERT INTO programmes SELECT DISTINCT lower(programme), 'migration', now() FROM incentives;
INSERT INTO purposes SELECT DISTINCT lower(programme), lower(purpose), 'migration', now() FROM incentives;
