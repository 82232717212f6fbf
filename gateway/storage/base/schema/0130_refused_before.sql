-- An instalment handed over again after its first incentive was cancelled waits until the refusal of that one's payout is confirmed.
CREATE INDEX incentives_cancelled_after_a_payout ON incentives (nik_index, programme, purpose, period)
    WHERE cancelled AND payouts > 0;
