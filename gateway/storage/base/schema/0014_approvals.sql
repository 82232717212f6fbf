-- An approval is of a row, its person and its account, and lapses with any of them (ADR 13 and docs/runbook.md).

-- Since when the approval, given or still to be given, no longer holds: two people approve what stands there now, in a batch of their own.
ALTER TABLE incentives ADD COLUMN lapsed_at timestamptz;
CREATE INDEX incentives_lapsed ON incentives (id) WHERE lapsed_at IS NOT NULL;
ALTER TABLE batches ADD COLUMN reapproval boolean NOT NULL DEFAULT false;

CREATE TABLE reapprovals (
    -- What a batch of lapsed incentives puts up for approval: each row's digest, of the moment of its `lapsed_at`.
    batch_id           text NOT NULL REFERENCES batches,
    line               integer NOT NULL,
    incentive          bigint NOT NULL REFERENCES incentives,
    digest             bytea NOT NULL,
    lapsed_at          timestamptz NOT NULL,
    PRIMARY KEY (batch_id, line)
);
CREATE INDEX reapprovals_incentive ON reapprovals (incentive);

-- Nobody can vouch for approvals that were given before there were digests.
UPDATE incentives SET approved = false, lapsed_at = now()
    WHERE digest IS NULL AND NOT cancelled AND (payout IS NULL OR payout <> 'succeeded');

-- What was decided, heard and told stays as it was written, as the ledger does.
CREATE TRIGGER approvals_stay BEFORE UPDATE OR DELETE ON approvals FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER reapprovals_stay BEFORE UPDATE OR DELETE ON reapprovals FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER observations_stay BEFORE UPDATE OR DELETE ON observations FOR EACH ROW EXECUTE FUNCTION refuse();
