-- A check of the NIK of somebody known good, made to find out whether a partner is right that refuses a crowd.
ALTER TABLE verifications ADD COLUMN canary boolean NOT NULL DEFAULT false;
CREATE INDEX verifications_canary ON verifications (participant, created_at) WHERE canary;
CREATE INDEX verifications_canary_spared ON verifications (partner, decided_at) WHERE canary AND state = 'dropped';
