-- Why a partner is not fed as usual: one table, read by dispatch in every worker, by the compare-and-set and by whoever tells people.
CREATE TABLE holds (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partner            text NOT NULL,
    stage              text NOT NULL CHECK (stage IN ('link', 'proof', 'verify', 'payout')),
    kind               text NOT NULL CHECK (kind IN ('outage', 'throttled', 'brake', 'ours', 'operator')),
    fault              text,                       -- what went wrong, in our words; null: nothing did (an operator's hold)
    words              text NOT NULL,              -- the partner's own code, or why; no personal data
    since              timestamptz NOT NULL,
    opened_by          text NOT NULL,              -- a worker, a client's id, or `cli`
    next_canary_at     timestamptz,                -- the next try that is let through; null: none, somebody must act
    canaries           integer NOT NULL DEFAULT 0, -- tries let through so far
    told_at            timestamptz,                -- when a case was opened for it
    released_at        timestamptz,
    released_by        text
);
CREATE UNIQUE INDEX holds_one_open ON holds (partner, stage, kind) WHERE released_at IS NULL;
CREATE INDEX holds_released ON holds (released_at) WHERE released_at IS NOT NULL;   -- history, and its purge
