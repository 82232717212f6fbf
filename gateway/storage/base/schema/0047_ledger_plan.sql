-- Each movement looks its payout up by itself, whatever the planner believes: with statistics of an empty table (after a
-- restore, say) it read all payouts for every group of movements, and the more the longer.
CREATE OR REPLACE FUNCTION check_ledger() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    -- OFFSET 0: the look-up stays a look-up, and is not joined with the movements in some other way.
    IF EXISTS (SELECT FROM after_rows r
               LEFT JOIN LATERAL (SELECT * FROM payouts WHERE id = r.payout OFFSET 0) p ON true
               WHERE p.id IS NULL OR p.partner <> r.partner OR p.amount_rupiah <> r.amount_rupiah OR CASE r.kind
                   WHEN 'reserve' THEN false
                   WHEN 'release' THEN p.state NOT IN ('rejected', 'cancelled')
                   WHEN 'return' THEN p.state <> 'reversed'
                   ELSE p.state NOT IN ('succeeded', 'reversed') END) THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'a movement of the ledger that its payout does not bear out';
    END IF;
    RETURN NULL;
END $$;
