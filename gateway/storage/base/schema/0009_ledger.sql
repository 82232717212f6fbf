-- The database itself refuses a movement that would put the ledger out of step with its payouts (ADR 11).

-- Which accounts a movement takes from and gives to is its kind's; an amount leaves `reserved` once, settled or released.
ALTER TABLE ledger ADD CONSTRAINT ledger_accounts CHECK ((kind, debit, credit) IN (
    ('reserve', 'reserved', 'float'), ('settle', 'paid', 'reserved'), ('release', 'float', 'reserved'),
    ('return', 'float', 'paid'), ('settle_late', 'paid', 'float')));
CREATE UNIQUE INDEX ledger_once ON ledger (payout, (CASE kind
    WHEN 'reserve' THEN 0 WHEN 'settle' THEN 1 WHEN 'release' THEN 1 WHEN 'settle_late' THEN 2 ELSE 3 END));
ALTER TABLE ledger DROP CONSTRAINT ledger_payout_kind_key;

-- Once a statement: each movement is of its payout's partner and amount, and belongs to the state that the payout has by then.
-- In the place of the foreign key, which asked once a row, and for less.
ALTER TABLE ledger DROP CONSTRAINT ledger_payout_fkey;
CREATE FUNCTION check_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM after_rows r LEFT JOIN payouts p ON p.id = r.payout
               WHERE p.id IS NULL OR p.partner <> r.partner OR p.amount_rupiah <> r.amount_rupiah OR CASE r.kind
                   WHEN 'reserve' THEN false
                   WHEN 'release' THEN p.state NOT IN ('rejected', 'cancelled')
                   WHEN 'return' THEN p.state <> 'reversed'
                   ELSE p.state NOT IN ('succeeded', 'reversed') END) THEN
        RAISE integrity_constraint_violation USING MESSAGE = 'a movement of the ledger that its payout does not bear out';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_borne_out AFTER INSERT ON ledger
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION check_ledger();
CREATE TRIGGER ledger_stays BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER payouts_stay BEFORE DELETE ON payouts FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER payouts_stay_as_they_are BEFORE UPDATE OF id, partner, amount_rupiah ON payouts
    FOR EACH ROW EXECUTE FUNCTION refuse();
