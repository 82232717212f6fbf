-- A refusal is asked about again by itself: half an hour later, after a day, a week and a month (contracts/brake.py).

ALTER TABLE refusals ADD COLUMN looks integer NOT NULL DEFAULT 0;   -- how often this person was asked about again for it
ALTER TABLE refusals ADD COLUMN next_look_at timestamptz;
CREATE INDEX refusals_look ON refusals (next_look_at) WHERE next_look_at IS NOT NULL;
