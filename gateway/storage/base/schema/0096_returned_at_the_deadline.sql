-- What is not paid by its deadline goes back to the treasury: its stage is `returned`, and its blocker says why (`deadline_passed`). One
-- whose payout is on its way is followed to its end, and one that was cancelled stays that.
CREATE FUNCTION incentive_stage(payout text, cancelled boolean, past_deadline boolean, link_active boolean, verified boolean)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE
    WHEN payout = 'reversed' THEN 'returned'
    WHEN payout = 'succeeded' THEN 'paid'
    WHEN payout = 'open' THEN 'paying'
    WHEN cancelled THEN 'cancelled'
    WHEN past_deadline THEN 'returned'
    WHEN NOT link_active THEN 'awaiting_link'
    WHEN NOT verified THEN 'awaiting_verification'
    ELSE 'scheduled' END $$;

-- A rewrite of a table fires no trigger: those that change their place are taken out before it and put in again behind it, so that counters
-- and events follow. Nobody is told of the step between.
LOCK TABLE incentives IN ACCESS EXCLUSIVE MODE;
CREATE TEMP TABLE over_already ON COMMIT DROP AS
    SELECT id FROM incentives WHERE past_deadline AND NOT cancelled AND payout IS NULL;
ALTER TABLE incentives DISABLE TRIGGER incentives_told_updated;
UPDATE incentives SET past_deadline = false WHERE id IN (SELECT id FROM over_already);
ALTER TABLE incentives ENABLE TRIGGER incentives_told_updated;
ALTER TABLE incentives DROP COLUMN stage,
    ADD COLUMN stage text GENERATED ALWAYS AS (incentive_stage(payout, cancelled, past_deadline, link_active, verified)) STORED;
CREATE INDEX incentives_ready ON incentives (partner, due_on, id) WHERE stage = 'scheduled' AND blocker IS NULL;
UPDATE incentives SET past_deadline = true WHERE id IN (SELECT id FROM over_already);
