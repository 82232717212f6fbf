"""Whose account it is: the participant whose NIK matched it, whoever came first."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from contracts.brake import LOOKS_S
from contracts.errors import Hint, PartnerUnavailable
from contracts.identity import IdentityAnswer, Verdict
from contracts.linking import LinkHeld, Unlinked
from gateway.services.brake.brake import Brake
from gateway.services.linking import facts
from gateway.storage.intake import participants
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import HOME, World

MATCH = IdentityAnswer(verdict=Verdict.MATCH)
MISMATCH = IdentityAnswer(verdict=Verdict.MISMATCH)


async def settle(world: World) -> None:
    """All ticks once."""
    await world.verification.tick()
    await world.linking.tick_unlinking()
    await world.linking.tick_waiting()


async def look_again(world: World, *, waiting: bool = True) -> None:
    """A day later the partner has been asked twice more about whom it refused."""
    for wait_s in LOOKS_S[:2]:
        world.clock.forward(wait_s)
        await Brake(world.database, world.clock).tick_looks()
        await world.verification.tick()
    await world.linking.tick_unlinking()
    if waiting:
        await world.linking.tick_waiting()


async def test_a_match_makes_the_account_theirs(world: World) -> None:
    pid = await world.person("shared")
    await world.linked(pid, granted())
    await world.verification.tick()
    assert await world.incentive(pid) == ("scheduled", None)
    owner = await world.one("SELECT p.participant_id FROM account_owners o JOIN participants p ON p.id = o.participant")
    assert owner["participant_id"] == pid
    row = await world.one("SELECT verified_until FROM participants WHERE participant_id = $1", pid)
    assert (row["verified_until"] - world.clock.now()).days == 90


async def test_of_two_matches_at_once_one_wins(world: World) -> None:
    """No partner should say so; if one does, money must not flow on both words."""
    people = [await world.person("shared") for _ in range(4)]
    for number, pid in enumerate(people):
        await world.linked(pid, granted(f"token-{number}"))
    ready = asyncio.Event()

    async def together() -> Any:
        await ready.wait()
        return MATCH

    world.banks["shared"].will("verify", *[together] * 4)
    checking = asyncio.create_task(world.verification.tick())
    while world.banks["shared"].calls("verify") < 4:
        await asyncio.sleep(0.01)
    ready.set()
    await checking
    await world.verification.tick()  # who won is asked once more
    outcomes = sorted([await world.incentive(pid) for pid in people], key=str)
    assert outcomes == [("awaiting_verification", "account_shared")] * 3 + [("scheduled", None)]


async def test_two_participants_of_one_nik_may_share_an_account(world: World) -> None:
    nik = "1101010101909999"
    first = await world.person("shared", nik=nik)
    async with world.database.connection() as connection:
        await connection.execute("UPDATE incentives SET period = '2'")
    second = await world.person("shared", nik=nik)
    for pid in (first, second):
        await world.linked(pid, granted())
    await world.verification.tick()
    assert [await world.incentive(pid) for pid in (first, second)] == [("scheduled", None)] * 2


async def test_one_person_under_two_ids_reads_so_where_links_are_exclusive(world: World) -> None:
    """Their own account is nobody else's: it is paid under the id that is linked, or under the other one after that."""
    nik = "3174014101909950"
    first = await world.person("sole", nik=nik)
    async with world.database.connection() as connection:
        await connection.execute("UPDATE incentives SET period = '2'")
    second = await world.person("sole", nik=nik)
    held = await world.linked(first, granted())
    await world.linked(second, LinkHeld())
    await settle(world)
    assert await world.incentive(second) == ("awaiting_link", "account_shared")
    needs = (await world.api.get(f"/v1/participants/{second}")).json()["needs"]
    assert "same person" in needs["text"]["en"] and "orang yang sama" in needs["text"]["id"]
    assert (await world.api.delete(f"/v1/links/{held}")).status_code == 200
    world.banks["sole"].will("verify", MATCH)
    await world.linked(second, granted("token-2"))
    await settle(world)
    assert await world.incentive(second) == ("scheduled", None)


async def test_a_mismatch_unbinds_nothing_where_links_are_shared(world: World) -> None:
    stranger, owner = await world.person("shared"), await world.person("shared")
    for pid in (stranger, owner):
        await world.linked(pid, granted(f"token of {pid}"))
    world.banks["shared"].will("verify", MISMATCH, MATCH)
    for _ in range(2):
        await world.verification.tick(limit=1)
    await settle(world)
    assert await world.incentive(stranger) == ("awaiting_verification", "nik_mismatch")
    assert await world.incentive(owner) == ("scheduled", None)
    assert world.banks["shared"].calls("unlink") == 0


async def test_a_mismatch_frees_the_account_for_those_who_wait_one_at_a_time(world: World) -> None:
    stranger, second, owner = [await world.person("sole") for _ in range(3)]
    await world.linked(stranger, granted("token-1"))
    waiting = [await world.linked(second, LinkHeld())]
    world.clock.forward(1)
    waiting.append(await world.linked(owner, LinkHeld()))
    assert await world.linking.tick_waiting() == 0
    world.clock.forward(5_000)
    assert await world.linking.tick_expiry() == 0, "no life runs while a link waits"

    world.banks["sole"].will("verify", *[MISMATCH] * 3)
    await settle(world)
    assert await world.incentive(stranger) == ("awaiting_verification", "nik_mismatch")
    assert world.banks["sole"].calls("unlink") == 0, "it may be a slip: asked again before anything is given back"
    await look_again(world)
    assert world.banks["sole"].sent[-1][1]["token"] == "token-1"
    assert await world.incentive(stranger) == ("awaiting_link", "nik_mismatch")
    states = [(await world.link(link_id))["state"] for link_id in waiting]
    assert states == ["challenged", "waiting"]
    assert await world.linking.tick_waiting() == 0

    shown = (await world.api.get(f"/v1/links/{waiting[0]}")).json()
    events = await world.all("SELECT data FROM events WHERE subject = $1 ORDER BY seq", waiting[0])
    assert [event["data"]["state"] for event in events] == [
        "challenged",
        "opened",
        "exchanging",
        "waiting",
        "challenged",
    ]
    _, browser, state = await world.open(shown)
    world.banks["sole"].will("finish", granted("token-2"))
    await browser.get("/callbacks/sole/link", params={"st": state, "code": "c"})
    world.banks["sole"].will("verify", *[MISMATCH] * 3)
    await settle(world)
    await look_again(world)
    assert await world.incentive(second) == ("awaiting_link", "nik_mismatch")
    assert (await world.link(waiting[1]))["state"] == "challenged"


async def test_who_waits_is_over_once_anothers_match_holds_the_account(world: World) -> None:
    owner, waits = await world.person("sole"), await world.person("sole")
    owner_link = await world.linked(owner, granted())
    waiting = await world.linked(waits, LinkHeld())
    assert await world.linking.tick_waiting() == 0
    assert await world.incentive(waits) == ("awaiting_link", "link_pending")
    await settle(world)
    assert (await world.link(waiting))["state"] == "failed"
    assert await world.incentive(waits) == ("awaiting_link", "account_shared")
    # The owner leaves: the account is free again, and a new link may be asked for.
    assert (await world.api.delete(f"/v1/links/{owner_link}")).status_code == 200
    assert not await world.all("SELECT * FROM account_owners")
    world.banks["sole"].will("verify", MATCH)
    await world.linked(waits, granted("token-2"))
    await settle(world)
    assert await world.incentive(waits) == ("scheduled", None)


async def test_a_partner_that_never_frees_an_account_ends_the_wait(world: World) -> None:
    pid = await world.person("sole")
    link_id = await world.linked(pid, LinkHeld())
    for _ in range(4):
        assert await world.linking.tick_waiting() == 1
        shown = (await world.api.get(f"/v1/links/{link_id}")).json()
        _, browser, state = await world.open(shown)
        reply = await browser.get("/callbacks/sole/link", params={"st": state, "error": "linked"})
        assert reply.headers["location"] == f"{HOME}&link_id={link_id}&outcome=waiting"
    assert await world.linking.tick_waiting() == 1
    assert await world.incentive(pid) == ("awaiting_link", "link_required")


async def test_two_workers_challenge_only_one_who_waits(world: World) -> None:
    holder = await world.person("sole")
    await world.linked(holder, granted())
    waiting = [await world.linked(await world.person("sole"), LinkHeld()) for _ in range(3)]
    world.banks["sole"].will("verify", *[MISMATCH] * 3)
    await world.verification.tick()
    await look_again(world, waiting=False)
    await asyncio.gather(*(world.linking.tick_waiting() for _ in range(4)))
    states = sorted([(await world.link(link_id))["state"] for link_id in waiting])
    assert states == ["challenged", "waiting", "waiting"]


async def test_giving_back_is_tried_again_and_not_for_ever(world: World) -> None:
    pid = await world.person("sole")
    link_id = await world.linked(pid, granted())
    world.banks["sole"].will("verify", *[MISMATCH] * 3)
    world.banks["sole"].always["unlink"] = httpx.ConnectError("refused")
    await world.verification.tick()
    await look_again(world, waiting=False)
    assert (await world.link(link_id))["unlink_tries"] == 1
    tries = 1
    for _ in range(2_000):
        tries += await world.linking.tick_unlinking()
        if (await world.link(link_id))["state"] != "unlinking":
            break
        world.clock.forward(60)
    assert tries == 16 == world.banks["sole"].calls("unlink")
    link = await world.link(link_id)
    assert (link["state"], link["ended_because"]) == ("active", None)
    assert await world.incentive(pid) == ("awaiting_verification", "nik_mismatch")
    world.banks["sole"].always["unlink"] = Unlinked()
    assert (await world.api.delete(f"/v1/links/{link_id}")).json()["state"] == "unlinked"


@pytest.mark.parametrize(("fresh", "state"), [(granted("token-2").grant, "unlinked"), (None, "revoked")])
async def test_giving_back_under_an_expired_token(world: World, fresh: Any, state: str) -> None:
    pid = await world.person("sole")
    link_id = await world.linked(pid, granted("token-1"))
    world.banks["sole"].before["unlink"] = PartnerUnavailable("expired", hint=Hint.CUSTOMER_TOKEN)
    world.banks["sole"].will("refresh", fresh)
    reply = await world.api.delete(f"/v1/links/{link_id}")
    assert reply.status_code == (202 if fresh else 200)
    world.clock.forward(2)
    assert await world.linking.tick_unlinking() == (1 if fresh else 0)
    assert (await world.link(link_id))["state"] == state
    assert [sent["token"] for name, sent in world.banks["sole"].sent if name == "unlink"] == (
        ["token-2"] if fresh else []
    )


async def test_a_link_on_a_shared_token_is_given_back_locally(world: World) -> None:
    first, second = await world.person("shared"), await world.person("shared")
    links = [await world.linked(pid, granted("one-token")) for pid in (first, second)]
    reply = await world.api.delete(f"/v1/links/{links[0]}")
    assert (reply.status_code, reply.json()["state"]) == (200, "unlinked")
    assert world.banks["shared"].calls("unlink") == 0
    assert (await world.link(links[1]))["state"] == "active"
    await world.api.delete(f"/v1/links/{links[1]}")
    assert world.banks["shared"].calls("unlink") == 1
    assert await world.facts(second) == (False, False, "link_required")


@pytest.mark.parametrize("state", ["challenged", "opened", "waiting"])
async def test_a_link_not_finished_is_ended_on_request(world: World, state: str) -> None:
    pid = await world.person("sole")
    if state == "waiting":
        link_id = await world.linked(pid, LinkHeld())
    elif state == "opened":
        link_id = (await world.opened(pid))[0]
    else:
        link_id = (await world.start(pid))["link_id"]
    for _ in range(2):
        reply = await world.api.delete(f"/v1/links/{link_id}")
        assert (reply.status_code, reply.json()["state"]) == (200, "failed")
    assert await world.incentive(pid) == ("awaiting_link", "link_required")
    decisions = await world.all("SELECT actor, action, data FROM audit_log")
    assert decisions == [{"actor": "core", "action": "link.delete", "data": {"state": state}}]
    assert world.banks["sole"].calls("unlink") == 0


async def test_a_link_being_exchanged_is_not_ended_under_it(world: World) -> None:
    link_id, _, _ = await world.opened(await world.person("sole"))
    async with world.database.connection() as connection:
        await connection.execute("UPDATE links SET state = 'exchanging'")
    before = await world.everything()
    reply = await world.api.delete(f"/v1/links/{link_id}")
    assert (reply.status_code, reply.json()["code"]) == (409, "link_in_progress")
    assert await world.everything() == before


async def test_a_number_that_went_to_somebody_else_is_paid_to_nobody_before_its_holder_was_asked_again(
    world: World,
) -> None:
    """A phone number is given out anew: the partner matches its new holder, and the old one's match is months old."""
    before, now = await world.person("shared"), await world.person("shared")
    await world.linked(before, granted("token-1"))
    await world.verification.tick()
    assert await world.incentive(before) == ("scheduled", None)
    world.clock.forward(30 * 86_400)
    await world.linked(now, granted("token-2"))
    await world.verification.tick()
    assert await world.incentive(now) == ("awaiting_verification", "account_shared")
    assert await world.incentive(before) == ("awaiting_verification", None), "both cannot be right"
    world.banks["shared"].will("verify", *[MISMATCH] * 3)
    await world.verification.tick()
    assert await world.incentive(before) == ("awaiting_verification", "nik_mismatch")
    await look_again(world)
    await world.verification.tick()
    assert await world.incentive(now) == ("scheduled", None), "once it is nobody else's any more"


async def test_a_holder_who_is_right_stays_the_holder(world: World) -> None:
    holder, other = await world.person("shared"), await world.person("shared")
    await world.linked(holder, granted("token-1"))
    await world.verification.tick()
    await world.linked(other, granted("token-2"))
    for _ in range(4):
        await world.verification.tick()
    assert await world.incentive(holder) == ("scheduled", None)
    assert await world.incentive(other) == ("awaiting_verification", "account_shared")
    assert world.banks["shared"].calls("verify") == 3


async def test_nobody_waits_for_a_check_of_somebody_else_that_is_being_decided(world: World) -> None:
    """That one may wait for the account's owner, which whoever lets it go has locked."""
    holder, other = await world.person("shared"), await world.person("shared")
    await world.linked(holder, granted("token-1"))
    await world.verification.tick()
    link = await world.linked(other, granted("token-2"))
    await world.verification.tick()
    await world.verification.tick()
    assert await world.incentive(other) == ("awaiting_verification", "account_shared")
    await world.verification.request(other)
    async with world.database.transaction() as deciding, asyncio.timeout(5):
        done = await deciding.execute(
            "UPDATE verifications SET state = 'decided' WHERE link_id = $1 AND state = 'open'", link
        )
        assert done == "UPDATE 1"
        async with world.database.transaction() as leaving:
            person = await participants.find(leaving, holder, lock=True)
            assert person is not None
            await facts.let_go(leaving, person.id, "shared", person.account_index, world.clock.now())
