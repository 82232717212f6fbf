-- Who was paid an instalment is never paid it again, also once erased: a mark for each, made of the NIK's index, which is gone by then. It tells
-- neither whose it was nor which instalments were one person's; only who comes with the same NIK for the same instalment meets it.
CREATE FUNCTION instalment_mark(nik_index bytea, programme text, purpose text, period text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT sha256(nik_index || convert_to(programme || chr(31) || purpose || chr(31) || period, 'UTF8')) $$;

CREATE TABLE erased_instalments (mark bytea PRIMARY KEY);
CREATE TRIGGER erased_instalments_are_kept BEFORE UPDATE OR DELETE ON erased_instalments FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER erased_instalments_stay BEFORE TRUNCATE ON erased_instalments FOR EACH STATEMENT EXECUTE FUNCTION refuse();
