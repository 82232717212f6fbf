"""The store goes back: a copy of it, taken at one moment, stands in its place at a later one, and an operator recovers.

What was committed in between is forgotten. The partners, the participants and what is on its way have not forgotten it,
nor have processes that live on. Drawn beside everything else, so that each seed without it is as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from gateway.services.reconciliation.recovery import Progress, nobodys
from gateway.storage.reconciliation.strays import Stray
from tests.sim.baton import Actor
from tests.sim.cohort import Person
from tests.sim.people import Gone, asked, change_account, move
from tests.sim.store import Copy

if TYPE_CHECKING:
    import random

    from tests.sim.town import Services, Town

OFTEN = 0.12
"""Of the seeds that are not calm, so many have their store put back once."""
BETWEEN = (3, 12, 40, 120, 300)
"""So many turns after the copy."""
NOTICED_S = (0.0, 60.0, 900.0, 20_000.0)
"""How long it takes the operator to see that everyone is held."""
WAITS_S, MOST_WAITS = 20.0, 500
AGAIN_S, MOST_ROUNDS = 600.0, 600


class Forgotten(NamedTuple):
    """A payout that the store knows nothing of any more."""

    incentive: int
    amount_rupiah: int


@dataclass
class Restore:
    """One seed's."""

    drawn: bool = False
    copied: Copy | None = None
    at_s: float = 0.0
    booked: int = 0
    """How many bookings partners had when the copy was taken."""
    people: tuple[Person, ...] = ()
    done: bool = False
    recovered: bool = False


def plan(town: Town) -> dict[int, tuple[str, random.Random]]:
    """When the copy is taken and when it is put back."""
    rng = town.chance.stream("restore")
    if rng.random() >= OFTEN or town.crowd is not None or town.profile.events <= 1:
        return {}
    town.restore.drawn = True
    first = int(rng.triangular(20, 60 + 40 * len(town.people), 60))
    return {first: ("copy", rng), first + rng.choice(BETWEEN): ("put back", rng)}


async def take_copy(town: Town, rng: random.Random) -> None:
    """Of what is committed now."""
    restore = town.restore
    if not town.state.incentives:
        return  # nobody would hand it over again
    await town.store.beats(town.now_s)
    restore.copied, restore.at_s, restore.booked = await town.store.copy(), town.now_s, _booked(town)
    restore.people = tuple(copy.deepcopy(town.people))
    town.trace("the store is copied")


async def put_back(town: Town, rng: random.Random) -> None:
    """The copy takes the store's place; everyone dies with the old one, or lives on with what they remember."""
    restore = town.restore
    if restore.copied is None or restore.done:
        return
    if rng.random() < 0.7:
        for _ in range(MOST_WAITS):  # the worst moment is soon after something was paid
            if _booked(town) > restore.booked or town.chance.over:
                break
            await town.baton.rest(town.now_s + WAITS_S)
    if town.chance.over:
        return
    own = town.baton.actor
    busy = [one for one in town.baton.actors if one.process is not None and one.gate is not None and one is not own]
    everyone = rng.random() < 0.5
    if everyone:
        town.doomed += busy
    while town.doomed or not town.store.quiet:
        await town.baton.rest(town.now_s + 0.01)
    await town.store.beats(town.now_s)  # which each process sees within seconds
    for process in town.processes:
        await process.timeline.compare(town.observer)
        await process.timeline.beat(town.cache, town.observer)  # type: ignore[arg-type]
    told = everyone and not town.cache_knows()
    restore.done = True
    _forget(town)
    await town.store.put_back(restore.copied)
    if everyone:
        for process in town.free():
            process.restart()
    town.trace(f"the store is as it was {town.now_s - restore.at_s:.0f} s ago" + (", and everyone dies" * everyone))
    for instance in sorted(town.instances):  # of several changes since, the copy cannot know each
        while not await _said(town, lambda s, instance=instance: s.recoveries.used(instance, actor="operator")):
            await town.baton.rest(town.now_s + 5.0)
    if told:  # no process and no cache remembers more than the copy: only who put it back knows, and says so
        while not await _said(town, lambda s: s.recoveries.open(_at(restore.at_s), actor="operator")):
            await town.baton.rest(town.now_s + 5.0)
    town.dirty = True
    await town.look()
    for person in town.people:  # a change that the copy has, and its maker had not heard of yet
        move(town, person)
    town.baton.add(Actor("recover", lambda: _recover(town, rng.choice(NOTICED_S))))


def _booked(town: Town) -> int:
    return sum(len(side.world.books) for side in town.sides.values())


def _forget(town: Town) -> None:
    """What the rules must know of what is forgotten."""
    for payout in town.state.payouts:
        town.forgotten[payout.partner, payout.reference] = Forgotten(payout.incentive, payout.amount_rupiah)
        town.loose |= {key for key in (payout.reference, payout.number) if key is not None}
    town.survivors = {actor for actor in town.baton.actors if actor.process is not None}
    town.settled.clear()
    town.notices_lost = True  # nobody says again what was heard since the copy
    before = {one.participant_id: one for one in town.restore.people}
    for person in town.people:
        was = before[person.participant_id]
        for field in fields(person):
            if field.name not in ("visiting", "visits", "next_visit_s"):
                setattr(person, field.name, getattr(was, field.name))
        person.visits = 0


async def _recover(town: Town, delay_s: float) -> None:
    """`gateway recover`, again and again until nothing is held; whatever nobody can match, two people settle."""
    await town.baton.rest(town.now_s + delay_s)
    for _ in range(MOST_ROUNDS):
        try:
            progress = await asked(town, lambda s: s.recoveries.round())
            await _settle(town)
            under_way = await asked(town, lambda s: s.recoveries.under_way())
            if not under_way and town.restore.done:
                await asked(town, lambda s: s.recoveries.strays.tick())
                await _settle(town)
                break
        except Gone as why:
            town.trace(f"recover: {why}")
            await town.baton.rest(town.now_s + 5.0)
            continue
        await town.baton.rest(_next_s(town, progress))
    else:
        town.bad("the recovery has no end")
    town.restore.recovered = True
    town.trace("recovered")


def _next_s(town: Town, progress: object) -> float:
    """When another round can find out more."""
    assert isinstance(progress, list)
    told: list[Progress] = progress
    ahead = [one.settled_at.timestamp() for one in told if not one.released and not one.to_look_up]
    return max(min(ahead, default=0.0), town.now_s + AGAIN_S)


async def settle_late(town: Town) -> None:
    """As `_settle`, of what turned up once the recovery was over."""
    try:
        await _settle(town)
    except Gone as why:
        town.trace(f"settle: {why}")


async def _settle(town: Town) -> None:
    """Two people settle credits that nobody can be matched with, or that leave a choice: they know from their files."""
    strays = await asked(town, lambda s: s.recoveries.strays.unsettled())
    assert isinstance(strays, list)
    settled: list[Stray] = strays
    held = bool(await asked(town, lambda s: s.recoveries.under_way()))
    for stray in nobodys(settled) if held else settled:
        known = town.forgotten.get((stray.partner, stray.reference))
        if known is None:
            town.bad(f"{stray.partner} has a credit under {stray.reference} that was never ours")
            return
        await _change_again(town, stray, known.incentive)
        for name in ("operator", "another"):
            try:
                await asked(town, _settling(stray.reference, known.incentive, name))
            except Gone as why:
                town.trace(f"settle {stray.reference}: {why}")


async def _change_again(town: Town, stray: Stray, incentive: int) -> None:
    """A change of account was forgotten: core makes it once more, so that the incentive is one of that partner's."""
    told = next(one for one in town.state.incentives if one.id == incentive)
    person = next(one for one in town.people if one.participant_id == told.participant_id)
    row = next(one for one in town.state.participants if one.participant_id == told.participant_id)
    paid_to = None if stray.account_index is None else stray.account_index.hex()
    elsewhere = told.partner != stray.partner or paid_to not in (None, row.account)
    if elsewhere and any(town.account_index(*spare) == paid_to for spare in person.spare):
        await change_account(town, person)


def _settling(reference: str, incentive: int, name: str) -> Callable[[Services], Awaitable[object]]:
    return lambda services: services.recoveries.strays.settle(reference, incentive, actor=name)


async def _said(town: Town, what: Callable[[Services], Awaitable[object]]) -> bool:
    try:
        await asked(town, what)
    except Gone as why:
        town.trace(f"recover: {why}")
        return False
    return True


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
