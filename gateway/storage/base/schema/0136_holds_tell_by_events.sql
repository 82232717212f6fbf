-- A hold is told by its event, in the transaction that opens it: no time of a case was ever written here.
ALTER TABLE holds DROP COLUMN told_at;
