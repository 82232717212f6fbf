"""Partners' switches: whether payouts at a partner are paused, by whom and why."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from contracts.events import EventType
from gateway.storage.base.database import Connection
from gateway.storage.base.rows import into
from gateway.storage.messages import events

LEAVES_S = 25.0
"""So long before an attempt's deadline its WRITE has left, or never will (services/payouts/sending.py sees to it)."""
GATEWAY = "gateway"
"""Who pauses where a partner contradicts itself."""
MOST_REASONS = 2_000
"""Characters, beyond which no further reason is added: each is a case too."""
ALSO = "; also: "
"""Before each further reason."""


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """One partner's switch."""

    partner: str
    paused_at: datetime
    paused_by: str
    reason: str

    def only_of(self, who: str) -> bool:
        """Whether nobody but them has it paused: each further reason names who added it, and the gateway's nobody."""
        return self.paused_by == who and all(one.startswith(f"{who}: ") for one in self.reason.split(ALSO)[1:])


async def paused(connection: Connection) -> dict[str, Switch]:
    """The partners that are paused now."""
    rows = await connection.fetch(
        "SELECT partner, paused_at, paused_by, reason FROM partner_switches WHERE paused_at IS NOT NULL"
    )
    return {row["partner"]: into(Switch, row) for row in rows}


class UnderWay(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts at a partner that may not have left yet."""

    attempts: int
    until: datetime
    """By then the last one has left, or never will."""


async def under_way(connection: Connection, now: datetime) -> dict[str, UnderWay]:
    """By partner; none where nothing can leave any more without a new intent."""
    leaves = timedelta(seconds=LEAVES_S)
    rows = await connection.fetch(
        "SELECT partner, count(*)::int AS attempts, max(sent_deadline) AS deadline FROM payouts"
        " WHERE state IN ('submitting', 'preparing') AND next_at IS NULL AND sent_deadline > $1 GROUP BY partner",
        now + leaves,
    )
    return {row["partner"]: UnderWay(attempts=row["attempts"], until=row["deadline"] - leaves) for row in rows}


async def pause(connection: Connection, now: datetime, partner: str, *, by: str, reason: str) -> bool:
    """Stop payouts at a partner; what has left is followed to its end. False: it was paused already. What the gateway
    pauses for is told then too: whoever resumes may have paused for something else.

    At its commit it waits for the intents that are being committed there, and workers hold back what has not left (a
    trigger; services/payouts/stops.py).
    """
    fresh = await connection.fetchval(
        "INSERT INTO partner_switches AS s (partner, paused_at, paused_by, reason) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (partner) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by,"
        " reason = excluded.reason WHERE s.paused_at IS NULL RETURNING true",
        partner,
        now,
        by,
        reason,
    )
    if not fresh:
        if by == GATEWAY:
            await _also(connection, partner, by, reason, reason)
        return False
    await events.emit(connection, now, [(EventType.PARTNER_PAUSED, partner, {"by": by, "reason": reason})])
    return True


async def pause_too(connection: Connection, partner: str, *, by: str, reason: str) -> bool:
    """Add why one more person has a partner paused: whoever paused it before may resume it for theirs alone. False:
    they have said so already.
    """
    return await _also(connection, partner, by, reason, f"{by}: {reason}")


async def _also(connection: Connection, partner: str, by: str, reason: str, told: str) -> bool:
    added: bool | None = await connection.fetchval(
        "UPDATE partner_switches SET reason = reason || $6 || $2 WHERE partner = $1 AND paused_at IS NOT NULL"
        " AND strpos(reason, $2) = 0 AND NOT (paused_by = $4 AND starts_with(reason, $5)) AND length(reason) < $3"
        " RETURNING true",
        partner,
        told,
        MOST_REASONS,
        by,
        reason,
        ALSO,
    )
    return bool(added)


async def resume(connection: Connection, now: datetime, partner: str, *, by: str, reason: str | None = None) -> bool:
    """Let payouts flow again; `reason`: only if it is paused for this. False: it was not paused, or for another one."""
    changed = await connection.fetchval(
        "UPDATE partner_switches SET paused_at = NULL, paused_by = NULL, reason = NULL"
        " WHERE partner = $1 AND paused_at IS NOT NULL AND ($2::text IS NULL OR reason = $2) RETURNING partner",
        partner,
        reason,
    )
    if changed is None:
        return False
    await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
    await events.emit(connection, now, [(EventType.PARTNER_RESUMED, partner, {"by": by})])
    return True
