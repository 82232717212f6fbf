-- Payment plans: amounts and days that two people approve once, who is entitled under them, and the notices that make incentives.

CREATE TABLE plans (
    id                 text PRIMARY KEY,
    organisation       text NOT NULL,
    client_id          text NOT NULL REFERENCES clients,
    programme          text COLLATE "C" NOT NULL REFERENCES programmes,
    name               text NOT NULL,
    state              text NOT NULL CHECK (state IN ('awaiting_approval', 'approved', 'rejected', 'expired')),
    content            bytea NOT NULL,             -- JSON; what is approved
    content_root       bytea NOT NULL,             -- its SHA-256
    received_at        timestamptz NOT NULL,
    decided_at         timestamptz
);
CREATE INDEX plans_received ON plans (received_at, id);
CREATE INDEX plans_waiting ON plans (received_at) WHERE state = 'awaiting_approval';
CREATE TRIGGER plans_stay BEFORE UPDATE OF organisation, client_id, programme, content, content_root ON plans
    FOR EACH ROW EXECUTE FUNCTION refuse();

CREATE TABLE plan_approvals (
    -- What each client said of a plan; the last word counts.
    seq                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_id            text NOT NULL REFERENCES plans,
    client_id          text NOT NULL REFERENCES clients,
    decision           text NOT NULL CHECK (decision IN ('approve', 'reject', 'withdraw')),
    content_root       bytea NOT NULL,
    at                 timestamptz NOT NULL
);
CREATE INDEX plan_approvals_plan ON plan_approvals (plan_id, client_id, seq);
CREATE TRIGGER plan_approvals_stay BEFORE UPDATE OR DELETE ON plan_approvals FOR EACH ROW EXECUTE FUNCTION refuse();

CREATE TABLE entitlements (
    id                 bigint PRIMARY KEY,         -- new_id()
    plan_id            text NOT NULL REFERENCES plans,
    organisation       text NOT NULL,
    programme          text COLLATE "C" NOT NULL,
    participant        bigint NOT NULL REFERENCES participants,
    participant_id     text NOT NULL,
    state              text NOT NULL CHECK (state IN ('open', 'finished', 'cancelled')),
    client_id          text NOT NULL REFERENCES clients,
    created_at         timestamptz NOT NULL,
    changed_at         timestamptz NOT NULL
);
-- A participant is entitled once in a programme.
CREATE UNIQUE INDEX entitlements_once ON entitlements (programme, participant) WHERE state <> 'cancelled';
CREATE INDEX entitlements_participant ON entitlements (participant);
CREATE INDEX entitlements_plan ON entitlements (plan_id, participant_id);
CREATE TRIGGER entitlements_stay_theirs BEFORE UPDATE OF organisation, plan_id, participant, participant_id ON entitlements
    FOR EACH ROW EXECUTE FUNCTION refuse();

-- Incentives that a plan's notices made are approved by the plan's two people.
ALTER TABLE batches ADD COLUMN plan_id text REFERENCES plans;

CREATE TABLE completions (
    -- The notices that were taken, each once.
    entitlement        bigint NOT NULL REFERENCES entitlements,
    notice             text COLLATE "C" NOT NULL,
    finished_on        date NOT NULL,
    batch_id           text REFERENCES batches,    -- null: everything that it makes was handed over before
    client_id          text NOT NULL REFERENCES clients,
    at                 timestamptz NOT NULL,
    PRIMARY KEY (entitlement, notice)
);
CREATE TRIGGER completions_stay BEFORE UPDATE OR DELETE ON completions FOR EACH ROW EXECUTE FUNCTION refuse();

CREATE FUNCTION tell_entitlement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (type, subject, data, at)
    VALUES ('entitlement.changed', NEW.id::text,
            jsonb_build_object('entitlement_id', NEW.id::text, 'plan_id', NEW.plan_id, 'participant_id', NEW.participant_id,
                               'state', NEW.state), NEW.changed_at);
    RETURN NULL;
END $$;
CREATE TRIGGER entitlements_told_inserted AFTER INSERT ON entitlements FOR EACH ROW EXECUTE FUNCTION tell_entitlement();
CREATE TRIGGER entitlements_told_updated AFTER UPDATE OF state ON entitlements FOR EACH ROW WHEN (OLD.state <> NEW.state)
    EXECUTE FUNCTION tell_entitlement();

CREATE FUNCTION tell_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (type, subject, data, at)
    VALUES ('plan.changed', NEW.id, jsonb_build_object('plan_id', NEW.id, 'programme', NEW.programme, 'state', NEW.state,
                                                       'content_root', encode(NEW.content_root, 'hex')),
            coalesce(NEW.decided_at, NEW.received_at));
    RETURN NULL;
END $$;
CREATE TRIGGER plans_told_inserted AFTER INSERT ON plans FOR EACH ROW EXECUTE FUNCTION tell_plan();
CREATE TRIGGER plans_told_updated AFTER UPDATE OF state ON plans FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION tell_plan();

CREATE OR REPLACE FUNCTION event_is_of(who text, kind text, subject text, data jsonb) RETURNS boolean LANGUAGE sql STABLE AS
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
    WHEN kind LIKE 'plan.%' THEN EXISTS (SELECT FROM plans p WHERE p.id = subject AND p.organisation = who)
    WHEN kind LIKE 'webhook.%' THEN EXISTS (SELECT FROM webhook_endpoints w JOIN clients c ON c.id = w.client_id
                                            WHERE w.id = subject AND c.organisation = who)
    ELSE false END $$;
