-- What becomes of a credit that cannot be matched is decided by two people: the first one's word is kept until the second one's.

ALTER TABLE strays
    ADD COLUMN proposed_by  text,
    ADD COLUMN proposed_for bigint REFERENCES incentives;   -- null: nothing of ours
