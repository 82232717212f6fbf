"""What the core platform sees of a participant, and another account."""

from __future__ import annotations

from typing import Any

import httpx

from contracts.identity import IdentityAnswer, Verdict
from contracts.incentive import BlockerCode
from contracts.linking import LinkInputs
from gateway.storage.intake import participants
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import World
from tests.turns import in_turn

OTHER = {"partner": "sole", "account": "+6281200000077", "phone": "+6281200000077"}


async def test_a_participant_is_shown_without_a_word_about_who_it_is(world: World) -> None:
    pid = await world.person("shared")
    fresh = (await world.api.get(f"/v1/participants/{pid}")).json()
    assert (fresh["needs"]["code"], fresh["needs"]["owner"], fresh["links"]) == ("link_required", "participant", [])
    link_id = await world.linked(pid, granted())
    checking = (await world.api.get(f"/v1/participants/{pid}")).json()
    assert (checking["link_active"], checking["verified"], checking["needs"]) == (True, False, None)
    world.banks["shared"].will("verify", IdentityAnswer(verdict=Verdict.MISMATCH))
    await world.verification.tick()
    reply = await world.api.get(f"/v1/participants/{pid}")
    shown = reply.json()
    assert (shown["needs"]["code"], shown["needs"]["owner"]) == ("nik_mismatch", "core")
    assert [link["link_id"] for link in shown["links"]] == [link_id]
    assert shown["verification"]["verdict"] == "mismatch"
    for secret in ("+62812", "Siti", "1101010101"):
        assert secret not in reply.text
    assert (await world.api.get("/v1/participants/nobody")).status_code == 404


async def test_another_account_ends_link_and_verdict(world: World) -> None:
    pid = await world.person("shared")
    link_id = await world.linked(pid, granted())
    await world.verification.tick()
    reply = await world.api.put(f"/v1/participants/{pid}/account", json=OTHER)
    assert reply.status_code == 200 and reply.json()["partner"] == "sole"
    assert (await world.link(link_id))["state"] == "unlinked"
    assert world.banks["shared"].calls("unlink") == 0
    assert await world.incentive(pid) == ("awaiting_link", "link_required")
    assert (await world.one("SELECT partner FROM incentives"))["partner"] == "sole"
    assert not await world.all("SELECT * FROM account_owners")
    await world.linked(pid, granted("token-2"))
    await world.verification.tick()
    assert world.banks["sole"].sent[-1][1]["account"] == OTHER["account"]
    assert await world.incentive(pid) == ("scheduled", "approval_missing"), "approved for the other account"

    before = await world.all("SELECT link_id, verified FROM participants")
    for phone in (OTHER["phone"], "+628120000088"):
        reply = await world.api.put(f"/v1/participants/{pid}/account", json=OTHER | {"phone": phone})
        assert reply.status_code == 200, "any phone that a batch's row may have"
    assert await world.all("SELECT link_id, verified FROM participants") == before, "the same account changes nothing"


async def test_an_account_left_at_an_exclusive_partner_is_given_back(world: World) -> None:
    pid = await world.person("sole")
    link_id = await world.linked(pid, granted("token-1"))
    await world.verification.tick()
    assert await world.facts(pid) == (True, True, None)
    body = {"partner": "shared", "account": "+6281200000078", "phone": "+6281200000078"}
    assert (await world.api.put(f"/v1/participants/{pid}/account", json=body)).status_code == 200
    assert (await world.link(link_id))["state"] == "unlinking"
    assert await world.facts(pid) == (False, False, "link_required")
    assert await world.linking.tick_unlinking() == 1
    assert world.banks["sole"].sent[-1][1] == {"token": "token-1", "account": "+6281200000001", "inputs": {}}
    assert (await world.link(link_id))["state"] == "unlinked"
    assert await world.facts(pid) == (False, False, "link_required")
    await world.linked(pid, granted("token-2"))


async def test_an_account_left_that_is_never_given_back_bars_no_other(world: World) -> None:
    pid = await world.person("sole")
    link_id = await world.linked(pid, granted("token-1"))
    world.banks["sole"].always["unlink"] = httpx.ConnectError("refused")
    body = {"partner": "shared", "account": "+6281200000078", "phone": "+6281200000078"}
    assert (await world.api.put(f"/v1/participants/{pid}/account", json=body)).status_code == 200
    for _ in range(2_000):
        await world.linking.tick_unlinking()
        if (await world.link(link_id))["state"] != "unlinking":
            break
        world.clock.forward(60)
    assert (await world.link(link_id))["state"] == "unlinked"
    await world.linked(pid, granted("token-2"))
    assert await world.incentive(pid) == ("awaiting_verification", "approval_missing")


async def test_an_account_left_while_an_otp_is_awaited_bars_no_other(world: World) -> None:
    pid = await world.person("bank")
    link = await world.start(pid)
    world.banks["bank"].will("begin", LinkInputs(names=("card_no",)))
    world.banks["bank"].will("answer", granted("card-token"))
    await world.api.post(f"/v1/links/{link['link_id']}/inputs", json={"inputs": {"card_no": "5371769900000009"}})
    world.banks["bank"].will("unlink", LinkInputs(names=("otp",), carry={}))
    assert (await world.api.delete(f"/v1/links/{link['link_id']}")).status_code == 202
    assert (await world.api.put(f"/v1/participants/{pid}/account", json=OTHER)).status_code == 200
    assert (await world.link(link["link_id"]))["state"] == "unlinked"
    await world.linked(pid, granted("token-2"))
    world.clock.forward(901)
    assert await world.linking.tick_expiry() == 0
    assert await world.facts(pid) == (True, False, None)


@in_turn(
    ("changes", "code"),
    [
        ({"partner": "nobody"}, "partner_unknown"),
        ({"account": "99887"}, "field_invalid"),
        ({"phone": "081200000077"}, "field_invalid"),
        ({"phone": "+620812000000"}, "field_invalid"),
        ({"phone": "+628120000"}, "field_invalid"),
        ({"nik": "1"}, "field_unknown"),
        ({"account": 5}, "field_invalid"),
    ],
)
async def test_a_bad_account_changes_nothing(world: World, changes: dict[str, Any], code: str) -> None:
    pid = await world.person("shared")
    await world.linked(pid, granted())
    before = await world.everything()
    reply = await world.api.put(f"/v1/participants/{pid}/account", json={**OTHER, **changes})
    assert (reply.status_code, reply.json()["code"]) == (422, code)
    sent = {**OTHER, **changes}
    assert not any(str(sent[name]) in reply.text for name in ("account", "phone") if sent[name] != 5)
    assert await world.everything() == before


async def test_no_other_account_while_a_payout_is_open(world: World) -> None:
    pid = await world.person("shared")
    await world.linked(pid, granted())
    await world.verification.tick()
    async with world.database.connection() as connection:
        await connection.execute("UPDATE incentives SET payout = 'open'")
    before = await world.everything()
    reply = await world.api.put(f"/v1/participants/{pid}/account", json=OTHER)
    assert (reply.status_code, reply.json()["code"]) == (409, "payout_open")
    assert await world.everything() == before


async def test_what_is_found_out_about_an_old_link_changes_nothing(world: World) -> None:
    pid = await world.person("shared")
    link_id = await world.linked(pid, granted())
    await world.verification.tick()
    person, now = (await world.one("SELECT id FROM participants"))["id"], world.clock.now()
    code, before = BlockerCode.LINK_REVOKED, await world.everything()
    async with world.database.transaction() as connection:
        assert not await participants.link_ended(connection, person, "L0", code, now)
        assert not await participants.link_granted(connection, person, "L0", now)
        assert not await participants.not_verified(connection, person, "L0", code, now)
        assert not await participants.verified(connection, person, "L0", now, now)
    assert await world.everything() == before
    async with world.database.transaction() as connection:
        assert await participants.link_ended(connection, person, link_id, code, now)
    assert await world.facts(pid) == (False, False, "link_revoked")
