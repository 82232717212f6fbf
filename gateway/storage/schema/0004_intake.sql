-- A cancelled incentive frees its key: the same instalment may be handed over again, corrected. So may every row of a rejected batch.
ALTER TABLE incentives DROP CONSTRAINT incentives_programme_purpose_period_participant_id_key;
ALTER TABLE incentives DROP CONSTRAINT incentives_one_per_nik;
CREATE UNIQUE INDEX incentives_one_per_participant ON incentives (programme, purpose, period, participant_id) WHERE NOT cancelled;
CREATE UNIQUE INDEX incentives_one_per_nik ON incentives (programme, purpose, period, nik_index) WHERE NOT cancelled;
CREATE INDEX incentives_participant_id ON incentives (participant_id, id);

-- The funnel shows refused rows beside the stages, by programme as far as the row could be read.
ALTER TABLE batch_errors ADD COLUMN programme text;
CREATE INDEX batch_errors_code ON batch_errors (programme, code);
