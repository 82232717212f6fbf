"""What the readings of a statement came upon, and what of it is told to staff.

Credits in excess are told of at once, as money moves on. What may only come of an answer that was damaged on its way is
told once the next reading shows it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime

from contracts.incentive import BlockerCode
from contracts.observation import Source, StatementLine
from contracts.payout import pending
from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.payouts.words import Finding, What, Word
from gateway.storage.base.database import Connection
from gateway.storage.ops import cases, switches
from gateway.storage.ops.cases import NewCase
from gateway.storage.reconciliation import findings, lookalikes, statements

FOREIGN, UNREADABLE = "foreign", "unreadable"
_TEXTS: dict[str, Callable[[date], str]] = {
    FOREIGN: lambda day: f"the statement of {day} has credits or reversals whose reference is not ours",
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
        self.settled = False
        """Whether, besides, each line could be read and the list held still."""
        self.listed: Counter[tuple[int, str, datetime]] = Counter()
        """Of ours: payout, kind and moment of each booking."""
        self.unknown: set[bytes] = set()
        """Credits without a payout of ours."""
        self.foreign: set[bytes] = set()
        """Those, and reversals, whose reference we cannot have made."""
        self.unreadable = 0
        self.failed: Exception | None = None
        """Why something that is listed could not be applied."""

    @property
    def payouts(self) -> list[int]:
        """Of ours, and listed."""
        return sorted({payout for payout, _, _ in self.listed})

    def doubtful(self) -> dict[str, int]:
        """How often each of `KINDS` was found; one that was not found is left out unless the day was read whole."""
        found = {FOREIGN: len(self.foreign), UNREADABLE: min(1, self.unreadable)}
        return {f"{kind}:{self.day}": count for kind, count in found.items() if count or self.whole}


async def tell(connection: Connection, now: datetime, weighed: Weighed) -> None:
    """Cases and a pause for what was found: each finding once, also after staff have dealt with it."""
    partner, day, since = weighed.partner, weighed.day, weighed.started_at
    borne_out = await findings.note(connection, now, partner, day, weighed.doubtful(), since=since)
    told = [_case(partner, _TEXTS[finding.partition(":")[0]](day)) for finding in borne_out]
    twice = await statements.credited_twice(connection, weighed.payouts)
    by_finding = {twice_of(payout, times): payout for payout, times in twice.items()}
    news = await findings.note(connection, now, partner, day, dict.fromkeys(by_finding, 1), since=since, at_once=True)
    told += [_case(partner, _excess(day, twice[by_finding[one]]), by_finding[one]) for one in news]
    await cases.open_cases(connection, now, told)
    if any(twice[by_finding[one]] > 1 for one in news):
        await switches.pause(connection, now, partner, by="gateway", reason=_excess(day, 2))


async def suspects(connection: Connection, weighed: Weighed) -> list[int]:
    """Payouts that seem to be credited twice, and of which nobody was told yet."""
    twice = await statements.credited_twice(connection, weighed.payouts)
    names = {twice_of(payout, times): payout for payout, times in twice.items()}
    told = await findings.told(connection, weighed.partner, names)
    return [payout for name, payout in names.items() if name not in told]


async def forget(connection: Connection, now: datetime, weighed: Weighed, payouts: Sequence[int]) -> None:
    """Stop counting, for some payouts, what the day no longer lists, if it was read so that this can be told."""
    if weighed.settled:
        await statements.forget(connection, now, weighed.day, payouts, weighed.listed)


def twice_of(payout: int, times: int) -> str:
    """What it is noted under that a payout was credited so often in excess."""
    return f"twice:{payout}:{times}"


def _excess(day: date, times: int) -> str:
    if times > 1:
        return f"the statement of {day} has more than one credit for this payout"
    if times < 0:
        return f"the statement of {day} gives this payout back more often than it was credited: ask the partner why"
    return f"the statement of {day} credits this payout once more than it gives it back: have that credit given back"


async def keep_lookalikes(
    connection: Connection, vault: Vault, now: datetime, partner: str, day: date, lines: Sequence[StatementLine]
) -> None:
    """Keep which payouts in doubt some credits without a payout of ours may be."""
    found = [
        lookalikes.Credit(
            line.reference,
            line.amount_rupiah,
            None if line.account is None else vault.index(places.account_index(partner), line.account.reveal()),
            line.booked_at,
        )
        for line in lines
    ]
    await lookalikes.keep(connection, now, partner, day, found)


def _case(partner: str, detail: str, payout: int | None = None) -> NewCase:
    return NewCase(code=BlockerCode.CONTRADICTION, partner=partner, payout=payout, detail=detail)


def looks_alike(payout: int, day: date) -> Finding:
    """A payout that may be listed under another name."""
    detail = (
        f"the statement of {day} has a credit that may be this payout under another reference: its amount, and its"
        " account as far as that is told; ask the partner whether it is, and settle it with what it says"
    )
    return Finding(payout=payout, what=What.LOOKALIKE, detail=detail)


def not_booked_yet(payout: int, line: StatementLine) -> Word:
    """The partner lists it as not booked yet: it knows it, so that it is not absent."""
    return Word(
        payout=payout,
        source=Source.STATEMENT,
        outcome=pending(partner_reference=line.partner_reference),
        event_key="statement:pending",
    )
