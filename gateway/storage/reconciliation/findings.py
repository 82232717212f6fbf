"""What was found in partners' statements: seen by one reading, told once the next one bears it out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta

from gateway.storage.base.database import Connection

KEPT = timedelta(days=400)
"""No statement of so long ago is read any more."""


async def note(
    connection: Connection,
    now: datetime,
    partner: str,
    day: date,
    counts: Mapping[str, int],
    *,
    since: datetime,
    at_once: bool = False,
) -> list[str]:
    """Note how often a reading begun at `since` found what `counts` names; 0: it looked and found none. Back come those
    of which there are more than were told of: as many as this reading and the one before it both found, or with
    `at_once` as many as this one found.
    """
    if not counts:
        return []
    found = sorted(name for name, count in counts.items() if count)
    if found:  # nothing else makes the table longer
        await connection.execute("DELETE FROM statement_findings WHERE found_at < $1", now - KEPT)
        await connection.execute(
            "INSERT INTO statement_findings (partner, finding, found_at, day, seen, told)"
            " SELECT $1, f, $2, $3, 0, 0 FROM unnest($4::text[]) AS f ON CONFLICT DO NOTHING",
            partner,
            since,
            day,
            found,
        )
    rows = await connection.fetch(
        "SELECT finding, found_at, seen, told FROM statement_findings WHERE partner = $1 AND finding = ANY($2::text[])"
        " ORDER BY finding FOR UPDATE",
        partner,
        list(counts),
    )
    news = []
    for row in rows:
        if row["found_at"] > since and not at_once:
            continue  # read side by side with the reading that found it: that is no second look
        count = counts[row["finding"]]
        certain = count if at_once else min(count, row["seen"])
        if certain > row["told"]:
            news.append(row["finding"])
        await connection.execute(
            "UPDATE statement_findings SET seen = $3, told = greatest(told, $4), found_at = $5, day = $6"
            " WHERE partner = $1 AND finding = $2",
            partner,
            row["finding"],
            count,
            certain,
            now,
            day,
        )
    return news


async def wanted(
    connection: Connection, partner: str, kinds: Collection[str], since: date, before: datetime
) -> set[date]:
    """Days from `since` on of which a reading up to `before` found something of these kinds that no other has borne out
    or denied.
    """
    rows = await connection.fetch(
        "SELECT DISTINCT day FROM statement_findings WHERE partner = $1 AND day >= $2 AND seen > told"
        " AND found_at <= $3 AND split_part(finding, ':', 1) = ANY($4::text[])",
        partner,
        since,
        before,
        list(kinds),
    )
    return {row["day"] for row in rows}


async def told(connection: Connection, partner: str, findings: Collection[str]) -> set[str]:
    """Those of some findings that staff were told of."""
    if not findings:
        return set()
    rows = await connection.fetch(
        "SELECT finding FROM statement_findings WHERE partner = $1 AND finding = ANY($2::text[]) AND told > 0",
        partner,
        list(findings),
    )
    return {row["finding"] for row in rows}
