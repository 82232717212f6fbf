-- Reconciliations: one partner's statement of one Jakarta day against payouts, ledger and instructions. Append only.

CREATE TABLE reconciliations (
    id                 bigint PRIMARY KEY,         -- new_id()
    partner            text NOT NULL,
    day                date NOT NULL,              -- Asia/Jakarta
    requested_by       text NOT NULL,
    started_at         timestamptz NOT NULL,
    finished_at        timestamptz,
    state              text NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    failure            text,                       -- class of the error
    complete           boolean,                    -- the statement was read to its end
    breaks             integer,
    totals             jsonb
);
CREATE INDEX reconciliations_day ON reconciliations (partner, day, started_at);

CREATE TABLE reconciliation_breaks (
    reconciliation     bigint NOT NULL REFERENCES reconciliations,
    n                  integer NOT NULL,
    class              text NOT NULL,
    line               integer,                    -- of the statement, counted from 1
    payout             bigint,
    incentive          bigint,
    reference          text,                       -- only ours: another one may be anybody's text
    partner_reference  text,
    there_rupiah       bigint,
    here_rupiah        bigint,
    booked_at          timestamptz,
    detail             text NOT NULL,
    PRIMARY KEY (reconciliation, n)
);

CREATE FUNCTION keep_reconciliation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'running' THEN
        RETURN NEW;
    END IF;
    RAISE restrict_violation USING MESSAGE = 'a finished reconciliation stays as it is';
END $$;
CREATE TRIGGER reconciliations_stay BEFORE UPDATE ON reconciliations FOR EACH ROW EXECUTE FUNCTION keep_reconciliation();
CREATE TRIGGER reconciliations_are_kept BEFORE DELETE ON reconciliations FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER reconciliation_breaks_are_kept BEFORE UPDATE OR DELETE ON reconciliation_breaks
    FOR EACH ROW EXECUTE FUNCTION refuse();
