-- The partner's own code for how a link went, as far as it gave one; and whether an exchange was left without an answer: where linking is
-- exclusive, the partner may have linked all the same, and says from then on that the account is taken.
ALTER TABLE links ADD COLUMN partner_code text;
ALTER TABLE links ADD COLUMN unanswered boolean NOT NULL DEFAULT false;
CREATE INDEX links_unanswered ON links (partner, account_index) WHERE unanswered;

CREATE TABLE inbox_refusals (
    -- Notifications that were not taken, by day: one row a kind and reason, however many come.
    partner            text NOT NULL,
    kind               text NOT NULL,
    reason             text NOT NULL,
    day                date NOT NULL,              -- Asia/Jakarta
    times              bigint NOT NULL,
    PRIMARY KEY (partner, kind, reason, day)
);
