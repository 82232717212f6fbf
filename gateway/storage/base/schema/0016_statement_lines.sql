-- Bookings of our payouts as statements list them, each once: a list that repeats a row or grows between two pages is no second credit,
-- and a second credit on another day, or after the payout had ended, is one.
CREATE TABLE statement_lines (
    payout             bigint NOT NULL,
    identity           bytea NOT NULL,             -- hash of what the partner says of the booking
    kind               text NOT NULL CHECK (kind IN ('credit', 'reversal')),
    day                date NOT NULL,              -- of the statement
    booked_at          timestamptz NOT NULL,
    seen_at            timestamptz NOT NULL,
    PRIMARY KEY (payout, identity)
);

CREATE TABLE statement_findings (
    -- What was told about statements: each finding opens a case and pauses once, also after an operator resumed.
    partner            text NOT NULL,
    finding            text NOT NULL,
    found_at           timestamptz NOT NULL,
    PRIMARY KEY (partner, finding)
);
CREATE INDEX statement_findings_at ON statement_findings (found_at);
