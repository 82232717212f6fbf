"""A crowd that may not link is the partner's trouble: told, and everybody in it invited again once it is over."""

from __future__ import annotations

import pytest

from contracts.brake import RING_LIFE_S
from contracts.incentive import BlockerCode
from contracts.linking import LinkRefused
from gateway.services.brake.brake import GOOD_ENOUGH, Brake
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import World

CROWD = 7
REFUSED = LinkRefused(code=BlockerCode.ACCOUNT_NOT_FOUND, partner_code="4040711")


async def person(world: World, n: int) -> str:
    return await world.person("sole", account=f"+62812000001{n:02d}", nik=f"110101010190{9910 + n}")


async def crowd(world: World) -> list[str]:
    people = [await person(world, n) for n in range(CROWD)]
    for pid in people:
        await world.linked(pid, REFUSED)
    return people


async def open_holds(world: World) -> list[tuple[str, str]]:
    return [(row["kind"], row["stage"]) for row in await world.all("SELECT * FROM holds WHERE released_at IS NULL")]


@pytest.mark.parametrize("by", ["good answers", "nobody comes"])
async def test_a_crowd_that_may_not_link_is_told_and_invited_again(world: World, by: str) -> None:
    watch = Brake(world.database, world.clock)
    people = await crowd(world)
    assert await open_holds(world) == [("brake", "link")]
    (case,) = await world.all("SELECT detail FROM cases WHERE closed_at IS NULL")
    assert case["detail"].startswith("brake at link: a crowd was refused alike (4040711")
    world.clock.forward(600)
    await watch.tick()
    assert {await world.incentive(pid) for pid in people} == {("awaiting_link", "account_not_found")}, "as it stands"
    if by == "nobody comes":
        world.clock.forward(RING_LIFE_S)
    else:
        for n in range(CROWD, CROWD + GOOD_ENOUGH):
            await world.linked(await person(world, n), granted(f"token-{n}"))
    await watch.tick()
    assert await open_holds(world) == []
    assert {await world.incentive(pid) for pid in people} == {("awaiting_link", "link_required")}
    assert await world.all("SELECT FROM cases WHERE closed_at IS NULL") == []
    await world.linked(people[0], granted("token-0"))
    assert (await world.facts(people[0]))[0]


async def test_who_tries_a_wrong_number_again_and_again_is_no_crowd_and_stays_refused(world: World) -> None:
    pid = await person(world, 1)
    for _ in range(CROWD + 1):
        await world.linked(pid, REFUSED)
    assert await open_holds(world) == []
    assert await world.incentive(pid) == ("awaiting_link", "account_not_found")


async def test_who_has_linked_meanwhile_or_was_refused_for_something_else_keeps_it(world: World) -> None:
    people = await crowd(world)
    await world.linked(people[0], granted("token-0"))
    await world.linked(people[1], LinkRefused(code=BlockerCode.CONSENT_DENIED))
    world.clock.forward(RING_LIFE_S + 1)
    await Brake(world.database, world.clock).tick()
    ends = [await world.incentive(pid) for pid in people]
    assert ends[0][0] == "awaiting_verification"
    assert ends[1:3] == [("awaiting_link", "consent_denied"), ("awaiting_link", "link_required")]
