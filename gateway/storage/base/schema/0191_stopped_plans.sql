-- An approved plan may be stopped as a whole: nobody is entitled under it any more, and its batches are stopped.
ALTER TABLE plans DROP CONSTRAINT plans_state_check;
ALTER TABLE plans ADD CONSTRAINT plans_state_check CHECK (state IN ('awaiting_approval', 'approved', 'rejected', 'expired', 'stopped'));
CREATE INDEX batches_of_plan ON batches (plan_id, id) WHERE plan_id IS NOT NULL;
