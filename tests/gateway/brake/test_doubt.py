"""A partner that refuses a token is asked again, half an hour and a day later, before its link is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.brake import LOOKS_S
from contracts.errors import Hint, PartnerUnavailable
from contracts.identity import IdentityAnswer, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkHealth
from gateway.clock import jakarta_day
from gateway.services.brake.brake import Brake
from gateway.storage.base.moment import Moment
from gateway.storage.intake import incentives
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import World

DEAD = PartnerUnavailable("dead", hint=Hint.CUSTOMER_TOKEN)
PARTNERS = ["shared", "sole", "bank"]
"""By what they are asked about a link: a look at it, a refresh, nothing but the NIK check itself."""
ACCOUNT = {"shared": "+628120000{:04d}", "sole": "+628120000{:04d}", "bank": "00112{:05d}"}


def refuse(world: World, partner: str) -> None:
    """Whatever is asked under a participant's token is refused from now on."""
    world.banks[partner].always |= {"verify": DEAD, "refresh": None, "health": LinkHealth.REVOKED}


def accept(world: World, partner: str) -> None:
    world.banks[partner].always |= {
        "verify": IdentityAnswer(verdict=Verdict.MATCH),
        "refresh": granted("token-fresh").grant,
        "health": LinkHealth.ACTIVE,
    }


async def drain(world: World) -> None:
    """What the worker's loops do, until nothing is due."""
    brake = Brake(world.database, world.clock)
    for _ in range(4):
        await brake.tick()
        await brake.tick_looks()
        await world.linking.tick_health()
        await world.linking.tick_refresh()
        while await world.verification.tick():
            pass


async def linked(world: World, partner: str, n: int = 0) -> tuple[str, str]:
    pid = await world.person(partner, account=ACCOUNT[partner].format(n))
    link_id = await world.linked(pid, granted(f"token-{n}"))
    accept(world, partner)
    await drain(world)
    assert await world.incentive(pid) == ("scheduled", None)
    return pid, link_id


async def doubt(world: World, partner: str, link_id: str) -> None:
    """The partner refuses the token, wherever that is noticed."""
    refuse(world, partner)
    assert await world.linking.customer_token_refused(link_id) is False


@pytest.mark.parametrize("partner", PARTNERS)
async def test_nothing_is_paid_over_a_link_in_doubt_and_everything_is_kept(world: World, partner: str) -> None:
    pid, link_id = await linked(world, partner)
    before = await world.link(link_id)
    owners = await world.all("SELECT * FROM account_owners")
    await doubt(world, partner, link_id)
    for wait_s in (0.0, LOOKS_S[0], LOOKS_S[1] - 60.0 - LOOKS_S[0]):
        world.clock.forward(wait_s)
        await drain(world)
        assert await world.incentive(pid) == ("awaiting_link", "link_revoked")
        link = await world.link(link_id)
        assert (link["state"], link["grant_sealed"]) == ("active", before["grant_sealed"])
        assert await world.all("SELECT * FROM account_owners") == owners
    accept(world, partner)
    world.clock.forward(LOOKS_S[0] + 60.0)
    await drain(world)
    link = await world.link(link_id)
    assert (link["state"], link["doubted_at"]) == ("active", None)
    assert await world.incentive(pid) == ("scheduled", None)
    world.clock.forward(60 * 86_400.0)
    await drain(world)
    assert await world.incentive(pid) == ("scheduled", None), "nothing is left of it"


@pytest.mark.parametrize("partner", PARTNERS)
async def test_a_link_that_is_still_refused_a_day_later_is_over(world: World, partner: str) -> None:
    pid, link_id = await linked(world, partner)
    await doubt(world, partner, link_id)
    asked = len(world.banks[partner].sent)
    for wait_s in (LOOKS_S[0], LOOKS_S[1]):
        world.clock.forward(wait_s - 1)
        await drain(world)
        assert len(world.banks[partner].sent) == asked, "asked again when it is due, and not before"
        world.clock.forward(1)
        await drain(world)
        assert len(world.banks[partner].sent) > asked
        asked = len(world.banks[partner].sent)
    link = await world.link(link_id)
    assert (link["state"], link["grant_sealed"], link["ended_because"]) == ("revoked", None, "link_revoked")
    assert await world.facts(pid) == (False, False, "link_revoked")
    assert not await world.all("SELECT * FROM account_owners")


async def test_whose_link_is_in_doubt_may_link_again_at_once(world: World) -> None:
    pid, link_id = await linked(world, "shared")
    await doubt(world, "shared", link_id)
    assert (await world.start(pid))["link_id"] != link_id
    assert (await world.link(link_id))["state"] == "revoked"


async def test_the_blocker_tells_when_the_partner_is_asked_again(world: World) -> None:
    pid, link_id = await linked(world, "shared")
    await doubt(world, "shared", link_id)
    row = await world.one("SELECT id FROM incentives WHERE participant_id = $1", pid)
    moment = Moment(now=world.clock.now(), today=jakarta_day(world.clock.now()), sent_before={})
    async with world.database.connection() as connection:
        shown = await incentives.get(connection, row["id"], moment)
    assert shown is not None
    assert shown.blocker is BlockerCode.LINK_REVOKED
    assert shown.next_attempt_at == world.clock.now() + timedelta(seconds=LOOKS_S[0])


@pytest.mark.parametrize("partner", PARTNERS)
async def test_a_crowd_of_dead_tokens_is_held_and_all_come_back(world: World, partner: str) -> None:
    people = [await linked(world, partner, n) for n in range(12)]
    before = await world.all("SELECT id, account_index, state FROM links ORDER BY id")
    for _, link_id in people[:9]:
        await doubt(world, partner, link_id)
    (hold,) = await world.all("SELECT kind, stage FROM holds WHERE released_at IS NULL")
    assert (hold["kind"], hold["stage"]) == ("brake", "proof")
    assert [row["code"] for row in await world.all("SELECT code FROM cases WHERE closed_at IS NULL")] == [
        "partner_unavailable"
    ]
    world.clock.forward(2 * LOOKS_S[1])
    await drain(world)
    assert await world.all("SELECT id, account_index, state FROM links ORDER BY id") == before, "held: nothing ends"
    accept(world, partner)
    for _ in range(3):
        world.clock.forward(121)
        await drain(world)
    assert not await world.all("SELECT FROM holds WHERE released_at IS NULL")
    assert [await world.incentive(pid) for pid, _ in people] == [("scheduled", None)] * 12
    assert not await world.all("SELECT FROM cases WHERE closed_at IS NULL")


@pytest.mark.parametrize("partner", ["shared", "sole"])
async def test_some_who_really_withdrew_hold_nobody_for_long(world: World, partner: str) -> None:
    """Four people took their consent back; those known good show that the partner is right."""
    people = [await linked(world, partner, n) for n in range(8)]
    bank, gone = world.banks[partner], [f"token-{n}" for n in range(4)]
    bank.always["verify"] = IdentityAnswer(verdict=Verdict.MATCH)

    async def health() -> LinkHealth:
        return LinkHealth.REVOKED if bank.sent[-1][1]["token"] in gone else LinkHealth.ACTIVE

    async def refresh() -> Any:
        return None if bank.sent[-1][1]["token"] in gone else granted("fresh of " + bank.sent[-1][1]["token"]).grant

    bank.always |= {"health": health, "refresh": refresh}
    for _, link_id in people[:4]:
        assert await world.linking.customer_token_refused(link_id) is False
    assert await world.all("SELECT FROM holds WHERE released_at IS NULL")
    for _ in range(2):
        world.clock.forward(121)
        await drain(world)
    assert not await world.all("SELECT FROM holds WHERE released_at IS NULL")
    ends = [await world.incentive(pid) for pid, _ in people]
    assert ends == [("awaiting_link", "link_revoked")] * 4 + [("scheduled", None)] * 4


async def test_a_blocked_account_is_looked_at_again_by_itself(world: World) -> None:
    pid, link_id = await linked(world, "shared")
    world.banks["shared"].always["health"] = LinkHealth.BLOCKED
    await world.linking.prove(link_id)
    assert await world.incentive(pid) == ("awaiting_verification", "account_blocked")
    world.clock.forward(LOOKS_S[0])
    await drain(world)
    assert await world.incentive(pid) == ("awaiting_verification", "account_blocked")
    accept(world, "shared")
    world.clock.forward(LOOKS_S[1])
    await drain(world)
    assert await world.incentive(pid) == ("scheduled", None)


async def test_new_people_are_weighed_with_new_people(world: World) -> None:
    """Whoever is matched for the first time was not known good when they were asked about."""
    for n in range(3):
        await linked(world, "shared", n)
    rows = await world.all("SELECT known, sum(answers) AS n FROM good_answers WHERE stage = 'verify' GROUP BY 1")
    assert [(row["known"], row["n"]) for row in rows] == [(False, 3)]
