-- An incentive was cancelled after its payout had been refused, its instalment may have been handed over again, and then the partner
-- calls the refused payout paid: what must not be paid a second time is found here.
CREATE INDEX incentives_paid_though_cancelled ON incentives (nik_index, programme, purpose, period)
    WHERE cancelled AND payout = 'succeeded';
