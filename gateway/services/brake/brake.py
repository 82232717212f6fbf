"""Refusals of people are weighed with what the partner said of others: a crowd alike holds the stage, opens a case, and
once the partner says something good again whoever was refused in the run is asked again.

Called in the transaction that stores the answer, so that no process can go on past a hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts.brake import HARD_LOOK, LOOKS_S, RING_LIFE_S, Level, Table, weigh
from contracts.hold import HoldKind, HoldStage
from contracts.incentive import BlockerCode
from gateway.clock import Clock
from gateway.services.brake import batches
from gateway.storage.base.database import Connection, Database
from gateway.storage.brake import batches as stored
from gateway.storage.brake import canaries, refusals
from gateway.storage.brake.refusals import NewRefusal
from gateway.storage.ops import audit, cases, holds
from gateway.storage.ops.cases import NewCase

OPENED_BY = "brake"
FIRST_TRY_S = 3.0
BACK = timedelta(minutes=10)
"""A hold so soon after the last one says that those known good are not like those refused: nobody is chosen then, but
where all who are refused are of one batch, people of others, who show whether it is the batch.
"""
GOOD_ENOUGH = 2
"""So many good answers while a stage is held, and the partner is believed to know people again."""
ASK_EVERY = timedelta(minutes=2)
EDGE = timedelta(minutes=10)
"""So long before an outage and after it a partner's refusals may be part of it."""
KEPT = timedelta(days=90)
"""How long a refusal is remembered, and can be asked about again."""


class Weight(NamedTuple):
    """What a refusal weighs."""

    level: Level
    """What the partner's last answers give: a hold is open from `HOLD` on."""
    since: datetime
    """When it was said first, with nothing good said in between."""

    def hard(self, now: datetime, hard_s: float) -> bool:
        """Whether something may follow that is hard to undo: it was said long enough ago and is still said, and the
        last answers are no crowd's.
        """
        return self.level is Level.CALM and now >= self.since + timedelta(seconds=hard_s)


async def refused(connection: Connection, now: datetime, said: NewRefusal, looks_s: Sequence[float]) -> Weight:
    """A partner refused somebody, who is asked about again after `looks_s`; what that weighs."""
    await refusals.lock_stage(connection, said.partner, said.stage)
    added = await refusals.add(connection, now, said, looks_s)
    answers = await refusals.ring(connection, now, said.partner, said.stage, known=said.known)
    level = weigh(answers, Table.KNOWN if said.known else Table.USUAL)
    if added.doubted_at is not None:  # it is about the file: nobody is held for it, nor anything hard in its first day
        young = now < added.doubted_at + timedelta(seconds=LOOKS_S[HARD_LOOK])
        return Weight(max(level, Level.SUSPICION) if young else level, added.since)
    if level is Level.HOLD:
        await _hold(connection, now, said, answers)
    return Weight(level, added.since)


async def holds_crowd(connection: Connection, partner: str, stage: HoldStage) -> bool:
    """Whether a stage is held for a crowd."""
    found = await holds.open_holds(connection, partner)
    return any((one.stage, one.kind) == (stage, HoldKind.BRAKE) for one in found)


class Brake:
    """Looks after the holds that a crowd has made, in a worker."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def tick(self) -> int:
        """Release the holds that the partner's good answers allow; else have two of those refused asked again now and
        then: there may be nobody else to ask. Whoever released a hold, all who were refused in it are asked again.
        Returns 0: there is nothing more to do at once.
        """
        async with self._database.connection() as connection:
            held = [one for one in await holds.open_holds(connection) if one.kind is HoldKind.BRAKE]
        for hold in held:
            async with self._database.transaction() as connection:
                now = self._clock.now()
                answers = await refusals.good_answers(connection, hold.partner, hold.stage)
                good = hold.good_before is not None and answers >= hold.good_before + GOOD_ENOUGH
                if good or await _quiet(connection, now, hold):
                    await holds.release(connection, now, hold.partner, hold.stage, [HoldKind.BRAKE], by=OPENED_BY)
                elif hold.stage is not HoldStage.LINK and await holds.run_asked(
                    connection, now, hold.id, now - ASK_EVERY
                ):
                    since = hold.since - timedelta(seconds=RING_LIFE_S)
                    some = await refusals.run(
                        connection, now, hold.partner, hold.stage, since=since, limit=GOOD_ENOUGH, in_turn=True
                    )
                    await refusals.lift(connection, now, hold.stage, some)
                    await _choose(connection, now, hold)
        async with self._database.transaction() as connection:
            now = self._clock.now()
            for hold in await holds.released_runs(connection, now, EDGE):
                if hold.kind is HoldKind.OUTAGE:
                    await _ask_around(connection, now, hold)
                    continue
                await refusals.forgive(connection, hold.partner, hold.stage)
                if hold.stage is HoldStage.VERIFY:
                    await canaries.ask_the_spared(connection, now, hold.partner, hold.since)
                since = hold.since - timedelta(seconds=RING_LIFE_S)
                await ask_again(connection, now, hold.partner, hold.stage, since=since)
                await cases.close_about(connection, now, hold.partner, _case(hold.stage), by=OPENED_BY)
        return 0

    async def tick_batches(self) -> int:
        """Tell of batches most of whose people are refused while others are not (`batches.judge`)."""
        async with self._database.transaction() as connection:
            await batches.judge(connection, self._clock.now(), by=OPENED_BY)
        return 0

    async def tick_looks(self, limit: int = 100) -> int:
        """Ask once more about people who were refused some time ago (`LOOKS_S`): a slip of the partner's that was too
        small for a crowd must not refuse anybody for good.
        """
        async with self._database.transaction() as connection:
            return await refusals.look(connection, self._clock.now(), limit)

    async def tick_purge(self, limit: int = 500) -> int:
        """Forget refusals of long ago."""
        async with self._database.connection() as connection:
            return await refusals.purge(connection, self._clock.now() - KEPT, limit)

    async def ask_again(
        self, partner: str, stage: HoldStage, *, since: datetime, until: datetime | None, code: str | None, actor: str
    ) -> int:
        """Have everybody asked again who was refused in a time; how many. Their word never says that anybody is right:
        the partner decides anew.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            asked = await ask_again(connection, now, partner, stage, since=since, until=until, code=code)
            data = {"stage": stage.value, "since": since, "until": until, "code": code, "asked": asked}
            await audit.record(connection, now, actor, "partner.ask_again", partner, data)
        return asked


async def ask_again(
    connection: Connection,
    now: datetime,
    partner: str,
    stage: HoldStage,
    *,
    since: datetime,
    until: datetime | None = None,
    code: str | None = None,
) -> int:
    """Lift what people were refused for in a time (by `code`, ours or the partner's), so that the partner is asked
    anew; how many. What was refused moved no money, so nobody is paid twice by it.
    """
    asked = 0
    while taken := await refusals.run(connection, now, partner, stage, since=since, until=until, code=code):
        asked += len(taken)
        await refusals.lift(connection, now, stage, taken)
    if asked:
        await connection.execute("SELECT pg_notify('gateway', 'dispatch')")
    return asked


async def _ask_around(connection: Connection, now: datetime, outage: holds.Hold) -> None:
    """Ask again about whoever was refused in an outage, or right before or after it, whatever stage had failed."""
    assert outage.released_at is not None
    for stage in (HoldStage.LINK, HoldStage.PROOF, HoldStage.VERIFY, HoldStage.PAYOUT):
        await ask_again(
            connection, now, outage.partner, stage, since=outage.since - EDGE, until=outage.released_at + EDGE
        )


async def _hold(connection: Connection, now: datetime, said: NewRefusal, answers: list[bool]) -> None:
    words = f"{sum(answers)} of the last {len(answers)} answers refused, lately {said.partner_code or said.code.value}"
    opened = await holds.hold(
        connection,
        now,
        holds.NewHold(
            partner=said.partner,
            stage=said.stage,
            kind=HoldKind.BRAKE,
            fault=None,
            words=words,
            opened_by=OPENED_BY,
            next_canary_at=None if said.stage is HoldStage.LINK else now + timedelta(seconds=FIRST_TRY_S),
            good_before=await refusals.good_answers(connection, said.partner, said.stage),
        ),
    )
    if opened is None:
        return
    await _choose(connection, now, opened)
    since = now - timedelta(seconds=RING_LIFE_S)
    counts = await refusals.counted(connection, said.partner, said.stage, since)
    told = ", ".join(f"{word} {n} times" for word, n in counts)
    detail = f"{_case(said.stage)} a crowd was refused alike ({told}); {_meanwhile(said.stage)}"
    await cases.open_cases(
        connection, now, [NewCase(code=BlockerCode.PARTNER_UNAVAILABLE, partner=said.partner, detail=detail)]
    )


async def _quiet(connection: Connection, now: datetime, hold: holds.Hold) -> bool:
    """Whether nobody was refused for hours, at the stage where only participants can show that a partner is right."""
    if hold.stage is not HoldStage.LINK:
        return False
    return True not in await refusals.ring(connection, now, hold.partner, hold.stage, known=False)


def _meanwhile(stage: HoldStage) -> str:
    if stage is HoldStage.LINK:
        return "whoever comes may try, and those refused are invited again once it is over"
    return "nothing is sent but a try now and then"


async def _choose(connection: Connection, now: datetime, hold: holds.Hold) -> None:
    """Have somebody known good asked about. Of payments nobody is chosen: whoever waits for one was matched before."""
    if hold.stage is HoldStage.PROOF:
        await canaries.look_at_good_links(connection, now, hold.partner, GOOD_ENOUGH)
    elif hold.stage is HoldStage.VERIFY:
        batch = None
        if await holds.came_back(connection, hold, BACK):
            batch = await stored.of_run(connection, now, hold.partner, hold.stage)
            if batch is None:
                return
        await canaries.check_known_good(connection, now, hold.partner, GOOD_ENOUGH, not_of=batch)


def _case(stage: HoldStage) -> str:
    """How the case of a stage's brake begins."""
    return f"brake at {stage.value}:"
