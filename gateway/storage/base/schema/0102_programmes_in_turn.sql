-- What is due is claimed programme by programme, in equal shares (storage/payouts/queue.py): each one's first rows are found at once, however
-- many of another stand before them. It serves for what the former index served for: all of a partner, and up to a day.
CREATE INDEX incentives_ready_in_turn ON incentives (partner, programme, due_on, id) WHERE stage = 'scheduled' AND blocker IS NULL;
DROP INDEX incentives_ready;
