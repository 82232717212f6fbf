"""NIK verification: only a partner's word is a verdict, and it is asked for until it comes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.identity import VERDICT_BLOCKER, IdentityAnswer, Verdict
from contracts.linking import LinkHealth
from contracts.secret import Secret
from gateway.security import places
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import World

PENDING = IdentityAnswer(verdict=Verdict.PENDING, partner_code="2009700")
REFUSED_TOKEN = PartnerUnavailable("refused", hint=Hint.CUSTOMER_TOKEN)


@pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.PENDING])
async def test_every_verdict_has_its_blocker(world: World, verdict: Verdict) -> None:
    pid = await world.person("shared")
    link_id = await world.linked(pid, granted())
    world.banks["shared"].will("verify", IdentityAnswer(verdict=verdict, partner_code="200"))
    assert await world.verification.tick() == 1
    blocker = VERDICT_BLOCKER[verdict]
    stage = "scheduled" if verdict is Verdict.MATCH else "awaiting_verification"
    assert await world.incentive(pid) == (stage, blocker.value if blocker else None)
    check = await world.check(link_id)
    assert (check["state"], check["verdict"], check["tries"]) == ("decided", verdict.value, 1)
    event = await world.one("SELECT data FROM events WHERE type = 'verification.completed'")
    assert event["data"]["verdict"] == verdict.value
    assert await world.verification.tick() == 0


@pytest.mark.parametrize(
    ("said", "standing"),
    [
        (PENDING, "verification_pending"),
        (httpx.ReadTimeout("slow"), "partner_unavailable"),
        (PartnerProtocolError("unreadable"), "partner_unavailable"),
        (RuntimeError("a bug"), "partner_unavailable"),
    ],
)
async def test_no_verdict_is_asked_about_again_quickly_then_slowly(world: World, said: Any, standing: str) -> None:
    pid = await world.person("shared")
    link_id = await world.linked(pid, granted())
    world.banks["shared"].always["verify"] = said
    for wait_s in (2, 4):
        assert await world.verification.tick() == 1
        assert await world.incentive(pid) == ("awaiting_verification", None)
        world.clock.forward(wait_s - 0.1)
        assert await world.verification.tick() == 0
        world.clock.forward(0.2)
    assert await world.verification.tick() == 1
    assert await world.incentive(pid) == ("awaiting_verification", standing)
    check = await world.check(link_id)
    assert check["next_attempt_at"] - world.clock.now() >= timedelta(seconds=600)
    references = [sent["reference"] for _, sent in world.banks["shared"].sent if "reference" in sent]
    assert len(set(references)) == len(references) and all(len(one) == 19 for one in references)
    world.banks["shared"].always["verify"] = IdentityAnswer(verdict=Verdict.MATCH)
    world.clock.forward(601)
    assert await world.verification.tick() == 1
    assert await world.incentive(pid) == ("scheduled", None)


async def test_a_crash_in_a_check_is_made_good(world: World) -> None:
    pid = await world.person("shared")
    await world.linked(pid, granted())
    async with world.database.connection() as connection:
        await connection.execute(
            "UPDATE verifications SET lease_until = $1", world.clock.now() + timedelta(seconds=120)
        )
    assert await world.verification.tick() == 0
    world.clock.forward(121)
    assert await world.verification.tick() == 1
    assert await world.incentive(pid) == ("scheduled", None)


async def test_two_workers_make_each_check_once(world: World) -> None:
    for number in range(6):
        await world.linked(await world.person("shared", f"+628120000001{number}"), granted(f"t{number}"))
    assert sorted(await asyncio.gather(*(world.verification.tick(4, "shared") for _ in range(3))))[-1] > 0
    while await world.verification.tick():
        pass
    assert world.banks["shared"].calls("verify") == 6
    assert await world.verification.tick(10, "sole") == 0


async def test_a_refused_customer_token_is_refreshed_where_that_can_be(world: World) -> None:
    pid = await world.person("sole")
    link_id = await world.linked(pid, granted("old-token"))
    world.banks["sole"].will("verify", REFUSED_TOKEN)
    world.banks["sole"].will("refresh", granted("new-token").grant)
    await world.verification.tick()
    assert (await world.link(link_id))["state"] == "active"
    world.clock.forward(2)
    await world.verification.tick()
    assert world.banks["sole"].sent[-1][1]["token"] == "new-token"
    assert await world.incentive(pid) == ("scheduled", None)


@pytest.mark.parametrize("partner", ["sole", "shared"])
async def test_a_refused_customer_token_puts_the_link_in_doubt_elsewhere(world: World, partner: str) -> None:
    pid = await world.person(partner)
    link_id = await world.linked(pid, granted())
    world.banks[partner].will("verify", REFUSED_TOKEN)
    world.banks[partner].will("refresh", None)
    world.banks[partner].will("health", LinkHealth.REVOKED)
    await world.verification.tick()
    link = await world.link(link_id)
    assert (link["state"], link["doubted_at"]) == ("active", world.clock.now())
    assert link["grant_sealed"] is not None
    assert await world.incentive(pid) == ("awaiting_link", "link_revoked")
    assert (await world.check(link_id))["state"] == "dropped"
    world.banks[partner].will("refresh", None)
    world.banks[partner].will("health", LinkHealth.REVOKED)
    assert await world.linking.customer_token_refused(link_id) is False


async def test_a_refresh_without_an_answer_revokes_nothing(world: World) -> None:
    pid = await world.person("sole")
    link_id = await world.linked(pid, granted())
    world.banks["sole"].will("verify", REFUSED_TOKEN)
    world.banks["sole"].will("refresh", httpx.ReadError("reset"))
    await world.verification.tick()
    assert (await world.link(link_id))["state"] == "active"
    world.banks["sole"].will("refresh", httpx.ReadError("reset"))
    with pytest.raises(PartnerUnavailable):
        await world.linking.customer_token_refused(link_id)
    assert await world.facts(pid) == (True, False, None)


async def test_a_grant_replaced_meanwhile_is_not_revoked(world: World) -> None:
    link_id = await world.linked(await world.person("sole"), granted("token-1"))
    first_goes_on = asyncio.Event()

    async def gone() -> Any:
        await first_goes_on.wait()

    world.banks["sole"].will("refresh", gone, granted("token-2").grant)
    slow = asyncio.create_task(world.linking.customer_token_refused(link_id))
    while not world.banks["sole"].calls("refresh"):
        await asyncio.sleep(0.01)
    assert await world.linking.customer_token_refused(link_id) is True
    first_goes_on.set()
    assert await slow is True
    assert (await world.link(link_id))["state"] == "active"


async def test_an_expired_verdict_is_renewed_and_never_a_mismatch(world: World) -> None:
    pid = await world.person("shared")
    await world.linked(pid, granted())
    await world.verification.tick()
    world.clock.forward(90 * 86_400 - 1)
    assert await world.verification.tick_expired() == 0
    world.clock.forward(1)
    assert await world.verification.tick_expired() == 1
    assert await world.incentive(pid) == ("awaiting_verification", "verification_expired")
    assert await world.verification.tick_expired() == 0
    world.banks["shared"].will("verify", httpx.ReadError("reset"))
    await world.verification.tick()
    assert await world.incentive(pid) == ("awaiting_verification", "verification_expired")
    world.clock.forward(2)
    await world.verification.tick()
    assert await world.incentive(pid) == ("scheduled", None)


async def test_a_technical_failure_takes_no_verdict_away(world: World) -> None:
    pid = await world.person("shared")
    await world.linked(pid, granted())
    await world.verification.tick()
    world.banks["shared"].always["verify"] = httpx.ReadError("reset")
    reply = await world.api.post("/v1/verifications", json={"participant_id": pid})
    assert (reply.status_code, reply.json()["state"]) == (201, "open")
    for _ in range(4):
        await world.verification.tick()
        world.clock.forward(700)
    assert await world.incentive(pid) == ("scheduled", None)
    world.banks["shared"].always["verify"] = IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE)
    world.clock.forward(40_000)
    await world.verification.tick()
    assert await world.incentive(pid) == ("awaiting_verification", "kyc_incomplete")


async def test_verification_on_request(world: World) -> None:
    pid = await world.person("shared")
    refused = await world.api.post("/v1/verifications", json={"participant_id": pid})
    assert (refused.status_code, refused.json()["code"]) == (409, "link_required")
    unknown = await world.api.post("/v1/verifications", json={"participant_id": "nobody"})
    assert unknown.status_code == 404
    await world.linked(pid, granted())
    world.banks["shared"].will("verify", IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE))
    await world.verification.tick()
    first = (await world.api.post("/v1/verifications", json={"participant_id": pid})).json()
    again = (await world.api.post("/v1/verifications", json={"participant_id": pid})).json()
    assert first["verification_id"] == again["verification_id"]
    await world.verification.tick()
    shown = (await world.api.get(f"/v1/verifications/{first['verification_id']}")).json()
    assert (shown["state"], shown["verdict"], shown["participant_id"]) == ("decided", "match", pid)
    assert await world.incentive(pid) == ("scheduled", None)
    for number in ("1", "x", "²"):
        assert (await world.api.get(f"/v1/verifications/{number}")).status_code == 404


async def test_a_verdict_about_another_account_is_dropped(world: World) -> None:
    pid = await world.person("shared")
    link_id = await world.linked(pid, granted())
    goes_on = asyncio.Event()

    async def slow() -> Any:
        await goes_on.wait()
        return IdentityAnswer(verdict=Verdict.MATCH)

    world.banks["shared"].will("verify", slow)
    checking = asyncio.create_task(world.verification.tick())
    while not world.banks["shared"].calls("verify"):
        await asyncio.sleep(0.01)
    body = {"partner": "sole", "account": "+6281200000009", "phone": "+6281200000009"}
    assert (await world.api.put(f"/v1/participants/{pid}/account", json=body)).status_code == 200
    goes_on.set()
    await checking
    assert (await world.check(link_id))["state"] == "dropped"
    assert await world.facts(pid) == (False, False, "link_required")
    assert not await world.all("SELECT * FROM account_owners")


async def test_grants_are_refreshed_before_they_end(world: World) -> None:
    ends = world.clock.now() + timedelta(days=15)
    again = Secret("refresh-token-1")
    link_id = await world.linked(await world.person("sole"), granted("token-1", expires_at=ends, refresh_token=again))
    world.clock.forward(13 * 86_400)
    assert await world.linking.tick_refresh() == 0
    world.clock.forward(86_400 + 1)
    fresh = granted("token-2", expires_at=world.clock.now() + timedelta(days=15)).grant
    world.banks["sole"].will("refresh", httpx.ConnectError("refused"), fresh)
    assert await world.linking.tick_refresh() == 1
    world.clock.forward(61)
    assert await world.linking.tick_refresh() == 1
    assert await world.linking.tick_refresh() == 0
    assert (await world.link(link_id))["grant_expires_at"] == fresh.expires_at
    world.clock.forward(15 * 86_400)
    world.banks["sole"].will("refresh", None)
    assert await world.linking.tick_refresh() == 1
    assert (await world.link(link_id))["doubted_at"] == world.clock.now()


async def test_a_grant_that_cannot_be_refreshed_is_left_alone(world: World) -> None:
    ends = world.clock.now() + timedelta(hours=1)
    link_id = await world.linked(await world.person("shared"), granted(expires_at=ends))
    world.clock.forward(3_600)
    assert await world.linking.tick_refresh() == 1
    assert await world.linking.tick_refresh() == 0
    assert (await world.link(link_id))["state"] == "active"


@pytest.mark.parametrize("column", ["nik_sealed", "account_sealed"])
async def test_a_former_value_put_back_beside_its_newer_index_is_not_checked(world: World, column: str) -> None:
    """Else the partner would be asked about one NIK or account, and its word be taken for another."""
    pid = await world.person("sole")
    link_id = await world.linked(pid, granted())
    if column == "nik_sealed":
        table, place, former = "participants", places.nik(pid), "3174014205909902"
    else:
        table, place, former = "links", places.link_account(link_id), "+6281200000002"
    sealed = world.resources.vault.seal(place, former)
    await world.one(f"UPDATE {table} SET {column} = $1 RETURNING 1", sealed)
    world.banks["sole"].will("verify", IdentityAnswer(verdict=Verdict.MATCH))
    with capture_logs() as logged:
        await world.verification.tick()
    assert "SealBroken" in repr(logged)
    assert not world.banks["sole"].calls("verify")
    assert (await world.check(link_id))["state"] not in ("decided", "dropped")
    assert not await world.all("SELECT * FROM account_owners")


async def test_nothing_private_is_logged_of_a_check_that_fails(world: World) -> None:
    await world.linked(await world.person("sole"), granted("old-token"))
    world.banks["sole"].will("verify", httpx.ReadTimeout("slow"), REFUSED_TOKEN, RuntimeError("a bug"))
    world.banks["sole"].will("refresh", granted("new-token").grant)
    with capture_logs() as logged:
        for _ in range(3):
            await world.verification.tick()
            world.clock.forward(3_600)
    asked = [content for name, content in world.banks["sole"].sent if name == "verify"]
    assert asked and logged
    for secret in ("old-token", "new-token", "+6281200000001", "Siti Percobaan", *(one["nik"] for one in asked)):
        assert secret not in repr(logged), secret


@pytest.mark.parametrize("health", [LinkHealth.ACTIVE, LinkHealth.BLOCKED, PartnerUnavailable("busy")])
async def test_a_refusal_at_the_check_revokes_nothing_that_the_partners_own_inquiry_lets_stand(
    world: World, health: Any
) -> None:
    """The refusal may have been meant for us: twenty of them would else end twenty links."""
    links = []
    for n in range(20):
        links.append(await world.linked(await world.person("shared", f"+62812000001{n:02d}"), granted(f"token-{n}")))
    world.banks["shared"].always["verify"] = REFUSED_TOKEN
    world.banks["shared"].always["health"] = health
    await world.verification.tick()
    assert [(await world.link(link))["state"] for link in links] == ["active"] * 20
    world.banks["shared"].always["verify"] = IdentityAnswer(verdict=Verdict.MATCH)
    world.clock.forward(60)
    await world.verification.tick()
    assert await world.incentive("P7") == ("scheduled", None)
