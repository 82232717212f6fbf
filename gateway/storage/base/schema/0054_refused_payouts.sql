-- A payout that was refused is tried again by itself, as a new one: how often that was decided for its incentive.
ALTER TABLE incentives ADD COLUMN looks integer NOT NULL DEFAULT 0;
