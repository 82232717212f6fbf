-- People who sign in at /ops, their sessions, and how the backlog shrank over time.

CREATE TABLE operators (
    -- A person is a client too (same id): what they decide is recorded and checked as every client's decision is.
    client_id          text PRIMARY KEY REFERENCES clients,
    password_hash      text NOT NULL,              -- Argon2id, as a PHC string
    totp_sealed        bytea NOT NULL,
    totp_step          bigint NOT NULL DEFAULT 0,  -- the last time step whose code was taken: none counts twice
    roles              text[] NOT NULL,
    failures           integer NOT NULL DEFAULT 0, -- in a row
    locked_until       timestamptz,
    created_at         timestamptz NOT NULL
);

CREATE TABLE operator_sessions (
    token_hash         bytea PRIMARY KEY,
    client_id          text NOT NULL REFERENCES operators,
    created_at         timestamptz NOT NULL,
    seen_at            timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL        -- whatever is done meanwhile
);
CREATE INDEX operator_sessions_expiry ON operator_sessions (expires_at);

CREATE TABLE backlog_samples (
    -- What was still to be done, minute by minute: the burn-down and its forecast are drawn from it.
    at                 timestamptz NOT NULL,
    partner            text NOT NULL,
    stage              text NOT NULL,
    due                bigint NOT NULL,            -- incentives in the stage that are approved, due and not blocked by a person
    blocked            bigint NOT NULL,            -- those that wait for somebody
    ended              bigint NOT NULL,            -- that have left the stage for good so far: paid, returned or cancelled
    PRIMARY KEY (at, partner, stage)
);

CREATE INDEX exchanges_at ON exchanges USING brin (at);   -- rates and latencies of the last minutes, at no cost for writers
