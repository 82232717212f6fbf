-- payouts.frozen_hash was a plain hash of what was sent: reference, amount and date stand in the row, so whoever read it could find the account
-- by trying. From now on it is keyed, with one byte before it; those of ended payouts are keyed by the workers' retention, found by this index.
CREATE INDEX payouts_plain_hash ON payouts (id) WHERE octet_length(frozen_hash) = 32 AND ended_at IS NOT NULL;
