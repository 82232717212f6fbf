-- Refusals of people, weighed as a crowd: too many alike are about the partner, and whoever was in the run is asked again.

CREATE TABLE refusals (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partner            text NOT NULL,
    stage              text NOT NULL CHECK (stage IN ('verify', 'payout')),
    known              boolean NOT NULL,           -- the partner said something good of this account within 30 days
    participant        bigint NOT NULL REFERENCES participants,
    account_index      bytea NOT NULL,
    code               text NOT NULL,              -- blocker code
    partner_code       text,
    weighed            boolean NOT NULL,           -- false: the account counted in this stream within a day already
    good_before        bigint NOT NULL,            -- good answers of the stream so far: what lies between two refusals
    said_at            timestamptz NOT NULL,
    asked_again_at     timestamptz
);
CREATE INDEX refusals_stream ON refusals (partner, stage, known, id) WHERE weighed;
CREATE INDEX refusals_account ON refusals (partner, stage, account_index, said_at);
CREATE INDEX refusals_age ON refusals (said_at);

CREATE TABLE good_answers (
    -- How many good answers each stream has had, in slots so that writers do not queue for one row.
    partner            text NOT NULL,
    stage              text NOT NULL,
    known              boolean NOT NULL,
    slot               integer NOT NULL,
    answers            bigint NOT NULL,
    PRIMARY KEY (partner, stage, known, slot)
);

-- Of a brake's hold:
ALTER TABLE holds ADD COLUMN good_before bigint;           -- good answers of the stage when it was opened
ALTER TABLE holds ADD COLUMN run_asked_at timestamptz;     -- when some of the run were last asked again
