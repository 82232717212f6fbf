-- Each change of a row writes each of its indexes again: none that another one serves for.

DROP INDEX payouts_one_standing;
DROP INDEX payouts_incentive;
-- One payout of an incentive stands; those that do not are told apart by their own id. It also finds all payouts of an incentive.
CREATE UNIQUE INDEX payouts_one_standing
    ON payouts (incentive, (CASE WHEN released_at IS NULL AND state <> 'cancelled' THEN 0 ELSE id END));
DROP INDEX payouts_participant;                    -- a participant has few incentives, and by these they are found

ALTER TABLE observations DROP CONSTRAINT observations_pkey;
ALTER TABLE observations DROP CONSTRAINT observations_payout_event_key_key;
DROP INDEX observations_payout;
ALTER TABLE observations ADD PRIMARY KEY (payout, id);
CREATE UNIQUE INDEX observations_once ON observations (payout, event_key) WHERE event_key IS NOT NULL;

ALTER TABLE exchanges DROP CONSTRAINT exchanges_pkey;
DROP INDEX exchanges_subject;
ALTER TABLE exchanges ADD PRIMARY KEY (subject, id);
