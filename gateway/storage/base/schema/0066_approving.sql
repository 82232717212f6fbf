-- An approval is given in a moment whatever the number of rows: the first ones are marked with it, the others by a job, piece by piece
-- (docs/adr/0031). Up to which line a batch's rows have been marked; null: nothing is left to mark.
ALTER TABLE batches ADD COLUMN marked_to integer;
CREATE INDEX batches_to_mark ON batches (decided_at) WHERE marked_to IS NOT NULL;
