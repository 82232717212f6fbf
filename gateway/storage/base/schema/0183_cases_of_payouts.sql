-- Whether a partner ever contradicted itself about a payout is asked of closed cases too, as a person closes them; payouts' evidence lists all.
CREATE INDEX cases_of_payout ON cases (payout) WHERE payout IS NOT NULL;
