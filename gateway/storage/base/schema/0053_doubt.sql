-- A partner's word that would end a link is believed once it still says so a day later; until then the link is in doubt.

ALTER TABLE links ADD COLUMN doubted_at timestamptz;       -- since when the partner refuses its token; null: it does not
ALTER TABLE refusals DROP CONSTRAINT refusals_stage_check;
ALTER TABLE refusals ADD CONSTRAINT refusals_stage_check CHECK (stage IN ('proof', 'verify', 'payout'));
CREATE INDEX refusals_looks_of ON refusals (participant) WHERE next_look_at IS NOT NULL;
