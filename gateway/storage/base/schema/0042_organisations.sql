-- Rows belong to the organisation of the client that handed them over (ADR 23). A client without one sees every organisation: who approves,
-- operates or audits for the installation, and never hands anything over. A person who holds several clients is one pair of eyes.
ALTER TABLE clients
    ADD COLUMN organisation text,                  -- null: all of them
    ADD COLUMN person text;                        -- who holds it
UPDATE clients c SET
    person = CASE WHEN EXISTS (SELECT FROM operators o WHERE o.client_id = c.id) THEN substr(c.id, 4) ELSE c.id END,
    organisation = CASE WHEN c.scopes && '{links,verifications,incentives,payouts,batches}'
                          OR NOT c.scopes && '{batches:approve,ops}' AND NOT EXISTS (SELECT FROM operators o WHERE o.client_id = c.id)
                        THEN 'main' END;

CREATE FUNCTION person_of(client text) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT coalesce((SELECT c.person FROM clients c WHERE c.id = client), client) $$;

CREATE FUNCTION organisation_of(client text) RETURNS text LANGUAGE sql STABLE AS
-- Whose rows a client makes; one that was registered before there were organisations makes the first one's.
$$ SELECT coalesce((SELECT c.organisation FROM clients c WHERE c.id = client), 'main') $$;

-- What was there before there were organisations is the first one's.
ALTER TABLE batches ADD COLUMN organisation text NOT NULL DEFAULT 'main';
ALTER TABLE participants ADD COLUMN organisation text NOT NULL DEFAULT 'main';
ALTER TABLE incentives ADD COLUMN organisation text NOT NULL DEFAULT 'main';
CREATE TRIGGER batches_stay_theirs BEFORE UPDATE OF organisation ON batches FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER participants_stay_theirs BEFORE UPDATE OF organisation ON participants FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER incentives_stay_theirs BEFORE UPDATE OF organisation ON incentives FOR EACH ROW EXECUTE FUNCTION refuse();

LOCK TABLE incentives IN SHARE ROW EXCLUSIVE MODE;
ALTER TABLE funnel_counts ADD COLUMN organisation text NOT NULL DEFAULT 'main';
ALTER TABLE funnel_counts DROP CONSTRAINT funnel_counts_pkey;
ALTER TABLE funnel_counts ADD PRIMARY KEY (programme, partner, stage, blocker, organisation, slot);

CREATE OR REPLACE FUNCTION count_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO funnel_counts AS f (programme, partner, stage, blocker, organisation, slot, incentives, amount_rupiah)
    SELECT programme, partner, stage, coalesce(blocker, ''), organisation, pg_backend_pid() % 64, count(*), sum(amount_rupiah)
    FROM after_rows GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (programme, partner, stage, blocker, organisation, slot) DO UPDATE
    SET incentives = f.incentives + excluded.incentives, amount_rupiah = f.amount_rupiah + excluded.amount_rupiah;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION count_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO funnel_counts AS f (programme, partner, stage, blocker, organisation, slot, incentives, amount_rupiah)
    SELECT programme, partner, stage, blocker, organisation, pg_backend_pid() % 64, sum(n), sum(amount) FROM (
        SELECT programme, partner, stage, coalesce(blocker, '') AS blocker, organisation, -1 AS n, -amount_rupiah AS amount
        FROM before_rows
        UNION ALL
        SELECT programme, partner, stage, coalesce(blocker, ''), organisation, 1, amount_rupiah FROM after_rows) AS moved
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0 OR sum(amount) <> 0 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (programme, partner, stage, blocker, organisation, slot) DO UPDATE
    SET incentives = f.incentives + excluded.incentives, amount_rupiah = f.amount_rupiah + excluded.amount_rupiah;
    RETURN NULL;
END $$;

CREATE FUNCTION event_is_of(who text, kind text, subject text, data jsonb) RETURNS boolean LANGUAGE sql STABLE AS
-- Whether an organisation is told of an event. What is said of a partner is said to all who wait for it; of anything else its rows decide.
$$ SELECT CASE
    WHEN kind LIKE 'partner.%' THEN true
    WHEN data ->> 'participant_id' IS NOT NULL
        THEN EXISTS (SELECT FROM participants p WHERE p.participant_id = data ->> 'participant_id' AND p.organisation = who)
    WHEN data ->> 'incentive_id' IS NOT NULL
        THEN EXISTS (SELECT FROM incentives i WHERE i.id = (data ->> 'incentive_id')::bigint AND i.organisation = who)
    WHEN data ->> 'payout_id' IS NOT NULL
        THEN EXISTS (SELECT FROM payouts p JOIN incentives i ON i.id = p.incentive
                     WHERE p.id = (data ->> 'payout_id')::bigint AND i.organisation = who)
    WHEN kind LIKE 'batch.%' THEN EXISTS (SELECT FROM batches b WHERE b.id = subject AND b.organisation = who)
    WHEN kind LIKE 'webhook.%' THEN EXISTS (SELECT FROM webhook_endpoints w JOIN clients c ON c.id = w.client_id
                                            WHERE w.id = subject AND c.organisation = who)
    ELSE false END $$;
