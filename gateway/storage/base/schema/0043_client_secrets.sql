-- A client's secret is changed without a new id: for a time the old one is good too.
ALTER TABLE clients
    ADD COLUMN old_secret_hash bytea,
    ADD COLUMN old_secret_until timestamptz;

-- How often linking was begun lately, for a person and for an account: each time the partner may send an SMS.
CREATE INDEX links_lately ON links (participant, created_at);
CREATE INDEX links_lately_account ON links (partner, account_index, created_at);
