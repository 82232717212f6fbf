-- A payout is of its incentive's participant, and over a link that there is: asked once a statement, in the place of three foreign keys
-- that asked once a row, and each wrote a lock into the participant's, the incentive's and the link's row for it.
CREATE FUNCTION check_payouts() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    -- OFFSET 0: each look-up stays one by its key, whatever the planner believes (as in check_ledger).
    IF EXISTS (SELECT FROM after_rows r
               LEFT JOIN LATERAL (SELECT participant FROM incentives WHERE id = r.incentive OFFSET 0) i ON true
               LEFT JOIN LATERAL (SELECT id FROM links WHERE id = r.link_id OFFSET 0) l ON true
               WHERE i.participant IS DISTINCT FROM r.participant OR l.id IS NULL) THEN
        RAISE foreign_key_violation USING MESSAGE = 'a payout belongs to an incentive of its participant, and to a link';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payouts_belong AFTER INSERT ON payouts
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION check_payouts();
CREATE TRIGGER payouts_stay_where_they_belong BEFORE UPDATE OF incentive, participant, link_id ON payouts
    FOR EACH ROW EXECUTE FUNCTION refuse();

-- What a payout belongs to stays; its participant did already.
CREATE TRIGGER incentives_stay BEFORE DELETE ON incentives FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER incentives_stay_as_they_are BEFORE UPDATE OF id ON incentives FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER links_stay BEFORE DELETE ON links FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER links_stay_as_they_are BEFORE UPDATE OF id ON links FOR EACH ROW EXECUTE FUNCTION refuse();

ALTER TABLE payouts DROP CONSTRAINT payouts_incentive_fkey, DROP CONSTRAINT payouts_participant_fkey,
    DROP CONSTRAINT payouts_link_id_fkey;
