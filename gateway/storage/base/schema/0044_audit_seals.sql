-- The record of decisions as a chain (docs/security.md): each seal closes the rows since the one before, by a hash over all of them and a
-- code under the master key. Who has the database alone changes no sealed row unseen.
CREATE TABLE audit_seals (
    n                  bigint PRIMARY KEY,         -- 1, 2, 3: none is left out
    last_seq           bigint NOT NULL,            -- the last row of audit_log that it closes
    rows               bigint NOT NULL,            -- how many are closed so far
    chain              bytea NOT NULL,             -- SHA-256 over the chain before and each row since
    code               bytea NOT NULL,             -- keyed, over all of this and the code before
    at                 timestamptz NOT NULL
);
CREATE TRIGGER audit_seals_stay BEFORE UPDATE OR DELETE ON audit_seals FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER audit_seals_keep BEFORE TRUNCATE ON audit_seals FOR EACH STATEMENT EXECUTE FUNCTION refuse();
CREATE TRIGGER audit_log_keeps BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION refuse();
