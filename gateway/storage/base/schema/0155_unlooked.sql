-- Since when a link is to be looked at: each try that brings nothing readable puts the next one off, and says nothing of how long.
ALTER TABLE links ADD COLUMN unlooked_since timestamptz;
UPDATE links SET unlooked_since = health_due_at WHERE health_due_at IS NOT NULL;

CREATE FUNCTION links_unlooked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.unlooked_since := CASE WHEN NEW.health_due_at IS NOT NULL THEN coalesce(OLD.unlooked_since, NEW.health_due_at) END;
    RETURN NEW;
END $$;
CREATE TRIGGER links_unlooked BEFORE UPDATE OF health_due_at ON links FOR EACH ROW
    WHEN (NEW.health_due_at IS DISTINCT FROM OLD.health_due_at) EXECUTE FUNCTION links_unlooked();
