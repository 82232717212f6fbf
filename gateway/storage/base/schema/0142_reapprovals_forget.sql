-- The digest of a lapsed row is made of the NIK's and the account's index: whoever holds our key could search it for them after an erasure.
DROP TRIGGER reapprovals_stay ON reapprovals;
CREATE TRIGGER reapprovals_stay BEFORE UPDATE ON reapprovals FOR EACH ROW EXECUTE FUNCTION refuse_but_erase();
CREATE TRIGGER reapprovals_are_kept BEFORE DELETE ON reapprovals FOR EACH ROW EXECUTE FUNCTION refuse();
