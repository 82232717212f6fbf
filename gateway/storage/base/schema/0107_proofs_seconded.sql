-- Two words make a proof of account where the first one's client is enabled still when the second is given; that they did is kept, as clients
-- are disabled later when people leave.
ALTER TABLE account_proofs ADD COLUMN seconds bigint REFERENCES account_proofs;  -- the first word, in the row of the second

SELECT set_config('gateway.erasing', 'on', true);
UPDATE account_proofs p SET seconds = (
    SELECT min(a.id) FROM account_proofs a
    WHERE (a.participant, a.partner, a.account_index, a.nik_index) = (p.participant, p.partner, p.account_index, p.nik_index)
      AND a.id < p.id AND person_of(a.given_by) <> person_of(p.given_by))
WHERE EXISTS (SELECT FROM account_proofs a WHERE a.participant = p.participant AND a.id < p.id);
SELECT set_config('gateway.erasing', 'off', true);
