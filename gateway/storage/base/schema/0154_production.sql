-- The servers' databases on which a process of the production profile has run. A process of another profile pays at mocks and sandboxes:
-- there it would call people paid who are not (gateway/security/profile.py). A copy elsewhere is another server's.
CREATE TABLE production (
    server     text PRIMARY KEY,                       -- as store_timeline has it
    since      timestamptz NOT NULL DEFAULT now()
);
