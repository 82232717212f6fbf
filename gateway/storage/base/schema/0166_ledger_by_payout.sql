-- The movements of a payout are found by it, never one by its own number: an index less for each of the two that a payout has.
ALTER TABLE ledger DROP CONSTRAINT ledger_pkey;
