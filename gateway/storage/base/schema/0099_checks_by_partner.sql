-- A check knows its partner. To find one partner's checks, those of all others were walked through, each joined with its link: with half a
-- million waiting at one partner, every other partner's lanes did that four times a second.
ALTER TABLE verifications ADD COLUMN partner text;
UPDATE verifications v SET partner = l.partner FROM links l WHERE l.id = v.link_id;

-- By the database, so that processes of the version before write it too while an upgrade is rolled out.
CREATE FUNCTION partner_of_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT l.partner INTO NEW.partner FROM links l WHERE l.id = NEW.link_id;
    RETURN NEW;
END $$;
CREATE TRIGGER verifications_partner BEFORE INSERT ON verifications FOR EACH ROW EXECUTE FUNCTION partner_of_link();
CREATE TRIGGER verifications_stay_where_they_are BEFORE UPDATE OF link_id, partner ON verifications
    FOR EACH ROW EXECUTE FUNCTION refuse();
ALTER TABLE verifications ALTER COLUMN partner SET NOT NULL;
CREATE INDEX verifications_due_at ON verifications (partner, next_attempt_at) WHERE state = 'open';
DROP INDEX verifications_due;
