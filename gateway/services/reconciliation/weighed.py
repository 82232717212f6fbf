"""What the readings of a statement came upon, and what of it is told to staff.

Credits in excess are told of at once, as money moves on. What an answer may have shown by being damaged on its way is
told once the next reading shows it too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from contracts.incentive import BlockerCode
from gateway.storage.base.database import Connection
from gateway.storage.ops import cases, switches
from gateway.storage.ops.cases import NewCase
from gateway.storage.reconciliation import findings, statements

FOREIGN, UNREADABLE = "foreign", "unreadable"
_TEXTS: dict[str, Callable[[date], str]] = {
    FOREIGN: lambda day: f"the statement of {day} has credits whose reference is not ours",
    UNREADABLE: lambda day: (
        f"the statement of {day} has lines that cannot be read: it proves nothing absent until the partner has"
        " corrected it"
    ),
}
KINDS = tuple(_TEXTS)
"""What a second reading must bear out."""


class Weighed:
    """What the readings of one day, begun at `started_at`, came upon."""

    def __init__(self, *, partner: str, day: date, started_at: datetime) -> None:
        self.partner, self.day, self.started_at = partner, day, started_at
        self.whole = False
        """Whether the day was read to its end: what was not found is not there."""
        self.payouts: set[int] = set()
        """Of ours, and listed."""
        self.unknown: set[bytes] = set()
        """Credits without a payout of ours."""
        self.foreign: set[bytes] = set()
        """Those whose reference we cannot have made."""
        self.unreadable = 0

    def doubtful(self) -> dict[str, int]:
        """How often each of `KINDS` was found; what was not looked for to its end is left out where it is none."""
        found = {FOREIGN: len(self.foreign), UNREADABLE: min(1, self.unreadable)}
        return {f"{kind}:{self.day}": count for kind, count in found.items() if count or self.whole}


async def tell(connection: Connection, now: datetime, weighed: Weighed) -> None:
    """Cases and a pause for what was found: each finding once, also after staff have dealt with it."""
    partner, day, since = weighed.partner, weighed.day, weighed.started_at
    borne_out = await findings.note(connection, now, partner, day, weighed.doubtful(), since=since)
    told = [_case(partner, _TEXTS[finding.partition(":")[0]](day)) for finding in borne_out]
    twice = await statements.credited_twice(connection, sorted(weighed.payouts))
    by_finding = {f"twice:{payout}:{times}": payout for payout, times in twice.items()}
    news = await findings.note(connection, now, partner, day, dict.fromkeys(by_finding, 1), since=since, at_once=True)
    detail = f"the statement of {day} has more than one credit for this payout"
    again = f"the statement of {day} credits this payout once more than it gives it back: have that credit given back"
    told += [_case(partner, detail if twice[by_finding[one]] > 1 else again, by_finding[one]) for one in news]
    await cases.open_cases(connection, now, told)
    if any(twice[by_finding[one]] > 1 for one in news):
        await switches.pause(connection, now, partner, by="gateway", reason=detail)


def _case(partner: str, detail: str, payout: int | None = None) -> NewCase:
    return NewCase(code=BlockerCode.CONTRADICTION, partner=partner, payout=payout, detail=detail)
