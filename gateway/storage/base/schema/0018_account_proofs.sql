-- What a partner has said on paper about who an account belongs to, where none of its calls proves it: counted once two people have
-- handed it in. Append only; a later account or NIK of the participant is not what it speaks of.
CREATE TABLE account_proofs (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    participant        bigint NOT NULL REFERENCES participants,
    partner            text NOT NULL,
    account_index      bytea NOT NULL,
    nik_index          bytea NOT NULL,
    document           text NOT NULL,              -- how the document is found again; nothing personal
    given_by           text NOT NULL,
    given_at           timestamptz NOT NULL,
    UNIQUE (participant, partner, account_index, nik_index, given_by)
);
CREATE TRIGGER account_proofs_stay BEFORE UPDATE OR DELETE ON account_proofs FOR EACH ROW EXECUTE FUNCTION refuse();

-- Verdicts of GoPay from before the account was proved too: asked for again, before anything more is paid on them.
UPDATE participants SET verified_until = now() WHERE verified AND partner = 'gopay' AND verified_until > now();
