-- Since when what was counted of a batch in doubt stands: one worker counts it for all.
ALTER TABLE batches ADD COLUMN counted_at timestamptz;
