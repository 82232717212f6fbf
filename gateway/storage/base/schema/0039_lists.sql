-- What clients list a page at a time.
CREATE INDEX links_newest ON links (created_at, id);
CREATE INDEX cases_still_open ON cases (id) WHERE closed_at IS NULL;
