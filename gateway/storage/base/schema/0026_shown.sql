-- What people are told of an incentive, where that is not its own fact but its partner's or its payout's of this moment: derived when it
-- is read, so that an outage changes no row of those who wait for it. Rows, lists, funnel and metrics all use these.

CREATE VIEW partner_waits AS
-- For which partner and stage everything waits, for whom (as a blocker), since when, and until when at least (null: until somebody acts).
SELECT DISTINCT ON (partner, stage) partner, stage, blocker, since, next_at FROM (
    SELECT partner, 'payout' AS stage, 'partner_paused' AS blocker, paused_at AS since, NULL::timestamptz AS next_at, 0 AS rank
    FROM partner_switches WHERE paused_at IS NOT NULL
    UNION ALL
    SELECT partner, 'payout', 'partner_paused', opened_at, NULL, 0 FROM recoveries WHERE released_at IS NULL
    UNION ALL
    SELECT partner, CASE stage WHEN 'proof' THEN 'payout' ELSE stage END,
        CASE fault WHEN 'float_short' THEN 'partner_float_short' ELSE 'partner_unavailable' END, since, next_canary_at, 1
    FROM holds WHERE released_at IS NULL AND kind <> 'throttled') AS w
ORDER BY partner, stage, rank, next_at DESC NULLS FIRST;

CREATE FUNCTION shown_payout(payout text, payout_state text, attempt integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
-- `paying` means that something left: a payout that is only set aside is none yet (with an attempt behind it, it may have been sent
-- before a restore). `payout` is the incentive's fact.
$$ SELECT CASE WHEN payout = 'open' AND payout_state = 'reserved' AND attempt = 0 THEN NULL ELSE payout END $$;

CREATE FUNCTION shown_blocker(blocker text, shown_stage text, payable boolean, payout_state text, backs_off boolean,
                              payout_wait text, verify_wait text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
-- `payable`: approved and due. `backs_off`: the partner did nothing last time, and the next try is later. `..._wait`: what `partner_waits`
-- says of its partner.
$$ SELECT CASE
    WHEN blocker IS NOT NULL THEN blocker
    WHEN shown_stage = 'awaiting_verification' THEN verify_wait
    WHEN payable AND (shown_stage = 'scheduled' OR payout_state = 'prepared')
        THEN coalesce(payout_wait, CASE WHEN backs_off THEN 'partner_unavailable' END) END $$;

CREATE FUNCTION is_given_up(first_sent_at timestamptz, next_at timestamptz, sent_deadline timestamptz, sent_before timestamptz)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
-- Whether an unknown outcome is an operator's by now: first sent before the partner's horizon, or nothing more is due for it.
$$ SELECT coalesce(first_sent_at < sent_before, false) OR (next_at IS NULL AND sent_deadline IS NULL) $$;
