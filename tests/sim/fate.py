"""What happens from outside at moments that the seed chooses: outages, midnights, people who change their minds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.clock import start_of_jakarta_day
from tests.sim import restore
from tests.sim.baton import Actor, Crash
from tests.sim.manners import CLOCKS, CONTRADICTS, PAGES, SPARSE, drawn_skew
from tests.sim.people import CORE, Gone, asked, change_account
from tests.sim.wire import DROPPED, LOST, REFUSED

if TYPE_CHECKING:
    import random

    from tests.sim.town import Town

SPARSE_JUMPS = 8
"""By so many jumps a run of two months takes its time."""
Happening = Callable[["Town", "random.Random"], Awaitable[None]]


async def _outage(town: Town, rng: random.Random) -> None:
    side = town.sides[rng.choice(sorted(town.sides))]
    hours = rng.choice([0.05, 0.3, 2.0, 7.0, 26.0])
    side.down_until_s, side.down_how = town.now_s + hours * 3600, rng.choice([REFUSED, DROPPED, LOST, "502 html"])
    town.trace(f"{side.slug} is down for {hours} h: {side.down_how}")


async def _midnight(town: Town, rng: random.Random) -> None:
    tomorrow = start_of_jakarta_day(town.local().date() + timedelta(days=1))
    town.pass_s(max(0.0, tomorrow.timestamp() + rng.choice([-3.0, 1.0, 90.0]) - town.now_s))
    town.trace("midnight")


async def _jump(town: Town, rng: random.Random) -> None:
    hours = rng.choice([30.0, 100.0, 250.0, 400.0] if SPARSE in town.manners else [0.1, 1.1, 3.0, 25.0, 49.0])
    town.pass_s(hours * 3600)
    town.trace(f"{hours} h go by")


async def _revoke(town: Town, rng: random.Random) -> None:
    person = rng.choice(town.people)
    side = town.sides[person.partner]
    account = side.world.accounts.get(person.account)
    if account is not None and await side.revoke(account):
        ended = (p for p in town.people if (p.partner, p.account) == (person.partner, person.account))
        town.revoked.update(p.participant_id for p in ended)  # whoever has linked it: the account is one
        town.trace(f"{person.participant_id} ends the link at {person.partner}")


async def _change(town: Town, rng: random.Random) -> None:
    able = [person for person in town.people if person.spare]
    if able:
        await change_account(town, rng.choice(able))


async def _cancel(town: Town, rng: random.Random) -> None:
    if not town.state.incentives:
        return
    number = rng.choice(town.state.incentives).id
    town.cancelled.add(number)  # even if nobody hears of it
    try:
        await asked(town, lambda s: s.incentives.cancel(number, actor=CORE))
    except Gone as why:
        town.trace(f"cancel: {why}")


async def _hasten(town: Town, rng: random.Random) -> None:
    if town.state.incentives:
        number = rng.choice(town.state.incentives).id
        try:
            await asked(town, lambda s: s.payouts.hasten(number))
        except Gone as why:
            town.trace(f"hasten: {why}")


async def _verify(town: Town, rng: random.Random) -> None:
    name = rng.choice(town.people).participant_id
    try:
        await asked(town, lambda s: s.verification.request(name))
    except Gone as why:
        town.trace(f"verification: {why}")


async def _unlink(town: Town, rng: random.Random) -> None:
    active = [link.id for link in town.state.links if link.state == "active"]
    if active:
        number = rng.choice(active)
        try:
            await asked(town, lambda s: s.linking.unlink(number, CORE))
        except Gone as why:
            town.trace(f"unlink: {why}")


async def _cache(town: Town, rng: random.Random) -> None:
    town.cache.values.clear()
    town.cache.down = rng.random() < 0.5
    town.trace("the cache is lost" + (" and stays away" if town.cache.down else ""))


async def _blackout(town: Town, rng: random.Random) -> None:
    town.trace("every process dies")
    for actor in [a for a in town.baton.actors if a.process is not None and a.gate is not None]:
        town.doomed.append(actor)
    for process in town.free():
        process.restart()


async def _pause(town: Town, rng: random.Random) -> None:
    slug = rng.choice(sorted(town.sides))
    try:
        await asked(town, lambda s: s.partners.pause(slug, "as the seed wants", actor="operator"))
    except Gone as why:
        town.trace(f"pause: {why}")


async def _short(town: Town, rng: random.Random) -> None:
    side = town.sides[rng.choice(sorted(town.sides))]
    town.deposit_was_short = True
    side.world.deposit_rupiah = 0
    town.trace(f"the deposit at {side.slug} is empty")


async def _clock(town: Town, rng: random.Random) -> None:
    if CLOCKS in town.manners:
        side = town.sides[rng.choice(sorted(town.sides))]
        side.clock.jumps(*drawn_skew(rng))
        town.trace(f"the clock of {side.slug} jumps: it is {side.clock.skew_s():.0f} s off")


async def _holes(town: Town, rng: random.Random) -> None:
    side = town.sides[rng.choice(sorted(town.sides))]
    if PAGES in town.manners and not side.had_holes and not (side.slug == "gopay" and CONTRADICTS in town.manners):
        side.had_holes = side.holes_armed = True
        side.holes_n = rng.choice([0, 1, 2])
        town.trace(f"the next list of {side.slug} will have holes")


async def _configure(town: Town, rng: random.Random) -> None:
    """Another configuration is rolled out: some processes begin anew with it, the others when they next die."""
    town.trace(f"another {town.configure(rng)}, for who is started from now on")
    free = town.free()
    for process in rng.sample(free, rng.randint(0, len(free))):
        process.restart()
        town.trace(f"{process.name} is started with it")


HAPPENINGS: dict[str, tuple[Happening, int]] = {
    "outage": (_outage, 6), "midnight": (_midnight, 5), "jump": (_jump, 5), "revoke": (_revoke, 4),
    "change": (_change, 3), "cancel": (_cancel, 1), "hasten": (_hasten, 2), "verify": (_verify, 1),
    "unlink": (_unlink, 2), "cache": (_cache, 3), "blackout": (_blackout, 3), "pause": (_pause, 1),
    "short": (_short, 1), "clock": (_clock, 3), "holes": (_holes, 3), "configure": (_configure, 4),
}  # fmt: skip
OTHERS: dict[str, Happening] = {"copy": restore.take_copy, "put back": restore.put_back}
"""Drawn by themselves."""


def plan(town: Town) -> dict[int, tuple[str, random.Random]]:
    """What happens at which turn."""
    rng = town.chance.stream("fate")
    planned: dict[int, tuple[str, random.Random]] = {}
    names, weights = list(HAPPENINGS), [weight for _, weight in HAPPENINGS.values()]
    for number in range(rng.randrange(town.profile.events + 1)):
        turn = int(rng.triangular(5, 60 + 12 * len(town.people) * 6, 40))
        planned[turn] = (rng.choices(names, weights=weights)[0], town.chance.stream(f"fate {number}"))
    for number in range(SPARSE_JUMPS if SPARSE in town.manners else 0):
        turn = int(rng.triangular(5, 60 + 12 * len(town.people) * 6, 60))
        planned[turn] = ("jump", town.chance.stream(f"fate of sixty days {number}"))
    return planned | restore.plan(town)


def happen(town: Town, name: str, rng: random.Random) -> Actor | None:
    """Let it happen, unless only others may."""
    if not town.chance.happens(f"{name} at turn {town.turns}"):
        return None

    async def work() -> None:
        if town.chance.over:
            return  # planned before the faults were over, and its turn came after
        try:
            await (OTHERS.get(name) or HAPPENINGS[name][0])(town, rng)
        except Crash:
            return

    return Actor(name, work)
