-- Everything that is wrong with a refused row, not only the first thing: a list of [field, code, hint]; empty for rows refused before this.
ALTER TABLE batch_errors ADD COLUMN faults text NOT NULL DEFAULT '[]';

-- Keyed hashes of name and phone, to tell whether a later row says something else; null: handed over before this, so not known.
ALTER TABLE participants ADD COLUMN name_index bytea, ADD COLUMN phone_index bytea;
