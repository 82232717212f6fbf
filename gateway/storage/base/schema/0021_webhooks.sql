-- Webhooks: each endpoint has a place in the events, in whose order it is called; only what was not delivered has a row.
ALTER TABLE webhook_endpoints
    ADD COLUMN old_secret_sealed bytea,            -- signs beside the new one until `old_until`
    ADD COLUMN old_until      timestamptz,
    ADD COLUMN disabled_because text CHECK (disabled_because IN ('failing', 'gone')),
    ADD COLUMN tx             xid8 NOT NULL DEFAULT '0',   -- the last event that was taken up
    ADD COLUMN seq            bigint NOT NULL DEFAULT 0,
    ADD COLUMN replay_tx      xid8,                -- a range that is gone through again: the last one taken up, and the last one wanted
    ADD COLUMN replay_seq     bigint,
    ADD COLUMN until_tx       xid8,
    ADD COLUMN until_seq      bigint,
    ADD COLUMN failing_since  timestamptz,         -- of the first failure after which nothing was delivered any more
    ADD COLUMN failures       integer NOT NULL DEFAULT 0,
    ADD COLUMN last_error     text,
    ADD COLUMN next_at        timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN lease_until    timestamptz,
    ADD COLUMN leased_by      text;
CREATE INDEX webhook_endpoints_client ON webhook_endpoints (client_id, id);

CREATE TABLE webhook_deliveries (
    -- An event that an endpoint has not taken yet, or that waits behind one of its subject: delivered, its row is gone.
    endpoint       text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    tx             xid8 NOT NULL,
    seq            bigint NOT NULL,
    subject        text NOT NULL,
    tries          integer NOT NULL,
    since          timestamptz NOT NULL,
    next_at        timestamptz NOT NULL,
    dead_at        timestamptz,                    -- given up: a dead letter, delivered again only when asked
    error          text,
    PRIMARY KEY (endpoint, tx, seq)
);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (endpoint, subject, tx, seq) WHERE dead_at IS NULL;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint, next_at) WHERE dead_at IS NULL;
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (dead_at) WHERE dead_at IS NOT NULL;
