-- A partner's own words beside its code, for staff: cut, on one line, and without what names a person.
ALTER TABLE observations ADD COLUMN detail text;

-- What staff must read about a refusal is answered once the refusal no longer stands in the way, by whatever way.
CREATE INDEX cases_open_of ON cases (incentive) WHERE closed_at IS NULL;
CREATE FUNCTION answer_refusal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cases SET closed_at = NEW.facts_at, closed_by = 'gateway'
    WHERE incentive = NEW.id AND code = 'partner_rejected' AND closed_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER incentives_answer_refusal AFTER UPDATE OF own, cancelled ON incentives FOR EACH ROW
    WHEN (OLD.own = 'partner_rejected' AND (NEW.own IS DISTINCT FROM OLD.own OR NEW.cancelled AND NOT OLD.cancelled))
    EXECUTE FUNCTION answer_refusal();
