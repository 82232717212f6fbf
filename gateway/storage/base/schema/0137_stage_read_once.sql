-- Stage and blocker of an incentive are generated columns, whose functions are put into each statement that writes incentives. As text they
-- were read and analysed anew for each of them, which took a tenth of a claim's or an outcome's statement, and more where groups are small;
-- as RETURN they are kept as analysed. They say what they said, so nothing is rewritten.
CREATE OR REPLACE FUNCTION incentive_stage(payout text, cancelled boolean, past_deadline boolean, link_active boolean, verified boolean)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN payout = 'reversed' THEN 'returned'
    WHEN payout = 'succeeded' THEN 'paid'
    WHEN payout = 'open' THEN 'paying'
    WHEN cancelled THEN 'cancelled'
    WHEN past_deadline THEN 'returned'
    WHEN NOT link_active THEN 'awaiting_link'
    WHEN NOT verified THEN 'awaiting_verification'
    ELSE 'scheduled' END;

CREATE OR REPLACE FUNCTION incentive_blocker(payout text, cancelled boolean, link_active boolean, verified boolean, past_deadline boolean,
    approved boolean, standing text, own text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN payout = 'reversed' THEN 'payment_reversed'
    WHEN payout = 'succeeded' THEN CASE WHEN own = 'contradiction' THEN own END
    WHEN payout = 'open' THEN own
    WHEN cancelled THEN NULL
    WHEN past_deadline THEN 'deadline_passed'
    WHEN own IS NOT NULL THEN own
    WHEN NOT (link_active AND verified) AND standing IS NOT NULL THEN standing
    WHEN NOT link_active THEN 'link_required'
    WHEN NOT approved THEN 'approval_missing' END;
