-- A credit that names no payout of ours, but has the amount and (as far as the partner says) the account of one that is in doubt: it may be that
-- payout, its reference changed on the way into the statement. While there is one, nothing proves the payout absent.

CREATE TABLE lookalikes (
    payout             bigint PRIMARY KEY REFERENCES payouts,
    day                date NOT NULL,              -- of the statement, Asia/Jakarta
    reference          text,                       -- as the statement shows it
    booked_at          timestamptz NOT NULL,
    seen_at            timestamptz NOT NULL
);
