-- Events and their outbox, the inbox of notifications, partners' switches, statements read, the journal of exchanges.

CREATE TABLE events (
    seq                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tx                 xid8 NOT NULL DEFAULT pg_current_xact_id(),   -- readers page by (tx, seq) below the oldest running transaction
    type               text NOT NULL,
    subject            text NOT NULL,
    data               jsonb NOT NULL,             -- no personal data
    at                 timestamptz NOT NULL
);
CREATE INDEX events_order ON events (tx, seq);

CREATE TABLE webhook_endpoints (
    id                 text PRIMARY KEY,
    client_id          text NOT NULL REFERENCES clients,
    url                text NOT NULL,
    secret_sealed      bytea NOT NULL,
    types              text[] NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL,
    disabled_at        timestamptz
);

CREATE TABLE outbox (
    event              bigint PRIMARY KEY REFERENCES events,
    at                 timestamptz NOT NULL,
    fanned_out_at      timestamptz
);
CREATE INDEX outbox_waiting ON outbox (event) WHERE fanned_out_at IS NULL;

CREATE FUNCTION event_to_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (event, at) SELECT seq, at FROM new_events;
    RETURN NULL;
END $$;
CREATE TRIGGER events_outbox AFTER INSERT ON events
    REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION event_to_outbox();

CREATE TABLE inbox (
    -- Verified notifications exactly as received, sealed; answered once stored, applied afterwards, each event once.
    id                 bigint PRIMARY KEY,
    partner            text NOT NULL,
    kind               text NOT NULL,
    event_key          text NOT NULL,
    raw_sealed         bytea NOT NULL,
    received_at        timestamptz NOT NULL,
    next_attempt_at    timestamptz,                -- null once applied
    tries              integer NOT NULL DEFAULT 0,
    applied_at         timestamptz,
    result             text,
    UNIQUE (partner, kind, event_key)
);
CREATE INDEX inbox_waiting ON inbox (next_attempt_at) WHERE applied_at IS NULL;

CREATE TABLE partner_switches (
    partner            text PRIMARY KEY,
    paused_at          timestamptz,
    paused_by          text,
    reason             text
);

CREATE TABLE statement_reads (
    partner            text NOT NULL,
    day                date NOT NULL,              -- Asia/Jakarta
    started_at         timestamptz NOT NULL,
    finished_at        timestamptz NOT NULL,
    lines              integer NOT NULL,
    unknown_lines      integer NOT NULL,           -- credits with a reference that is not ours
    PRIMARY KEY (partner, day, started_at)
);

CREATE TABLE exchanges (
    -- The journal: each HTTP exchange with a partner, without bodies, headers or query.
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at                 timestamptz NOT NULL,
    partner            text NOT NULL,
    operation          text NOT NULL,
    effect             text NOT NULL,
    subject            text NOT NULL,              -- payout, link or verification id
    status             integer,                    -- HTTP status; null: no answer
    error              text,                       -- class of the transport error
    left_us            boolean NOT NULL,
    took_ms            integer NOT NULL
);
CREATE INDEX exchanges_subject ON exchanges (subject, id);

CREATE TABLE audit_log (
    -- Who decided what: clients, approvals, pauses, releases. Append only.
    seq                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at                 timestamptz NOT NULL,
    actor              text NOT NULL,
    action             text NOT NULL,
    subject            text NOT NULL,
    data               jsonb NOT NULL
);
