-- Each credit that may be a payout in doubt is kept, not the first alone: once it is known whose that one is, the others may be it still.
ALTER TABLE lookalikes DROP CONSTRAINT lookalikes_pkey;
CREATE UNIQUE INDEX lookalikes_each ON lookalikes (payout, day, booked_at, coalesce(reference, ''));
CREATE INDEX lookalikes_of_reference ON lookalikes (reference) WHERE reference IS NOT NULL;
