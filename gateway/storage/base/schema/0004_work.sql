-- What is due first is paid first, and what is not due yet is never walked over: the queue of incentives in order of their due date.
DROP INDEX incentives_ready;
CREATE INDEX incentives_ready ON incentives (partner, due_on, id) WHERE stage = 'scheduled' AND blocker IS NULL;
