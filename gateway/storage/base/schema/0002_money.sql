-- Batches and approvals, incentives, payouts, what partners said about them, the ledger.

CREATE TABLE batches (
    id                 text PRIMARY KEY,
    client_id          text NOT NULL REFERENCES clients,
    state              text NOT NULL CHECK (state IN ('awaiting_approval', 'approved', 'rejected')),
    single             boolean NOT NULL DEFAULT false,   -- made for one incentive posted by itself
    rows_accepted      integer NOT NULL,
    rows_rejected      integer NOT NULL,
    rows_repeated      integer NOT NULL,
    amount_rupiah      bigint NOT NULL,
    content_root       bytea NOT NULL,             -- Merkle root over the accepted rows; what an approval is bound to
    received_at        timestamptz NOT NULL,
    decided_at         timestamptz
);

CREATE TABLE batch_errors (
    batch_id           text NOT NULL REFERENCES batches,
    line               integer NOT NULL,
    field              text,
    code               text NOT NULL,
    participant_id     text, purpose text, period text,   -- as far as the row could be read; never NIK, name, phone or account
    PRIMARY KEY (batch_id, line)
);

CREATE TABLE approvals (
    batch_id           text NOT NULL REFERENCES batches,
    client_id          text NOT NULL REFERENCES clients,
    decision           text NOT NULL CHECK (decision IN ('approve', 'reject')),
    content_root       bytea NOT NULL,
    at                 timestamptz NOT NULL,
    PRIMARY KEY (batch_id, client_id)
);

CREATE FUNCTION incentive_stage(payout text, cancelled boolean, link_active boolean, verified boolean)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
-- How far an incentive got. A payout on its way is followed to its end whatever else changed.
$$ SELECT CASE
    WHEN payout = 'reversed' THEN 'returned'
    WHEN payout = 'succeeded' THEN 'paid'
    WHEN payout = 'open' THEN 'paying'
    WHEN cancelled THEN 'cancelled'
    WHEN NOT link_active THEN 'awaiting_link'
    WHEN NOT verified THEN 'awaiting_verification'
    ELSE 'scheduled' END $$;

CREATE FUNCTION incentive_blocker(payout text, cancelled boolean, link_active boolean, verified boolean,
                                  past_deadline boolean, approved boolean, standing text, own text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
-- Why it does not go on; null while it moves or simply is not due.
$$ SELECT CASE
    WHEN payout = 'reversed' THEN 'payment_reversed'
    WHEN payout = 'succeeded' THEN CASE WHEN own = 'contradiction' THEN own END
    WHEN payout = 'open' THEN own
    WHEN cancelled THEN NULL
    WHEN past_deadline THEN 'deadline_passed'
    WHEN own IS NOT NULL THEN own
    WHEN NOT (link_active AND verified) AND standing IS NOT NULL THEN standing
    WHEN NOT link_active THEN 'link_required'
    WHEN NOT approved THEN 'approval_missing' END $$;

CREATE TABLE incentives (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id           text NOT NULL REFERENCES batches,
    line               integer NOT NULL,
    programme          text NOT NULL,
    purpose            text NOT NULL,
    period             text NOT NULL,
    participant        bigint NOT NULL REFERENCES participants,
    participant_id     text NOT NULL,
    nik_index          bytea NOT NULL,
    partner            text NOT NULL,
    amount_rupiah      bigint NOT NULL CHECK (amount_rupiah > 0),
    due_on             date NOT NULL,
    deadline_on        date NOT NULL,
    content_hash       bytea NOT NULL,             -- keyed hash of the row as handed over: tells a repeat from a conflict
    -- facts
    approved           boolean NOT NULL DEFAULT false,
    cancelled          boolean NOT NULL DEFAULT false,
    past_deadline      boolean NOT NULL DEFAULT false,
    link_active        boolean NOT NULL,           -- copies of the participant's, kept by a trigger
    verified           boolean NOT NULL,
    standing           text,
    own                text,                       -- blocker met while paying this one
    own_next_at        timestamptz,                -- when the gateway lifts `own` by itself; null: someone must act
    payout             text CHECK (payout IN ('open', 'succeeded', 'reversed')),
    payouts            integer NOT NULL DEFAULT 0, -- how many there have been
    facts_at           timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    -- derived, in the same write as the facts
    stage              text GENERATED ALWAYS AS (incentive_stage(payout, cancelled, link_active, verified)) STORED,
    blocker            text GENERATED ALWAYS AS (incentive_blocker(payout, cancelled, link_active, verified,
                                                                   past_deadline, approved, standing, own)) STORED,
    UNIQUE (programme, purpose, period, participant_id),
    CONSTRAINT incentives_one_per_nik UNIQUE (programme, purpose, period, nik_index)
);
CREATE INDEX incentives_ready ON incentives (partner, id) WHERE stage = 'scheduled' AND blocker IS NULL;
CREATE INDEX incentives_participant ON incentives (participant);
CREATE INDEX incentives_batch ON incentives (batch_id, line);
CREATE INDEX incentives_own ON incentives (own_next_at) WHERE own_next_at IS NOT NULL;
CREATE INDEX incentives_deadline ON incentives (deadline_on)
    WHERE NOT past_deadline AND NOT cancelled AND (payout IS NULL OR payout = 'open');

CREATE FUNCTION copy_participant_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE incentives SET link_active = NEW.link_active, verified = NEW.verified, standing = NEW.standing,
                          facts_at = NEW.facts_at
    WHERE participant = NEW.id
      AND (link_active, verified, standing) IS DISTINCT FROM (NEW.link_active, NEW.verified, NEW.standing);
    RETURN NULL;
END $$;
CREATE TRIGGER participant_facts AFTER UPDATE OF link_active, verified, standing ON participants
    FOR EACH ROW WHEN ((OLD.link_active, OLD.verified, OLD.standing)
                       IS DISTINCT FROM (NEW.link_active, NEW.verified, NEW.standing))
    EXECUTE FUNCTION copy_participant_facts();

CREATE TABLE funnel_counts (
    -- How many incentives are in each stage, in slots so that writers do not queue for one row; a sum over slots is exact in every snapshot.
    programme          text NOT NULL,
    partner            text NOT NULL,
    stage              text NOT NULL,
    blocker            text NOT NULL,              -- '' for none
    slot               integer NOT NULL,
    incentives         bigint NOT NULL,
    amount_rupiah      bigint NOT NULL,
    PRIMARY KEY (programme, partner, stage, blocker, slot)
);

CREATE FUNCTION count_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO funnel_counts AS f
    SELECT programme, partner, stage, coalesce(blocker, ''), pg_backend_pid() % 64, count(*), sum(amount_rupiah)
    FROM after_rows GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (programme, partner, stage, blocker, slot) DO UPDATE
    SET incentives = f.incentives + excluded.incentives, amount_rupiah = f.amount_rupiah + excluded.amount_rupiah;
    RETURN NULL;
END $$;
CREATE TRIGGER incentives_count_inserted AFTER INSERT ON incentives
    REFERENCING NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION count_inserted();

CREATE FUNCTION count_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO funnel_counts AS f
    SELECT programme, partner, stage, blocker, pg_backend_pid() % 64, sum(n), sum(amount) FROM (
        SELECT programme, partner, stage, coalesce(blocker, '') AS blocker, -1 AS n, -amount_rupiah AS amount FROM before_rows
        UNION ALL
        SELECT programme, partner, stage, coalesce(blocker, ''), 1, amount_rupiah FROM after_rows) AS moved
    GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4
    ON CONFLICT (programme, partner, stage, blocker, slot) DO UPDATE
    SET incentives = f.incentives + excluded.incentives, amount_rupiah = f.amount_rupiah + excluded.amount_rupiah;
    RETURN NULL;
END $$;
CREATE TRIGGER incentives_count_updated AFTER UPDATE ON incentives
    REFERENCING OLD TABLE AS before_rows NEW TABLE AS after_rows FOR EACH STATEMENT EXECUTE FUNCTION count_updated();

CREATE TABLE payouts (
    id                 bigint PRIMARY KEY,         -- new_id()
    reference          text NOT NULL UNIQUE,       -- 19 digits, constant over all attempts
    incentive          bigint NOT NULL REFERENCES incentives,
    participant        bigint NOT NULL REFERENCES participants,
    link_id            text NOT NULL REFERENCES links,
    partner            text NOT NULL,
    amount_rupiah      bigint NOT NULL CHECK (amount_rupiah > 0),
    state              text NOT NULL CHECK (state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown',
                                                      'pending', 'succeeded', 'rejected', 'reversed', 'cancelled')),
    attempt            integer NOT NULL DEFAULT 0, -- WRITEs that move money: at most one in flight
    refusals           integer NOT NULL DEFAULT 0, -- times nothing was done: not accepted, or nothing left
    frozen_hash        bytea,                      -- of what stays the same in the first WRITE's body over all attempts
    partner_reference  text,
    first_sent_at      timestamptz,
    sent_at            timestamptz,
    sent_deadline      timestamptz,                -- after it an unanswered attempt is unknown
    next_at            timestamptz,                -- next thing the gateway does by itself: send, look up, confirm
    looks              integer NOT NULL DEFAULT 0, -- look-ups since the last attempt
    reason             text,                       -- blocker code of a rejection
    technical          boolean NOT NULL DEFAULT false,
    reason_due_at      timestamptz,                -- how long a rejection waits for the notification with its reason
    confirmed_at       timestamptz,                -- a second look-up confirmed the rejection
    released_at        timestamptz,                -- another payout may follow: the recorded decision
    lease_until        timestamptz,
    leased_by          text,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    ended_at           timestamptz,
    CHECK (released_at IS NULL OR state IN ('rejected', 'reversed', 'cancelled', 'succeeded'))
);
CREATE UNIQUE INDEX payouts_one_standing ON payouts (incentive) WHERE released_at IS NULL AND state <> 'cancelled';
CREATE INDEX payouts_incentive ON payouts (incentive);
CREATE INDEX payouts_work ON payouts (partner, state, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX payouts_deadline ON payouts (sent_deadline) WHERE state IN ('submitting', 'preparing');
CREATE INDEX payouts_partner_reference ON payouts (partner, partner_reference) WHERE partner_reference IS NOT NULL;
CREATE INDEX payouts_participant ON payouts (participant);
CREATE INDEX payouts_open ON payouts (partner, id)
    WHERE state IN ('reserved', 'preparing', 'prepared', 'submitting', 'unknown', 'pending');

CREATE TABLE observations (
    -- What a partner said about a payout, in the order it reached us; the payout's end state is a function of the set.
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payout             bigint NOT NULL REFERENCES payouts,
    source             text NOT NULL CHECK (source IN ('reply', 'lookup', 'notification', 'statement', 'document')),
    attempt            integer NOT NULL,
    kind               text NOT NULL,
    reason             text,
    technical          boolean NOT NULL DEFAULT false,
    partner_code       text,
    event_key          text,                       -- what makes two deliveries the same; null: each counts
    at                 timestamptz NOT NULL,
    UNIQUE (payout, event_key)
);
CREATE INDEX observations_payout ON observations (payout, id);

CREATE TABLE ledger (
    -- Double entry: one row moves one amount from one account to another, so it balances by construction; each kind once a payout.
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payout             bigint NOT NULL REFERENCES payouts,
    partner            text NOT NULL,
    kind               text NOT NULL CHECK (kind IN ('reserve', 'settle', 'release', 'return', 'settle_late')),
    debit              text NOT NULL CHECK (debit IN ('float', 'reserved', 'paid', 'fee', 'suspense')),
    credit             text NOT NULL CHECK (credit IN ('float', 'reserved', 'paid', 'fee', 'suspense')),
    amount_rupiah      bigint NOT NULL CHECK (amount_rupiah > 0),
    at                 timestamptz NOT NULL,
    CHECK (debit <> credit),
    UNIQUE (payout, kind)
);

CREATE TABLE cases (
    -- What an operator must look at, with the evidence gathered.
    id                 bigint PRIMARY KEY,
    code               text NOT NULL,              -- blocker code
    partner            text NOT NULL,
    payout             bigint REFERENCES payouts,
    incentive          bigint REFERENCES incentives,
    detail             text NOT NULL,              -- no personal data
    opened_at          timestamptz NOT NULL,
    due_at             timestamptz NOT NULL,
    closed_at          timestamptz,
    closed_by          text
);
CREATE UNIQUE INDEX cases_one_open ON cases (payout, code) WHERE closed_at IS NULL;
