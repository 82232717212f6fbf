"""In SQL: what was refused and may still be paid, as partners pay hours after a *failed*, what may have left, and
what was stopped. OFFSET 0: each is a look-up, never a join over all that waits.
"""

from __future__ import annotations

_REFUSED = "p.state = 'rejected' AND p.confirmed_at IS NULL"
_LATELY = f"FROM payouts p WHERE i.payouts > 0 AND p.incentive = i.id AND {_REFUSED} AND p.next_at IS NOT NULL"
BEFORE = f"c.cancelled AND c.payouts > 0 AND {_REFUSED} AND (p.next_at IS NOT NULL OR c.own = 'outcome_unknown')"
REFUSED_LATELY = f"EXISTS (SELECT {_LATELY} OFFSET 0)"
"""Whether a payout of incentive `i` was refused and no second look-up has said so yet: the partner may still pay it, so
that no other takes its place, wherever that one would be paid.
"""
LOOKED_AT_AGAIN = f"(SELECT max(p.next_at) {_LATELY})"
"""When the last such look-up is due."""
REFUSED_BEFORE = f"""EXISTS (SELECT FROM incentives c JOIN payouts p ON p.incentive = c.id WHERE {BEFORE}
    AND (c.nik_index, c.programme, c.purpose, c.period) = (i.nik_index, i.programme, i.purpose, i.period) OFFSET 0)"""
"""The same of a payout of an incentive that was cancelled, and whose instalment was handed over again as `i`."""
_ROOM = """p.reason = 'balance_limit' AND NOT EXISTS (SELECT FROM links l JOIN participants t ON t.id = p.participant
    WHERE l.id = p.link_id AND (l.partner, l.account_index) IS DISTINCT FROM (t.partner, t.account_index))"""
UNCONFIRMED = f"(EXISTS (SELECT {_LATELY} AND NOT ({_ROOM}) OFFSET 0) OR {REFUSED_BEFORE})"
"""Either, but for a full account that is still the participant's: it is tried again by itself only after such a
look-up, but at once when core says that there is room.
"""
PERHAPS_LEFT = """p.released_at IS NULL AND p.state <> 'cancelled' AND (p.state <> 'reserved' OR p.attempt > 0
    OR EXISTS (SELECT FROM recoveries r WHERE r.partner = p.partner AND r.released_at IS NULL))"""
"""Of a payout `p`: no recorded decision has ended it, and it has left or stands at the partner. One that is reserved
has not, but in a restored database: it may have been sent after the copy.
"""
STOPPED = """((SELECT b.state = 'stopped' FROM batches b WHERE b.id = i.batch_id)
    OR EXISTS (SELECT FROM stopped_people s WHERE s.participant = i.participant OFFSET 0)
    OR EXISTS (SELECT FROM (SELECT id, state FROM entitlements WHERE participant = i.participant OFFSET 0) e
        CROSS JOIN LATERAL (SELECT batch_id FROM completions WHERE entitlement = e.id OFFSET 0) c
        WHERE e.state = 'cancelled' AND c.batch_id = i.batch_id OFFSET 0))"""
"""Whether the batch, person or entitlement of incentive `i` was stopped."""
