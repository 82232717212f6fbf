-- A participant of whom nothing but withdrawn hand-overs is known goes to whoever hands them over next: a file that a client of another
-- organisation sent in by mistake, and that was rejected, must not keep its people from their own.
CREATE FUNCTION participant_is_free(who bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (SELECT FROM incentives i WHERE i.participant = who AND (NOT i.cancelled OR i.payout IS NOT NULL OR i.payouts > 0))
        AND NOT EXISTS (SELECT FROM entitlements e WHERE e.participant = who)
        AND NOT EXISTS (SELECT FROM links l WHERE l.participant = who)
        AND NOT EXISTS (SELECT FROM account_proofs a WHERE a.participant = who)
$$;

-- Asked again once the row is locked: what was handed over meanwhile counts.
CREATE FUNCTION participant_stays_theirs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT participant_is_free(OLD.id) THEN
        RAISE EXCEPTION 'participant % is of another organisation', OLD.participant_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER participants_stay_theirs ON participants;
CREATE TRIGGER participants_stay_theirs BEFORE UPDATE OF organisation ON participants FOR EACH ROW
    WHEN (OLD.organisation IS DISTINCT FROM NEW.organisation) EXECUTE FUNCTION participant_stays_theirs();
