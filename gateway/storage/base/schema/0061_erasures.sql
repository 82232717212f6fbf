-- A person's data are erased on the word of two people; what became of the money stays, and whose it was is then the core platform's id alone.
CREATE TABLE erasures (
    participant        bigint PRIMARY KEY REFERENCES participants,
    asked_by           text NOT NULL REFERENCES clients,
    asked_at           timestamptz NOT NULL,
    confirmed_by       text REFERENCES clients,
    erased_at          timestamptz,
    CHECK ((confirmed_by IS NULL) = (erased_at IS NULL) AND confirmed_by IS DISTINCT FROM asked_by)
);
CREATE TRIGGER erasures_stay BEFORE UPDATE OR DELETE ON erasures FOR EACH ROW WHEN (OLD.erased_at IS NOT NULL) EXECUTE FUNCTION refuse();

CREATE FUNCTION refuse_but_erase() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('gateway.erasing', true) IS DISTINCT FROM 'on' THEN
        RAISE restrict_violation USING MESSAGE = format('%s: not allowed on %s', TG_OP, TG_TABLE_NAME);
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER account_proofs_stay ON account_proofs;
CREATE TRIGGER account_proofs_stay BEFORE UPDATE ON account_proofs FOR EACH ROW EXECUTE FUNCTION refuse_but_erase();
CREATE TRIGGER account_proofs_are_kept BEFORE DELETE ON account_proofs FOR EACH ROW EXECUTE FUNCTION refuse();
