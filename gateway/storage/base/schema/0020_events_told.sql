-- Every outcome is told in one place: where its row is written, in the same transaction, whoever writes it (docs/events.md).

-- Incentives: stage, blocker or partner changed. Up to 1,000 rows of one statement have an event each; for more, one event for each of
-- their batches says how many there are: a consumer reads those once, through the list.
CREATE FUNCTION tell_incentives() RETURNS trigger LANGUAGE plpgsql
-- The rows before and after are matched by hash: neither has an index, and row by row would cost their product.
SET enable_nestloop = off SET enable_hashjoin = on AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM after_rows LIMIT 1001) AS first_ones) > 1000 THEN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO events (type, subject, data, at)
            SELECT 'batch.incentives_changed', a.batch_id, jsonb_build_object('batch_id', a.batch_id, 'incentives', count(*)),
                   max(a.facts_at)
            FROM after_rows a GROUP BY a.batch_id;
        ELSE
            INSERT INTO events (type, subject, data, at)
            SELECT 'batch.incentives_changed', a.batch_id, jsonb_build_object('batch_id', a.batch_id, 'incentives', count(*)),
                   max(a.facts_at)
            FROM after_rows a JOIN before_rows b USING (id)
            WHERE (a.stage, a.blocker, a.partner) IS DISTINCT FROM (b.stage, b.blocker, b.partner) GROUP BY a.batch_id;
        END IF;
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO events (type, subject, data, at)
        SELECT 'incentive.changed', a.id::text,
            jsonb_build_object('incentive_id', a.id::text, 'participant_id', a.participant_id, 'batch_id', a.batch_id,
            'programme', a.programme, 'purpose', a.purpose, 'period', a.period, 'partner', a.partner,
            'amount_rupiah', a.amount_rupiah, 'due_on', a.due_on, 'deadline_on', a.deadline_on, 'stage', a.stage, 'blocker', a.blocker),
            a.facts_at FROM after_rows a ORDER BY a.id;
    ELSE
        INSERT INTO events (type, subject, data, at)
        SELECT 'incentive.changed', a.id::text,
            jsonb_build_object('incentive_id', a.id::text, 'participant_id', a.participant_id, 'batch_id', a.batch_id,
            'programme', a.programme, 'purpose', a.purpose, 'period', a.period, 'partner', a.partner,
            'amount_rupiah', a.amount_rupiah, 'due_on', a.due_on, 'deadline_on', a.deadline_on, 'stage', a.stage, 'blocker', a.blocker), a.facts_at
        FROM after_rows a JOIN before_rows b USING (id)
        WHERE (a.stage, a.blocker, a.partner) IS DISTINCT FROM (b.stage, b.blocker, b.partner) ORDER BY a.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER incentives_told_inserted AFTER INSERT ON incentives
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_incentives();
CREATE TRIGGER incentives_told_updated AFTER UPDATE ON incentives
    REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION tell_incentives();

CREATE FUNCTION tell_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (type, subject, data, at)
    SELECT 'link.changed', NEW.id, jsonb_build_object('link_id', NEW.id, 'participant_id', p.participant_id, 'partner', NEW.partner,
                                                      'state', NEW.state, 'ended_because', NEW.ended_because), NEW.updated_at
    FROM participants p WHERE p.id = NEW.participant;
    RETURN NULL;
END $$;
CREATE TRIGGER links_told_inserted AFTER INSERT ON links FOR EACH ROW EXECUTE FUNCTION tell_link();
CREATE TRIGGER links_told_updated AFTER UPDATE OF state, challenge_no, ended_because ON links FOR EACH ROW
    WHEN ((OLD.state, OLD.challenge_no, OLD.ended_because) IS DISTINCT FROM (NEW.state, NEW.challenge_no, NEW.ended_because))
    EXECUTE FUNCTION tell_link();

CREATE FUNCTION tell_participant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.partner, OLD.account_index) IS DISTINCT FROM (NEW.partner, NEW.account_index) THEN
        INSERT INTO events (type, subject, data, at)
        VALUES ('participant.account_changed', NEW.participant_id,
                jsonb_build_object('participant_id', NEW.participant_id, 'partner', NEW.partner), NEW.facts_at);
    END IF;
    IF OLD.verified AND NEW.standing = 'verification_expired' THEN
        INSERT INTO events (type, subject, data, at)
        VALUES ('verification.expired', NEW.participant_id,
                jsonb_build_object('participant_id', NEW.participant_id, 'link_id', NEW.link_id, 'partner', NEW.partner),
                NEW.facts_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER participants_told AFTER UPDATE OF partner, account_index, verified ON participants FOR EACH ROW
    WHEN ((OLD.partner, OLD.account_index, OLD.verified) IS DISTINCT FROM (NEW.partner, NEW.account_index, NEW.verified))
    EXECUTE FUNCTION tell_participant();

CREATE FUNCTION tell_case() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told jsonb := jsonb_build_object('case_id', NEW.id::text, 'code', NEW.code, 'partner', NEW.partner, 'payout_id', NEW.payout::text,
                                     'incentive_id', NEW.incentive::text, 'detail', NEW.detail);
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO events (type, subject, data, at) VALUES ('case.opened', NEW.id::text, told, NEW.opened_at);
    END IF;
    IF NEW.closed_at IS NOT NULL THEN
        INSERT INTO events (type, subject, data, at)
        VALUES ('case.closed', NEW.id::text, told || jsonb_build_object('closed_by', NEW.closed_by), NEW.closed_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER cases_told_inserted AFTER INSERT ON cases FOR EACH ROW EXECUTE FUNCTION tell_case();
CREATE TRIGGER cases_told_updated AFTER UPDATE OF closed_at ON cases FOR EACH ROW
    WHEN (OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL) EXECUTE FUNCTION tell_case();

CREATE FUNCTION tell_recovery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (type, subject, data, at)
    VALUES (CASE WHEN NEW.released_at IS NULL THEN 'partner.recovery_began' ELSE 'partner.recovery_ended' END, NEW.partner,
            jsonb_build_object('partner', NEW.partner, 'since', NEW.since), coalesce(NEW.released_at, NEW.opened_at));
    RETURN NULL;
END $$;
CREATE TRIGGER recoveries_told_inserted AFTER INSERT ON recoveries FOR EACH ROW EXECUTE FUNCTION tell_recovery();
CREATE TRIGGER recoveries_told_updated AFTER UPDATE OF released_at ON recoveries FOR EACH ROW
    WHEN (OLD.released_at IS NULL AND NEW.released_at IS NOT NULL) EXECUTE FUNCTION tell_recovery();
