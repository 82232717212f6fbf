-- What a participant was told before anything was asked of a partner about them, when, and over which channel. Append only.
CREATE TABLE consents (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    link_id            text NOT NULL REFERENCES links,
    text_version       text NOT NULL,
    channel            text NOT NULL CHECK (channel IN ('page', 'client')),   -- our own page, or the core platform's screens
    at                 timestamptz NOT NULL
);
CREATE INDEX consents_link ON consents (link_id);
CREATE TRIGGER consents_stay BEFORE UPDATE OR DELETE ON consents FOR EACH ROW EXECUTE FUNCTION refuse();
