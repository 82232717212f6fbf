-- A client may prove itself by a signature instead of a secret (RFC 7523, private_key_jwt): its public keys, and which proofs were used.
ALTER TABLE clients ADD COLUMN keys text;      -- JSON Web Key Set, public parts alone; null: it has a secret

CREATE TABLE client_assertions (
    client_id          text NOT NULL REFERENCES clients,
    jti_hash           bytea NOT NULL,
    expires_at         timestamptz NOT NULL,   -- after it the proof is refused anyway
    PRIMARY KEY (client_id, jti_hash)
);
CREATE INDEX client_assertions_expiry ON client_assertions (expires_at);
