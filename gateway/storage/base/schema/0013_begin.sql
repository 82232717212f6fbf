-- What may leave is decided on rows that are locked, and a pause that has been answered is one (ADR 13).

-- Keyed digest of the row that two people approved; the worker makes it again from the rows it is about to pay.
ALTER TABLE incentives ADD COLUMN digest bytea;

-- The fence of a partner: whoever begins attempts there shares it, whoever stops them takes it alone.
CREATE FUNCTION partner_fence() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 1717923427 $$;

CREATE FUNCTION begin_payouts(this_moment timestamptz, today date, by_worker text, intents json, ids bigint[])
RETURNS TABLE (payout bigint, sent_deadline timestamptz, approved_row text, digest bytea)
LANGUAGE plpgsql VOLATILE AS $$
-- The compare-and-set before the first byte (storage/payouts/queue.py). Hold, fence, decide: VOLATILE, so that in READ COMMITTED each
-- of the three has a snapshot of its own, and the decision sees whatever was committed while it waited for the first two.
#variable_conflict use_column
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE feature_not_supported USING MESSAGE = 'begin_payouts decides on what is committed by now: call it in READ COMMITTED';
    END IF;
    PERFORM FROM payouts p WHERE p.id = ANY (ids) ORDER BY p.id FOR NO KEY UPDATE;
    PERFORM pg_advisory_xact_lock_shared(partner_fence(), hashtext(o.partner))
        FROM (SELECT DISTINCT p.partner COLLATE "C" AS partner FROM payouts p WHERE p.id = ANY (ids) ORDER BY 1) o;
    RETURN QUERY
    WITH asked AS (
        SELECT n.*, decode(n.hash, 'base64') AS frozen_hash,
               this_moment + make_interval(secs => n.answer_s) AS until
        FROM json_to_recordset(intents)
             AS n (payout bigint, before text, after text, attempt int, hash text, answer_s float8,
                   proved_after timestamptz, not_after timestamptz, last_heard bigint))
    UPDATE payouts p SET state = a.after, attempt = a.attempt, frozen_hash = a.frozen_hash,
        first_sent_at = coalesce(p.first_sent_at, this_moment), sent_at = this_moment, sent_deadline = a.until,
        looks = CASE WHEN a.before = a.after THEN p.looks + 1 ELSE 0 END,
        next_at = NULL, lease_until = NULL, updated_at = this_moment
    FROM asked a, participants t, links l, incentives i
    WHERE p.id = a.payout AND p.id = ANY (ids)             -- by these the planner expects few rows, whatever the other conditions
      AND p.state = a.before AND p.leased_by = by_worker AND p.lease_until > this_moment
      AND (p.first_sent_at IS NULL OR p.frozen_hash = a.frozen_hash)
      AND t.id = p.participant AND l.id = p.link_id AND i.id = p.incentive
      AND (a.before = 'preparing' OR (
          t.link_id = p.link_id AND t.link_active AND t.verified AND t.verified_until > this_moment AND l.state = 'active'
          AND (a.proved_after IS NULL OR l.proved_at > a.proved_after)
          AND i.payout = 'open' AND i.approved AND NOT i.cancelled AND NOT i.past_deadline
          AND i.due_on <= today AND i.deadline_on >= today
          AND NOT EXISTS (SELECT FROM incentives c WHERE c.cancelled AND c.payout = 'succeeded'
                          AND (c.nik_index, c.programme, c.purpose, c.period) = (i.nik_index, i.programme, i.purpose, i.period))
          AND NOT EXISTS (SELECT FROM partner_switches s WHERE s.partner = p.partner AND s.paused_at IS NOT NULL)
          AND NOT EXISTS (SELECT FROM strays s WHERE s.partner = p.partner AND s.account_index = l.account_index
                          AND s.settled_at IS NULL)))
      AND NOT EXISTS (SELECT FROM recoveries r WHERE r.partner = p.partner AND r.released_at IS NULL)
      AND (a.not_after IS NULL OR a.until <= a.not_after)
      AND (a.last_heard IS NULL
           OR NOT EXISTS (SELECT FROM observations o WHERE o.payout = p.id AND o.id > a.last_heard))
    RETURNING p.id, p.sent_deadline,
        -- what two people approved, but for the account, which whoever pays it knows; null where the rows disagree
        CASE WHEN (p.participant, p.partner, p.amount_rupiah) = (i.participant, i.partner, i.amount_rupiah)
              AND (t.participant_id, t.nik_index, t.partner, t.account_index)
                  = (i.participant_id, i.nik_index, p.partner, l.account_index)
             THEN concat_ws(E'\x1f', i.programme, i.purpose, i.period, i.participant_id, encode(i.nik_index, 'hex'), i.partner,
                            i.amount_rupiah, to_char(i.due_on, 'YYYY-MM-DD'), to_char(i.deadline_on, 'YYYY-MM-DD')) END,
        i.digest;
END $$;

-- Whatever stops payouts takes the fence as its last lock, at its commit, and tells the workers: what has not left must not leave. In
-- deferred triggers, so that no caller can take it too early or forget it.
CREATE FUNCTION stop_payouts(partner text, those text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(partner_fence(), hashtext(partner)), pg_notify('gateway_stop', those);
END $$;
CREATE FUNCTION stop_at_partner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM stop_payouts(NEW.partner, TG_ARGV[0] || NEW.partner); RETURN NULL; END $$;
CREATE FUNCTION stop_of_participant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM stop_payouts(OLD.partner, 'link:' || OLD.link_id); RETURN NULL; END $$;
CREATE FUNCTION stop_over_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM stop_payouts(NEW.partner, 'link:' || NEW.id); RETURN NULL; END $$;
CREATE FUNCTION stop_of_incentive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM stop_payouts(NEW.partner, 'incentive:' || NEW.id); RETURN NULL; END $$;

CREATE CONSTRAINT TRIGGER partner_switches_stop AFTER INSERT OR UPDATE ON partner_switches DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.paused_at IS NOT NULL) EXECUTE FUNCTION stop_at_partner('partner:');
CREATE CONSTRAINT TRIGGER recoveries_stop AFTER INSERT OR UPDATE ON recoveries DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.released_at IS NULL) EXECUTE FUNCTION stop_at_partner('recovery:');
CREATE CONSTRAINT TRIGGER participants_stop AFTER UPDATE OF link_id, link_active, verified ON participants DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.link_active AND OLD.verified
                       AND (NEW.link_active, NEW.verified, NEW.link_id) IS DISTINCT FROM (true, true, OLD.link_id))
    EXECUTE FUNCTION stop_of_participant();
CREATE CONSTRAINT TRIGGER links_stop AFTER UPDATE OF state ON links DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.state = 'active' AND NEW.state <> 'active') EXECUTE FUNCTION stop_over_link();
CREATE CONSTRAINT TRIGGER incentives_stop AFTER UPDATE OF approved, cancelled ON incentives DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.payout = 'open' AND ((OLD.approved AND NOT NEW.approved) OR (NEW.cancelled AND NOT OLD.cancelled)))
    EXECUTE FUNCTION stop_of_incentive();
