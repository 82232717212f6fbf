"""The guard over all: what stands still without a word becomes a case by itself, and so does a partner that refuses us.

Every wait of the gateway has a next time, a blocker or a hold. What has none of them is a bug of ours or a change
behind its back, and nobody would be told: so it is looked for, by what must be true of every row and not by how it came
about.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

from contracts.hold import blocker_of
from contracts.incentive import BLOCKERS, BlockerCode, Owner
from gateway.clock import Clock, jakarta_day
from gateway.storage.base.database import Connection, Database
from gateway.storage.ops import cases, silence
from gateway.storage.ops.cases import NewCase
from gateway.storage.ops.silence import Held, Silent

LATE = timedelta(minutes=15)
"""So long after its time nothing may have happened. Leases, time-outs and the longest back-off but a canary's are
shorter.
"""
REFUSED_FOR = timedelta(hours=1)
"""So long a partner may refuse us, or our token, before somebody is asked to talk to it."""
AWAY_FOR = timedelta(days=1)
"""So long it may be away, closed or too busy for us."""
UNDECIDED_FOR = timedelta(days=7)
"""So long a NIK check may go without a verdict before somebody is asked to talk to the partner."""
UNRENEWED_FOR = timedelta(days=7)
"""So long after its end a person's access may get neither a fresh token nor a refusal."""
UNLOOKED_FOR = timedelta(days=7)
"""So long a partner may answer nothing that can be read about whether a person's link stands."""
TICK_S = 60.0
MOST = 200
"""Payouts of one look; the next look finds the others."""
_BY = "guard"
_REFUSES, _AWAY = "refuses us at ", "has been away, closed or too busy for us at "
_UNDECIDED = "NIK checks without a verdict for more than a week"
_UNRENEWED = "access that ended could not be renewed for more than a week"
_UNLOOKED = "links of which the partner has said nothing readable for more than a week"
_WAITING = tuple(
    code
    for code, text in BLOCKERS.items()
    if text.owner in (Owner.GATEWAY, Owner.PARTNER) and code is not BlockerCode.VERIFICATION_UNSUPPORTED
)


class Guard:
    """Looks for silence, and for refusals that last."""

    def __init__(self, database: Database, clock: Clock, partners: Collection[str]) -> None:
        self._database = database
        self._clock = clock
        self._partners = tuple(partners)

    async def tick(self) -> int:
        """Open and close cases; for a worker's loop. Nothing more to do at once: 0."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            found = await silence.silent(connection, now - LATE, jakarta_day(now), _WAITING, self._partners, MOST)
            await cases.open_cases(connection, now, [_case(one) for one in found])
            payouts = [one.payout for one in found if one.payout is not None]
            texts = [(one.partner, _text(one)) for one in found if one.payout is None]
            if len(payouts) < MOST:  # else some were not looked at
                await silence.close_others(connection, now, payouts, texts, by=_BY)
            await self._refusals(connection)
            await self._undecided(connection)
        return 0

    async def _undecided(self, connection: Connection) -> None:
        now = self._clock.now()
        checks = await silence.undecided(connection, now - UNDECIDED_FOR)
        texts = {partner: f"of {people} people; its words on the first: {said}" for partner, people, said in checks}
        await self._people(connection, BlockerCode.VERIFICATION_PENDING, _UNDECIDED, texts)
        ended = await silence.unrenewed(connection, now - UNRENEWED_FOR, now + LATE)
        texts = {partner: f"of {people} people; nothing is paid to them until then" for partner, people in ended}
        await self._people(connection, BlockerCode.PARTNER_UNAVAILABLE, _UNRENEWED, texts)
        links = await silence.unlooked(connection, now - UNLOOKED_FOR)
        texts = {partner: f"of {people} people; what is due to them may wait for it" for partner, people in links}
        await self._people(connection, BlockerCode.PARTNER_UNAVAILABLE, _UNLOOKED, texts)

    async def _people(self, connection: Connection, code: BlockerCode, what: str, texts: Mapping[str, str]) -> None:
        """One case a partner, however many people wait: what one word of theirs lifts is one matter."""
        now = self._clock.now()
        for partner, text in texts.items():
            if not await silence.has_case(connection, partner, what):
                await cases.open_cases(connection, now, [NewCase(code=code, partner=partner, detail=f"{what}, {text}")])
        for partner, _ in await silence.cases_about(connection, what):
            if partner not in texts:
                await cases.close_about(connection, now, partner, what, by=_BY)

    async def _refusals(self, connection: Connection) -> None:
        now = self._clock.now()
        refused = await silence.refused(connection, now - REFUSED_FOR)
        await self._lasting(connection, _REFUSES, refused, "for more than an hour")
        away = await silence.away(connection, now - AWAY_FOR)
        await self._lasting(connection, _AWAY, away, "for more than a day")

    async def _lasting(self, connection: Connection, says: str, holds: Collection[Held], since: str) -> None:
        """One case for each partner and stage of these holds, closed once it is held so no more."""
        now = self._clock.now()
        lasting = set()
        for partner, stage, fault, words in holds:
            beginning = f"{says}{stage} "
            lasting.add((partner, beginning))
            if not await silence.has_case(connection, partner, beginning):
                case = NewCase(
                    code=blocker_of(fault), partner=partner, detail=f"{beginning}{since}, in its words: {words}"
                )
                await cases.open_cases(connection, now, [case])
        for partner, detail in await silence.cases_about(connection, says):
            beginning = says + detail.removeprefix(says).partition(" ")[0] + " "
            if (partner, beginning) not in lasting:
                await cases.close_about(connection, now, partner, beginning, by=_BY)


def _case(one: Silent) -> NewCase:
    return NewCase(
        code=BlockerCode.STALLED, partner=one.partner, detail=_text(one), payout=one.payout, incentive=one.incentive
    )


def _text(one: Silent) -> str:
    minutes = int(LATE.total_seconds() // 60)
    if one.payout is not None:
        return f"this payout should have gone on more than {minutes} minutes ago; does a worker run?"
    return f"{one.what} stand still for more than {minutes} minutes; does a worker run?"
