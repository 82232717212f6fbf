-- A batch most of whose people are refused while others at the same partner are not: its columns are wrong, say.
ALTER TABLE batches ADD COLUMN doubted_at timestamptz;
ALTER TABLE batches ADD COLUMN doubt text;         -- JSON of contracts.batch.BatchDoubt, as counted last
CREATE INDEX batches_doubted ON batches (doubted_at) WHERE doubted_at IS NOT NULL;
