"""What workers feed to partners under the holds: as the dispatch and the lanes do, one piece at a time.

While the trouble lasts tries are thinned out, since a day of a try every three seconds says no more than forty do; from
its end on they come as in production.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from contracts.hold import STOPS, HoldStage
from gateway.services.each import each
from gateway.services.ops.holds import REFRESH_S
from gateway.services.payouts.sending import Answer
from gateway.worker.outage import Outage, Outages
from tests.sim.snapshot import Held

if TYPE_CHECKING:
    from gateway.resources import Resources
    from tests.sim.town import Services, Town

_STOPS = {kind.value for kind in STOPS}
_THINNED = 6.0
"""Tries follow each other by at least so much of the time for which it has lasted."""


class Feeding:
    """The outage control of one process, with the age of its view of the holds."""

    def __init__(self, resources: Resources, worker: str) -> None:
        self._news = asyncio.Event()
        self._outages = Outages(resources, worker, self._news)
        self._read_s = float("-inf")

    def of(self, slug: str, stage: HoldStage) -> Outage:
        return self._outages.of(slug, stage)

    async def look(self, now_s: float) -> None:
        """What the loop over the holds does: read them again twice a second, and write at once what was seen."""
        if self._news.is_set() or now_s - self._read_s >= REFRESH_S:
            self._news.clear()
            self._read_s = now_s
            await self._outages.tick()


class _Gate:
    """Lets through what the outage control does."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage

    def admit(self) -> bool:
        return self._outage.admit()

    def note(self, answer: Answer) -> None:
        """The desk has told the outage control."""


async def send(town: Town, services: Services, slug: str, limit: int) -> None:
    """As the worker's dispatch does: some are claimed, then sent one by one; of a held partner one."""
    feeding = services.feeding
    await feeding.look(town.now_s)
    outage = feeding.of(slug, HoldStage.PAYOUT)
    town.tried_s[slug, HoldStage.PAYOUT.value] = town.now_s
    if await outage.turn() > 0.0:
        return
    gate, most = _Gate(outage), 1 if outage.down else limit
    claimed = await services.payouts.claim(slug, most)
    for leased in claimed or await services.payouts.claim(slug, most):  # none: a pass was over, and it begins anew
        try:
            await services.payouts.send(leased, gate)
        except town.accidents as error:
            town.trace(f"  not sent: {type(error).__name__}")
    await feeding.look(town.now_s)


async def verify(town: Town, services: Services, slug: str) -> None:
    """As the worker's lanes do: one check, and of a held partner only where it is its turn."""
    feeding = services.feeding
    await feeding.look(town.now_s)
    outage = feeding.of(slug, HoldStage.VERIFY)
    town.tried_s[slug, HoldStage.VERIFY.value] = town.now_s
    if await outage.turn() > 0.0 or (outage.down and not outage.admit()):
        return
    await each("verification", await services.verification.claim(slug, 1), services.verification.check, at_once=1)
    await feeding.look(town.now_s)


def held(town: Town, slug: str, *stages: HoldStage) -> Held | None:
    """The hold that keeps some stages waiting longest; None: nothing does."""
    wanted = {stage.value for stage in stages}
    found = [
        one
        for one in town.state.holds
        if one.open and one.partner == slug and one.stage in wanted and one.kind in _STOPS
    ]
    return max(found, key=lambda one: float("inf") if one.next_canary_s is None else one.next_canary_s, default=None)


def canary_s(town: Town, hold: Held) -> float:
    """When a try is worth making."""
    return max(hold.next_canary_s or float("inf"), thinned_s(town, hold, hold.stage))


def thinned_s(town: Town, hold: Held, name: str) -> float:
    """Not before then, as long as the trouble lasts."""
    ends_s = town.trouble_until_s(hold.partner)
    return min(_later_s(town, hold, name, hold.since_s), ends_s) if ends_s > town.now_s else 0.0


def looked_after_s(town: Town, hold: Held) -> float:
    """When the brake's own loop is to look after a hold: seldom also after the trouble, while nothing happens in the
    store but that it looks. Where nobody is left to be paid a hold may stand for a month.
    """
    thin_s = thinned_s(town, hold, "brake")
    quiet_s = max(town.moved_s, town.trouble_until_s(hold.partner))
    return thin_s or _later_s(town, hold, "brake", quiet_s)


def _later_s(town: Town, hold: Held, name: str, quiet_s: float) -> float:
    """The longer it has been quiet, the later."""
    tried_s = town.tried_s.get((hold.partner, name), hold.since_s)
    return tried_s + max(0.0, tried_s - quiet_s) / _THINNED
