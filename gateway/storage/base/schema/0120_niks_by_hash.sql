-- A person is looked for by NIK only as equal, and what is kept of it is an HMAC: in a tree each new entry lands on a page of its own, by hash
-- it costs half of that.
DROP INDEX participants_nik;
CREATE INDEX participants_nik ON participants USING hash (nik_index);
