-- Who waits for a look for a week is found by the time, not by reading all links: few or none are.
CREATE INDEX links_unlooked ON links (unlooked_since) WHERE unlooked_since IS NOT NULL AND state = 'active' AND doubted_at IS NULL;
