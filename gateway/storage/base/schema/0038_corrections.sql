-- A participant's data are corrected by an operation, told as an event; after a payment another NIK is the word of two clients.

ALTER TABLE participants ADD COLUMN corrected_at timestamptz;

-- One client's word on another NIK of somebody who was paid: it counts once a second client says the same.
CREATE TABLE nik_corrections (
    participant        bigint PRIMARY KEY REFERENCES participants,
    nik_index          bytea NOT NULL,
    asked_by           text NOT NULL REFERENCES clients,
    asked_at           timestamptz NOT NULL
);
CREATE INDEX nik_corrections_age ON nik_corrections (asked_at);

CREATE FUNCTION tell_correction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (type, subject, data, at)
    VALUES ('participant.changed', NEW.participant_id, jsonb_build_object('participant_id', NEW.participant_id, 'fields', to_jsonb(array_remove(ARRAY[
        CASE WHEN OLD.nik_index IS DISTINCT FROM NEW.nik_index THEN 'nik' END,
        CASE WHEN OLD.name_index IS DISTINCT FROM NEW.name_index THEN 'full_name' END,
        CASE WHEN OLD.phone_index IS DISTINCT FROM NEW.phone_index THEN 'phone' END,
        CASE WHEN OLD.partner IS DISTINCT FROM NEW.partner THEN 'partner' END,
        CASE WHEN (OLD.partner, OLD.account_index) IS DISTINCT FROM (NEW.partner, NEW.account_index) THEN 'account' END], NULL))),
        coalesce(NEW.corrected_at, NEW.facts_at));
    RETURN NULL;
END $$;
CREATE TRIGGER participants_corrected AFTER UPDATE OF nik_index, name_index, phone_index, partner, account_index ON participants FOR EACH ROW
    WHEN ((OLD.nik_index, OLD.name_index, OLD.phone_index, OLD.partner, OLD.account_index)
          IS DISTINCT FROM (NEW.nik_index, NEW.name_index, NEW.phone_index, NEW.partner, NEW.account_index))
    EXECUTE FUNCTION tell_correction();
