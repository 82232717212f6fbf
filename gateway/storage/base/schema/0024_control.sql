-- A batch of which nothing was accepted, one that nobody approved in time, one that was stopped; what its approvers should see.
ALTER TABLE batches DROP CONSTRAINT batches_state_check;
ALTER TABLE batches ADD CONSTRAINT batches_state_check
    CHECK (state IN ('awaiting_approval', 'approved', 'rejected', 'empty', 'expired', 'stopped'));
ALTER TABLE batches
    ADD COLUMN content_key_sealed bytea,                -- key of the content root; null: made before it had one of its own
    ADD COLUMN partners text NOT NULL DEFAULT '[]',     -- JSON: rows and amount at each partner, as handed over
    ADD COLUMN warnings text NOT NULL DEFAULT '[]';     -- JSON: what is odd about it
UPDATE batches b SET partners = s.partners FROM (
    SELECT batch_id, json_agg(json_build_object('partner', partner, 'rows', n, 'amount_rupiah', amount) ORDER BY partner)::text
        AS partners
    FROM (SELECT batch_id, partner, count(*) AS n, sum(amount_rupiah) AS amount FROM incentives GROUP BY 1, 2) AS sums
    GROUP BY batch_id) AS s WHERE s.batch_id = b.id;
CREATE INDEX batches_state ON batches (state, received_at, id);
CREATE INDEX batches_received ON batches (received_at, id);

CREATE TABLE usual_amounts (
    -- What was approved so far: an amount that is not among these is odd.
    programme          text COLLATE "C" NOT NULL,
    purpose            text COLLATE "C" NOT NULL,
    amount_rupiah      bigint NOT NULL,
    incentives         bigint NOT NULL,
    PRIMARY KEY (programme, purpose, amount_rupiah)
);
INSERT INTO usual_amounts
    SELECT programme, purpose, amount_rupiah, count(*) FROM incentives WHERE approved GROUP BY 1, 2, 3;

-- What a client decided is never changed: it may take it back, and the last word counts.
ALTER TABLE approvals DROP CONSTRAINT approvals_pkey;
ALTER TABLE approvals DROP CONSTRAINT approvals_decision_check;
ALTER TABLE approvals
    ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ADD CONSTRAINT approvals_decision_check CHECK (decision IN ('approve', 'reject', 'withdraw'));
CREATE INDEX approvals_batch ON approvals (batch_id, client_id, seq);
