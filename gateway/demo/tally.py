"""How much of what is due has come to an end, by partner: what the bars show, in the terminal and in a browser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import asyncpg
import msgspec

from contracts.incentive import BlockerCode, Owner, Stage, owner_of

_ENDED = (Stage.RETURNED.value, Stage.CANCELLED.value)


class Tally(msgspec.Struct, kw_only=True):
    """One partner's incentives that are due today or were before."""

    due: int = 0
    paid: int = 0
    waits: Counter[str] = msgspec.field(default_factory=Counter)
    """Not paid and nothing for the gateway or the partner to do: by whose turn it is, or by the stage it ended in."""
    later: int = 0
    """Beside them: not due yet."""

    @property
    def settled(self) -> int:
        """How many of `due` nothing more will happen to by itself."""
        return self.paid + self.waits.total()


async def read_tallies(database_url: str, today: date, *, playing: bool) -> dict[str, Tally]:
    """By partner, in alphabetical order. Raises `OSError`, `asyncpg.PostgresError`, `asyncpg.InterfaceError`."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        rows = await connection.fetch(
            "SELECT partner, stage, blocker, due_on <= $1 AS due, count(*) AS n FROM incentives"
            " GROUP BY 1, 2, 3, 4 ORDER BY 1",
            today,
        )
    finally:
        await connection.close()
    return tallied(map(dict, rows), playing=playing)


def tallied(rows: Iterable[Mapping[str, Any]], *, playing: bool) -> dict[str, Tally]:
    """`rows`: partner, stage, blocker, whether due, how many. `playing`: who has not linked yet is about to."""
    found: dict[str, Tally] = {}
    for row in rows:
        tally = found.setdefault(row["partner"], Tally())
        if not row["due"]:
            tally.later += row["n"]
            continue
        tally.due += row["n"]
        if row["stage"] == Stage.PAID.value:
            tally.paid += row["n"]
        elif row["stage"] in _ENDED:
            tally.waits[row["stage"]] += row["n"]
        elif row["blocker"] is not None:
            code = BlockerCode(row["blocker"])
            owner = owner_of(code)
            if owner in (Owner.GATEWAY, Owner.PARTNER) or playing and code is BlockerCode.LINK_REQUIRED:
                continue
            tally.waits[owner.value] += row["n"]
    return found
