-- Which master key this database belongs to: written by the first migration that is run under a key. Under another key nothing starts:
-- it would open nothing, and the same NIK or account would get a second index, beside which the first one guards nothing.
CREATE TABLE key_witness (
    one                boolean PRIMARY KEY DEFAULT true CHECK (one),
    key_id             bytea NOT NULL,             -- stands before every sealed value
    check_value        bytea NOT NULL,             -- keyed: says nothing of the key
    since              timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER key_witness_stays BEFORE UPDATE OR DELETE ON key_witness FOR EACH ROW EXECUTE FUNCTION refuse();
