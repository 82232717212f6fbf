-- Which of the gateway's own comparisons have come to their end: with staff told of what they found. A process that dies in between leaves the
-- day to be compared again.
CREATE TABLE reconciliations_told (reconciliation bigint PRIMARY KEY REFERENCES reconciliations);
INSERT INTO reconciliations_told SELECT id FROM reconciliations WHERE requested_by = 'gateway' AND state <> 'running';

-- A payment that was refused may turn out made after the person was erased: the mark of such an instalment is left too, and counts once it is paid.
ALTER TABLE erased_instalments DROP CONSTRAINT erased_instalments_pkey;
ALTER TABLE erased_instalments ADD COLUMN incentive bigint;
CREATE UNIQUE INDEX erased_instalments_once ON erased_instalments (mark, (coalesce(incentive, 0)));
CREATE VIEW erased_and_paid AS SELECT e.mark FROM erased_instalments e
    WHERE e.incentive IS NULL OR EXISTS (SELECT FROM incentives i WHERE i.id = e.incentive AND i.payout = 'succeeded');
