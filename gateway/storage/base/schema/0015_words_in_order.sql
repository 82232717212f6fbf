-- A partner's word carries the partner's own time, by which words are put in order, and what is peculiar about a refusal.
ALTER TABLE observations ADD COLUMN said_at timestamptz, ADD COLUMN refusal text;

-- A refusal that settles nothing by itself: statements read from then on show whether it moved money.
ALTER TABLE payouts ADD COLUMN statements_from timestamptz;
CREATE INDEX payouts_statements_decide ON payouts (partner, id) WHERE statements_from IS NOT NULL;
