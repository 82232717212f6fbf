-- What a partner says in a document (a letter, a signed list) about a payout that its systems leave in doubt: brought by one person,
-- confirmed by another, and stored as an observation like any other word.
CREATE TABLE settlements (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payout             bigint NOT NULL REFERENCES payouts,
    verdict            text NOT NULL CHECK (verdict IN ('paid', 'refused')),
    reason             text,                       -- blocker code of a refusal; null: technical, a new payout may follow
    document           text NOT NULL,              -- the partner's own number or name of it; no personal data
    why                text NOT NULL,
    proposed_by        text NOT NULL,
    proposed_at        timestamptz NOT NULL,
    confirmed_by       text CHECK (confirmed_by <> proposed_by),
    confirmed_at       timestamptz,
    dropped_at         timestamptz                 -- taken back, or overtaken by the partner's own word
);
CREATE UNIQUE INDEX settlements_one_open ON settlements (payout) WHERE confirmed_at IS NULL AND dropped_at IS NULL;
