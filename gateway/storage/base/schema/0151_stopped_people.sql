-- Payments to a person were stopped (who died, say), and nothing of theirs was approved since: the next month's file tells its approvers.
-- A table of few rows: what is looked for among people by the million is found whatever the planner believes of them.
CREATE TABLE stopped_people (
    participant bigint PRIMARY KEY REFERENCES participants (id),
    participant_id text NOT NULL UNIQUE,
    since timestamptz NOT NULL
);
