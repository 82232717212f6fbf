-- Which instances this store has ever begun references with: a credit under any of them is its own, whatever GATEWAY_INSTANCE says now.
-- Written by the claim that makes a payout, so that a copy knows each instance of its payouts; once an hour, so that no claim waits for it.
CREATE TABLE instances (
    instance   text PRIMARY KEY CHECK (instance ~ '^[1-9][0-9]$'),
    since      timestamptz NOT NULL,
    until      timestamptz NOT NULL                    -- to the hour
);
INSERT INTO instances SELECT left(reference, 2), min(created_at), max(created_at) FROM payouts GROUP BY 1;
