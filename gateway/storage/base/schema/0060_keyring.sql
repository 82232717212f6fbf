-- The master keys that this database belongs to: one seals, others still open what they have sealed until none of it is left. A process that
-- lacks one of them does not start (gateway/storage/base/witness.py). What was made under the one key of before goes on under it.
CREATE TABLE keyring (
    key_id             bytea PRIMARY KEY,          -- stands before every sealed value
    check_value        bytea NOT NULL,             -- keyed: says nothing of the key
    base_sealed        bytea,                      -- what indexes and tokens are made with, sealed under this key; null: derived from this key
    active             boolean NOT NULL DEFAULT false,
    added_at           timestamptz NOT NULL DEFAULT now(),
    activated_at       timestamptz,
    retired_at         timestamptz,
    CHECK (NOT active OR (activated_at IS NOT NULL AND retired_at IS NULL))
);
CREATE UNIQUE INDEX keyring_one_active ON keyring (active) WHERE active;
INSERT INTO keyring (key_id, check_value, active, added_at, activated_at) SELECT key_id, check_value, true, since, since FROM key_witness;
DROP TABLE key_witness;
CREATE TRIGGER keyring_is_kept BEFORE DELETE ON keyring FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER keyring_stays BEFORE UPDATE OF key_id, check_value, base_sealed, added_at ON keyring FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER keyring_stays_retired BEFORE UPDATE ON keyring FOR EACH ROW WHEN (OLD.retired_at IS NOT NULL) EXECUTE FUNCTION refuse();
