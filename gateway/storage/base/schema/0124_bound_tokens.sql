-- A token that was asked for with a proof (RFC 9449) is good beside proofs of the same key alone.
ALTER TABLE access_tokens ADD COLUMN thumbprint text;
