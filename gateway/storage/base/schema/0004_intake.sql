-- A cancelled incentive frees its key: the same instalment may be handed over again, corrected. So may every row of a rejected batch.
ALTER TABLE incentives DROP CONSTRAINT incentives_programme_purpose_period_participant_id_key;
ALTER TABLE incentives DROP CONSTRAINT incentives_one_per_nik;

-- Compared byte by byte whatever the database's locale: that is what equality means here, and sorting by a language's rules costs.
ALTER TABLE participants ALTER participant_id TYPE text COLLATE "C";
ALTER TABLE incentives ALTER programme TYPE text COLLATE "C", ALTER purpose TYPE text COLLATE "C",
                       ALTER period TYPE text COLLATE "C", ALTER participant_id TYPE text COLLATE "C";

-- What tells most apart stands first: most comparisons end there.
CREATE UNIQUE INDEX incentives_one_per_participant ON incentives (participant_id, programme, purpose, period) WHERE NOT cancelled;
CREATE UNIQUE INDEX incentives_one_per_nik ON incentives (nik_index, programme, purpose, period) WHERE NOT cancelled;

-- Where an incentive belongs is written once, when a batch is moved in: checked for all new rows at once, which costs a tenth of a
-- check for each. Participants and batches are never deleted.
ALTER TABLE incentives DROP CONSTRAINT incentives_batch_id_fkey;
ALTER TABLE incentives DROP CONSTRAINT incentives_participant_fkey;
CREATE FUNCTION check_belonging() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM after_rows r WHERE NOT EXISTS (SELECT FROM participants p WHERE p.id = r.participant))
       OR EXISTS (SELECT FROM (SELECT DISTINCT batch_id FROM after_rows) r
                  WHERE NOT EXISTS (SELECT FROM batches b WHERE b.id = r.batch_id)) THEN
        RAISE foreign_key_violation USING MESSAGE = 'an incentive belongs to a participant and a batch';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER incentives_belong AFTER INSERT ON incentives
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION check_belonging();
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE restrict_violation USING MESSAGE = format('%s: not allowed on %s', TG_OP, TG_TABLE_NAME);
END $$;
CREATE TRIGGER participants_stay BEFORE DELETE ON participants FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER batches_stay BEFORE DELETE ON batches FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER incentives_stay_where_they_belong BEFORE UPDATE OF participant, batch_id ON incentives
    FOR EACH ROW EXECUTE FUNCTION refuse();

-- The funnel shows refused rows beside the stages, by programme as far as the row could be read.
ALTER TABLE batch_errors ADD COLUMN programme text;
CREATE INDEX batch_errors_code ON batch_errors (programme, code);
