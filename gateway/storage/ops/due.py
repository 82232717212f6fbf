"""Whether anything is due at some partners: a few probes of indexes, so that who waits need not try to lease it."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from datetime import date, datetime

from gateway.storage.base.database import Connection


class Kind(enum.Enum):
    """What workers do at a partner, by the loops that do it."""

    DISPATCH = "dispatch"
    LOOKUPS = "lookups"
    VERIFICATION = "verification"


async def at_partners(
    connection: Connection, now: datetime, today: date, asked: Mapping[Kind, Collection[str]]
) -> list[tuple[Kind, str]]:
    """For which of the partners `asked` about something of a kind looks due: what leases it knows better, and may find
    nothing all the same. OFFSET 0: what is found first is enough, and no join is made of it that reads all that wait.
    """
    rows = await connection.fetch(
        """
        SELECT 'dispatch' AS kind, slug FROM unnest($3::text[]) AS slug
        WHERE (EXISTS (SELECT FROM incentives i WHERE i.partner = slug AND i.stage = 'scheduled' AND i.blocker IS NULL
                       AND i.approved AND i.due_on <= $2 AND i.deadline_on >= $2 OFFSET 0)
               OR EXISTS (SELECT FROM payouts p WHERE p.partner = slug AND p.state IN ('reserved', 'prepared')
                          AND p.next_at <= $1 AND (p.lease_until IS NULL OR p.lease_until <= $1) OFFSET 0))
          AND NOT EXISTS (SELECT FROM partner_switches s WHERE s.partner = slug AND s.paused_at IS NOT NULL)
          AND NOT EXISTS (SELECT FROM recoveries r WHERE r.partner = slug AND r.released_at IS NULL)
        UNION ALL
        SELECT 'lookups', slug FROM unnest($4::text[]) AS slug
        WHERE EXISTS (SELECT FROM payouts p WHERE p.partner = slug
                      AND p.state IN ('preparing', 'unknown', 'pending', 'rejected')
                      AND p.next_at <= $1 AND (p.lease_until IS NULL OR p.lease_until <= $1) OFFSET 0)
        UNION ALL
        SELECT 'verification', slug FROM unnest($5::text[]) AS slug
        WHERE EXISTS (SELECT FROM verifications v WHERE v.partner = slug AND v.state = 'open'
                      AND v.next_attempt_at <= $1 AND (v.lease_until IS NULL OR v.lease_until <= $1) OFFSET 0)
        """,
        now,
        today,
        *(list(asked.get(kind, ())) for kind in (Kind.DISPATCH, Kind.LOOKUPS, Kind.VERIFICATION)),
    )
    return [(Kind(row["kind"]), row["slug"]) for row in rows]
