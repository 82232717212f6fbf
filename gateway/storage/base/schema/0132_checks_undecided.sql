-- Checks that have had no verdict for long are looked for by age; among all that are open they would be walked through each minute.
CREATE INDEX verifications_open_since ON verifications (created_at) WHERE state = 'open';
