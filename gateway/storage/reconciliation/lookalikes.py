"""Credits that name no payout of ours and may be one all the same: its reference was cut or changed at the partner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from gateway.storage.base.database import Connection

ALIKE = 8
"""So many characters at the beginning or the end make a reference look like one of ours, where no account tells."""
MOST = 20
"""Of a payout, the earliest that a reading shows and nobody has settled: where a partner names neither references nor
accounts, all payments of a day may be any of those in doubt.
"""


class Credit(NamedTuple):
    """A credit without a payout of ours, of one statement."""

    reference: str | None
    amount_rupiah: int
    account_index: bytes | None
    """None: the statement does not say."""
    booked_at: datetime


async def keep(connection: Connection, now: datetime, partner: str, day: date, credits_: Sequence[Credit]) -> None:
    """Note of each payout in doubt the credits that may be it, `MOST` at once: of its amount, booked since the day it
    left (clocks may differ by a quarter of an hour), to its account or, where no account is told, under a reference
    like its own or none.
    """
    await connection.execute(
        """
        INSERT INTO lookalikes (payout, day, reference, booked_at, seen_at)
        SELECT DISTINCT id, $2::date, reference, booked_at, $1::timestamptz FROM (
        SELECT p.id, c.reference, c.booked_at,
            dense_rank() OVER (PARTITION BY p.id ORDER BY c.booked_at, c.reference) AS n
        FROM payouts p JOIN links l ON l.id = p.link_id
            JOIN unnest($4::text[], $5::bigint[], $6::bytea[], $7::timestamptz[])
                AS c (reference, amount, account, booked_at)
                ON c.amount = p.amount_rupiah AND (c.booked_at AT TIME ZONE INTERVAL '7 hours')::date
                    >= ((p.first_sent_at - interval '15 minutes') AT TIME ZONE INTERVAL '7 hours')::date
                AND (c.account = l.account_index
                     OR (c.account IS NULL OR l.account_index IS NULL)
                        AND (c.reference IS NULL OR left(c.reference, $8) = left(p.reference, $8)
                             OR right(c.reference, $8) = right(p.reference, $8)
                             OR length(c.reference) >= $8 AND strpos(p.reference, c.reference) > 0))
        WHERE p.partner = $3 AND p.first_sent_at IS NOT NULL
          AND NOT EXISTS (SELECT FROM strays s WHERE s.partner = $3 AND s.reference = c.reference
                          AND s.settled_at IS NOT NULL)
          AND (p.state IN ('unknown', 'reserved') OR (p.state = 'rejected' AND p.statements_from IS NOT NULL))) AS each
        WHERE n <= $9 ORDER BY 1, 4, 3 ON CONFLICT DO NOTHING
        """,
        now,
        day,
        partner,
        [one.reference for one in credits_],
        [one.amount_rupiah for one in credits_],
        [one.account_index for one in credits_],
        [one.booked_at for one in credits_],
        ALIKE,
        MOST,
    )


async def of(connection: Connection, payouts: Sequence[int]) -> dict[int, date]:
    """Which of some payouts have any, and the day whose statement shows the first of them."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (payout) payout, day FROM lookalikes WHERE payout = ANY($1::bigint[])"
        " ORDER BY payout, booked_at",
        list(payouts),
    )
    return {row["payout"]: row["day"] for row in rows}
