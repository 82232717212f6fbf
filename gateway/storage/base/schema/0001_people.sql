-- Clients of the API, participants, account links, verifications, and who owns an account.
-- Every time is passed in by the gateway's clock; nothing here asks the server's. Sealed columns (`*_sealed`) are AES-GCM with a key id,
-- `*_index` are keyed hashes for equality.

CREATE SEQUENCE id_serial;

CREATE FUNCTION new_id(at timestamptz) RETURNS bigint LANGUAGE sql AS
-- 17 digits, ordered by time: milliseconds, then four of a sequence. A restored database repeats the sequence but not the time.
-- Not for more than 10,000 rows in one statement.
$$ SELECT floor(extract(epoch FROM at) * 1000)::bigint * 10000 + nextval('id_serial') % 10000 $$;

CREATE TABLE clients (
    id            text PRIMARY KEY,
    name          text NOT NULL,
    secret_hash   bytea NOT NULL,
    scopes        text[] NOT NULL,
    return_urls   text[] NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL,
    disabled_at   timestamptz
);

CREATE TABLE access_tokens (
    token_hash    bytea PRIMARY KEY,
    client_id     text NOT NULL REFERENCES clients,
    scopes        text[] NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX access_tokens_expiry ON access_tokens (expires_at);

CREATE TABLE idempotency (
    client_id     text NOT NULL REFERENCES clients,
    key           text NOT NULL,
    fingerprint   bytea NOT NULL,            -- hash of method, path and body
    status        integer,                   -- null while the first request is still running
    answer        bytea,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (client_id, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE TABLE participants (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    participant_id     text NOT NULL UNIQUE,       -- the core platform's own
    nik_sealed         bytea NOT NULL,
    nik_index          bytea NOT NULL,
    name_sealed        bytea NOT NULL,
    phone_sealed       bytea NOT NULL,
    partner            text NOT NULL,
    account_sealed     bytea NOT NULL,
    account_index      bytea NOT NULL,
    -- facts that decide about all of the participant's incentives; a trigger copies them there
    link_id            text,                       -- the current link, live or ended
    link_active        boolean NOT NULL DEFAULT false,
    verified           boolean NOT NULL DEFAULT false,   -- a match for this NIK, link and account, not expired
    verified_until     timestamptz,
    standing           text,                       -- blocker code: how the last link or verification ended
    facts_at           timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    CHECK (NOT verified OR (link_active AND verified_until IS NOT NULL))
);
CREATE INDEX participants_nik ON participants (nik_index);
CREATE INDEX participants_account ON participants (partner, account_index);
CREATE INDEX participants_verified_until ON participants (verified_until) WHERE verified;

CREATE TABLE links (
    id                 text PRIMARY KEY,           -- at most 18 characters
    participant        bigint NOT NULL REFERENCES participants,
    client_id          text NOT NULL REFERENCES clients,
    partner            text NOT NULL,
    account_index      bytea NOT NULL,
    account_sealed     bytea NOT NULL,
    state              text NOT NULL CHECK (state IN ('challenged', 'opened', 'exchanging', 'waiting', 'active',
                                                      'unlinking', 'failed', 'revoked', 'unlinked')),
    challenge_no       integer NOT NULL DEFAULT 1, -- a waiting link that is freed gets a new challenge
    connect_hash       bytea UNIQUE,               -- of the one-time token in /connect/{token}: opens while 'challenged', then shows the page again
    state_hash         bytea UNIQUE,               -- of the OAuth state: taken while 'opened', then shows the result again
    cookie_hash        bytea,                      -- binds the browser that opened the page
    return_url         text NOT NULL,
    opens_until        timestamptz,                -- ten minutes from the challenge
    lives_until        timestamptz,                -- from the opening
    wants              text[] NOT NULL DEFAULT '{}',   -- inputs the form asks for now
    carry_sealed       bytea,
    grant_sealed       bytea,
    grant_index        bytea,                      -- keyed hash of the customer token: notifications name it
    grant_expires_at   timestamptz,
    proved_at          timestamptz,                -- last READ under the customer's token that worked
    health_due_at      timestamptz,                -- a hint arrived: look at the link
    ended_because      text,                       -- blocker code
    last_input_wrong   boolean NOT NULL DEFAULT false,
    answers            integer NOT NULL DEFAULT 0, -- forms sent in, right or wrong; bounded
    refresh_at         timestamptz,                -- when the grant is to be refreshed, some time before its end
    unlink_due_at      timestamptz,                -- next try to give it back; null while the participant must type something
    unlink_tries       integer NOT NULL DEFAULT 0,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL
);
CREATE UNIQUE INDEX links_one_live ON links (participant)
    WHERE state IN ('challenged', 'opened', 'exchanging', 'waiting', 'active', 'unlinking');
CREATE INDEX links_account ON links (partner, account_index, state);
CREATE INDEX links_grant ON links (partner, grant_index) WHERE grant_index IS NOT NULL;
CREATE INDEX links_opens ON links (opens_until) WHERE state = 'challenged';
CREATE INDEX links_lives ON links (lives_until) WHERE state IN ('opened', 'exchanging');
CREATE INDEX links_health ON links (health_due_at) WHERE health_due_at IS NOT NULL;
CREATE INDEX links_refresh ON links (refresh_at) WHERE state = 'active' AND refresh_at IS NOT NULL;
CREATE INDEX links_waiting ON links (partner, account_index, created_at) WHERE state = 'waiting';
CREATE INDEX links_unlinking ON links (unlink_due_at) WHERE state = 'unlinking';

CREATE TABLE verifications (
    id                 bigint PRIMARY KEY,
    participant        bigint NOT NULL REFERENCES participants,
    link_id            text NOT NULL REFERENCES links,
    nik_index          bytea NOT NULL,
    state              text NOT NULL CHECK (state IN ('open', 'decided', 'dropped')),
    verdict            text,
    partner_code       text,
    tries              integer NOT NULL DEFAULT 0,
    next_attempt_at    timestamptz,
    lease_until        timestamptz,
    decided_at         timestamptz,
    expires_at         timestamptz,
    created_at         timestamptz NOT NULL
);
CREATE UNIQUE INDEX verifications_one_open ON verifications (link_id) WHERE state = 'open';
CREATE INDEX verifications_due ON verifications (next_attempt_at) WHERE state = 'open';
CREATE INDEX verifications_participant ON verifications (participant, id);

CREATE TABLE account_owners (
    -- An account belongs to the participant whose NIK matched it; one (partner, account) serves one NIK.
    partner            text NOT NULL,
    account_index      bytea NOT NULL,
    nik_index          bytea NOT NULL,
    participant        bigint NOT NULL REFERENCES participants,
    since              timestamptz NOT NULL,
    PRIMARY KEY (partner, account_index)
);
