-- After a restore or failover the database has forgotten what was sent after some moment: until the partners were asked, nothing is sent.

CREATE TABLE recoveries (
    -- An open one holds a partner: no payout is made there, none is sent, none withdrawn. What has left is followed.
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partner            text NOT NULL,
    since              timestamptz NOT NULL,       -- the moment up to which the database is known to be complete
    opened_at          timestamptz NOT NULL,       -- whatever was forgotten was sent before
    settled_at         timestamptz NOT NULL,       -- and is booked by then or never: what partners say from then on counts
    marked_at          timestamptz,                -- every payout that had not ended was marked as perhaps sent
    released_at        timestamptz
);
CREATE UNIQUE INDEX recoveries_one_open ON recoveries (partner) WHERE released_at IS NULL;

CREATE TABLE strays (
    -- Credits at a partner under a reference of this installation that no payout has: paid, and forgotten. Until one is settled,
    -- nothing is sent to its account.
    partner            text NOT NULL,
    reference          text NOT NULL,
    partner_reference  text,
    amount_rupiah      bigint NOT NULL,
    account_index      bytea,                      -- null: the statement does not say
    booked_at          timestamptz NOT NULL,
    reversed           boolean NOT NULL DEFAULT false,
    seen_at            timestamptz NOT NULL,
    case_id            bigint REFERENCES cases,
    settled_at         timestamptz,
    settled_by         text,
    payout             bigint REFERENCES payouts,  -- what it was adopted as; null: nothing of ours
    PRIMARY KEY (partner, reference)
);
CREATE INDEX strays_open ON strays (partner, account_index) WHERE settled_at IS NULL;
