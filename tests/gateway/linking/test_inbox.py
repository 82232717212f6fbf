"""Notifications: nothing unsigned is stored, each event is applied once, hints decide nothing by themselves."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.identity import IdentityAnswer, Verdict
from contracts.linking import LinkHealth
from gateway.storage.messages import inbox
from tests.gateway.linking.fake import granted, signature
from tests.gateway.linking.world import World

PATH = "/callbacks/shared/v1/notify"


async def post(world: World, body: bytes, path: str = PATH, method: str = "POST", **headers: str) -> httpx.Response:
    signed = {"X-Signature": signature(path, body), **headers}
    return await world.browser().request(method, path, content=body, headers=signed)


def notice(**said: Any) -> bytes:
    return json.dumps(said).encode()


async def results(world: World) -> list[tuple[str | None, int]]:
    return [(row["result"], row["tries"]) for row in await world.all("SELECT result, tries FROM inbox ORDER BY id")]


async def test_only_signed_notifications_of_the_manifest_are_stored(world: World) -> None:
    body = notice(token="t")
    before = await world.everything()
    bad = await post(world, body, **{"X-Signature": "0" * 64})
    assert (bad.status_code, bad.json()["code"]) == (401, "signature_invalid")
    assert (await post(world, body + b" ", **{"X-Signature": signature(PATH, body)})).status_code == 401
    assert (await post(world, body, PATH + "?a=1", **{"X-Signature": signature(PATH, body)})).status_code == 401
    for path, method in [
        ("/callbacks/nobody/v1/notify", "POST"),
        ("/callbacks/shared/v1/other", "POST"),
        (PATH, "PUT"),
        ("/callbacks/shared/v1/kyc", "POST"),
    ]:
        assert (await post(world, body, path, method)).status_code == 404, path
    assert (await post(world, b"x" * 201, "/callbacks/shared/v1/kyc", "PUT")).status_code == 413
    assert (await post(world, b"x" * 1_100_000)).status_code == 413
    counted = await world.all("SELECT partner, kind, reason, times FROM inbox_refusals")
    assert [tuple(row.values()) for row in counted] == [("shared", "link", "signature", 3)]
    async with world.database.connection() as connection:
        await connection.execute("DELETE FROM inbox_refusals")
    assert await world.everything() == before, "nothing else of them is kept"


async def test_an_event_is_stored_once_sealed_and_answered_alike(world: World) -> None:
    body = notice(token="customer-token-x")
    first, second = await post(world, body, **{"X-Event": "e1"}), await post(world, body, **{"X-Event": "e1"})
    assert (first.status_code, first.content) == (202, b'{"taken":true}') == (second.status_code, second.content)
    assert len(await results(world)) == 1
    assert "customer-token-x" not in await world.everything()
    await post(world, body, **{"X-Event": "e2"})
    assert len(await results(world)) == 2


@pytest.mark.parametrize(
    ("health", "blocker"),
    [(LinkHealth.ACTIVE, None), (LinkHealth.REVOKED, "link_revoked"), (LinkHealth.BLOCKED, "account_blocked")],
)
async def test_a_hint_about_a_link_has_it_looked_at(world: World, health: LinkHealth, blocker: str | None) -> None:
    pid = await world.person("shared")
    link_id = await world.linked(pid, granted())
    await world.verification.tick()
    await post(world, notice(token="customer-token-1"))
    assert await world.incentive(pid) == ("scheduled", None), "the hint alone decides nothing"
    assert await world.inbox.tick() == 1
    assert await results(world) == [("applied", 1)]
    world.banks["shared"].will("health", httpx.ReadError("reset"), health)
    assert await world.linking.tick_health() == 1
    assert await world.incentive(pid) == ("scheduled", None)
    world.clock.forward(61)
    assert await world.linking.tick_health() == 1
    assert (await world.incentive(pid))[1] == blocker
    assert await world.linking.tick_health() == 0
    if health is LinkHealth.ACTIVE:
        assert (await world.link(link_id))["proved_at"] == world.clock.now()
    if health is LinkHealth.BLOCKED:
        await post(world, notice(token="customer-token-1"), **{"X-Event": "later"})
        await world.inbox.tick()
        world.banks["shared"].will("health", LinkHealth.ACTIVE)
        await world.linking.tick_health()
        await world.verification.tick()
        assert await world.incentive(pid) == ("scheduled", None)


@pytest.mark.parametrize(
    ("health", "end"),
    [
        (LinkHealth.ACTIVE, ("scheduled", None)),
        (LinkHealth.REVOKED, ("awaiting_link", "link_revoked")),
        (LinkHealth.BLOCKED, ("awaiting_verification", "account_blocked")),
    ],
)
async def test_up_to_seven_hints_in_any_order_end_as_the_last_look_says(
    world: World, health: LinkHealth, end: tuple[str, str | None]
) -> None:
    """Hints of an active and a blocked account, doubled and in disorder, with looks in between; the partner's word at
    the look after the last one is what stands."""
    rng = random.Random(f"hints {health}")
    for number in range(8):
        token = f"customer-token-{number}"
        await world.all("DELETE FROM refusals")  # this is about one person after the other, and no crowd
        pid = await world.person("shared", account=f"+62812000001{number:02d}")
        await world.linked(pid, granted(token))
        await world.verification.tick()
        hints = [f"e{number}.{n}" for n in range(rng.randint(1, 7))]
        order = hints + [rng.choice(hints) for _ in range(rng.randrange(4))]
        rng.shuffle(order)
        for event in order:
            await post(world, notice(token=token), **{"X-Event": event})
            if rng.random() < 0.5:
                await world.inbox.tick()
            if rng.random() < 0.5:
                world.banks["shared"].will("health", rng.choice((LinkHealth.ACTIVE, LinkHealth.BLOCKED)))
                await world.linking.tick_health()
                world.banks["shared"].next["health"].clear()
            world.clock.forward(1)
        await post(world, notice(token=token), **{"X-Event": order[-1] + "x"})
        await world.inbox.tick()
        world.banks["shared"].will("health", health)
        await world.linking.tick_health()
        await world.verification.tick()
        assert await world.incentive(pid) == end, order


async def test_a_hint_that_comes_during_the_look_asks_for_another(world: World) -> None:
    await world.linked(await world.person("shared"), granted())
    await post(world, notice(token="customer-token-1"), **{"X-Event": "e1"})
    await world.inbox.tick()

    async def during() -> LinkHealth:
        world.clock.forward(1)
        await post(world, notice(token="customer-token-1"), **{"X-Event": "e2"})
        await world.inbox.tick()
        return LinkHealth.ACTIVE

    world.banks["shared"].will("health", during, LinkHealth.ACTIVE)
    assert await world.linking.tick_health() == 1
    assert await world.linking.tick_health() == 1
    assert await world.linking.tick_health() == 0


async def test_a_hint_may_overtake_the_token_it_names(world: World) -> None:
    await post(world, notice(token="customer-token-1"))
    assert await world.inbox.tick() == 1
    assert await world.inbox.tick() == 0
    link_id = await world.linked(await world.person("shared"), granted())
    world.clock.forward(1)
    assert await world.inbox.tick() == 1
    assert await results(world) == [("applied", 2)]
    assert (await world.link(link_id))["health_due_at"] == world.clock.now()


async def test_a_hint_about_nobody_is_given_up_within_bounds(world: World) -> None:
    await post(world, notice(token="never-seen"))
    tries = 0
    for _ in range(300):
        tries += await world.inbox.tick()
        world.clock.forward(1)
    assert tries == 7
    assert await results(world) == [("unknown_token", 7)]
    assert (await world.one("SELECT applied_at FROM inbox"))["applied_at"] is not None


async def test_a_finished_kyc_has_the_nik_checked_again(world: World) -> None:
    pid = await world.person("shared")
    link_id = await world.linked(pid, granted())
    world.banks["shared"].will("verify", IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE))
    await world.verification.tick()
    assert (await post(world, notice(kyc="customer-token-1"), "/callbacks/shared/v1/kyc", "PUT")).status_code == 202
    await world.inbox.tick()
    assert (await world.check(link_id))["state"] == "open"
    assert await world.incentive(pid) == ("awaiting_verification", "kyc_incomplete")
    await world.verification.tick()
    assert await world.incentive(pid) == ("scheduled", None)
    checks = world.banks["shared"].calls("verify")
    await post(world, notice(kyc="customer-token-1"), "/callbacks/shared/v1/kyc", "PUT", **{"X-Event": "again"})
    await world.inbox.tick()
    await world.verification.tick()
    assert world.banks["shared"].calls("verify") == checks, "a verdict that holds is not asked for again"
    await post(world, notice(token="customer-token-1", changed=True), **{"X-Event": "another number"})
    await world.inbox.tick()
    assert await world.incentive(pid) == ("awaiting_verification", None), "the declared number may be another's by now"
    world.banks["shared"].will("verify", IdentityAnswer(verdict=Verdict.ACCOUNT_UNPROVED))
    await world.verification.tick()
    assert await world.incentive(pid) == ("awaiting_verification", "account_unproved")


async def test_payout_notices_go_to_payouts_once_they_are_known(world: World) -> None:
    await post(world, notice(payout="ref-1"), **{"X-Event": "e1"})
    await world.inbox.tick()
    assert await results(world) == [("no_such_payout", 1)]
    world.payouts.known.add("ref-1")
    world.clock.forward(1)
    await world.inbox.tick()
    assert await results(world) == [("applied", 2)]
    assert world.payouts.seen == [("ref-1", "inbox:link:e1")]


async def test_unreadable_and_foreign_notices_are_recorded_and_left(world: World) -> None:
    await post(world, b"\xff\xfenot json")
    await post(world, notice(other="thing"))
    assert await world.inbox.tick() == 2
    assert sorted(str(result) for result, _ in await results(world)) == ["nothing", "unreadable"]
    world.clock.forward(1_000)
    assert await world.inbox.tick() == 0


async def test_one_notice_that_breaks_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: object) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.payouts, "notice", breaks)
    await post(world, notice(payout="ref-1"))
    await post(world, notice(other="thing"))
    assert await world.inbox.tick() == 1
    assert [result for result, _ in await results(world)] == [None, "nothing"]
    monkeypatch.undo()
    world.payouts.known.add("ref-1")
    world.clock.forward(61)
    assert await world.inbox.tick() == 1
    assert world.payouts.seen


async def test_a_look_at_a_link_under_a_dead_token(world: World) -> None:
    link_id = await world.linked(await world.person("sole"), granted("token-1"))
    dead = PartnerUnavailable("dead", hint=Hint.CUSTOMER_TOKEN)
    world.banks["sole"].will("health", dead, LinkHealth.ACTIVE)
    world.banks["sole"].will("refresh", granted("token-2").grant)
    assert await world.linking.prove(link_id) is LinkHealth.ACTIVE
    world.banks["sole"].will("health", dead)
    world.banks["sole"].will("refresh", None)
    assert await world.linking.prove(link_id) is LinkHealth.REVOKED
    assert (await world.link(link_id))["doubted_at"] == world.clock.now()


async def test_a_look_that_cannot_be_read_is_made_again_by_itself(world: World) -> None:
    """As before a payment, which waits for it; since when is kept, however often it is put off."""
    link_id = await world.linked(await world.person("sole"), granted("token-1"))
    unreadable = PartnerProtocolError("unreadable")
    world.banks["sole"].will("health", unreadable, unreadable, unreadable, LinkHealth.ACTIVE)
    with pytest.raises(PartnerProtocolError):
        await world.linking.prove(link_id)
    since = (await world.link(link_id))["health_due_at"]
    for _ in range(2):
        world.clock.forward(61)
        assert await world.linking.tick_health() == 1
        link = await world.link(link_id)
        assert link["health_due_at"] > world.clock.now() and link["unlooked_since"] == since
    world.clock.forward(61)
    await world.linking.tick_health()
    link = await world.link(link_id)
    assert (link["health_due_at"], link["unlooked_since"]) == (None, None)


async def test_what_cannot_be_stored_is_not_acknowledged(world: World) -> None:
    await world.all("ALTER TABLE inbox RENAME TO inbox_elsewhere")
    bodies = [notice(payout=f"ref-{n}") for n in range(3)]
    events = [{"X-Event": f"e{n}"} for n in range(3)]
    refused = await asyncio.gather(*(post(world, body, **event) for body, event in zip(bodies, events, strict=True)))
    assert [reply.status_code for reply in refused] == [500] * 3
    await world.all("ALTER TABLE inbox_elsewhere RENAME TO inbox")
    taken = await asyncio.gather(*(post(world, body, **event) for body, event in zip(bodies, events, strict=True)))
    assert [reply.status_code for reply in taken] == [202] * 3
    assert len(await results(world)) == 3


async def test_deliveries_at_once_are_one_event_and_spoil_no_other(world: World) -> None:
    body, other = notice(payout="ref-1"), notice(payout="ref-2")
    forged = {"X-Signature": "0" * 64}
    replies = await asyncio.gather(
        *(post(world, body, **{"X-Event": "e1"}) for _ in range(20)),
        *(post(world, other, **{"X-Event": f"o{n}"}) for n in range(20)),
        *(post(world, body, **{"X-Event": f"f{n}", **forged}) for n in range(20)),
    )
    assert [reply.status_code for reply in replies] == [202] * 40 + [401] * 20
    assert len(await results(world)) == 21


async def test_a_notification_is_applied_by_one_worker_at_a_time(world: World) -> None:
    await post(world, notice(token="t"))
    now = world.clock.now()
    async with world.database.transaction() as connection:
        (row,) = await inbox.lease(connection, now, now + timedelta(seconds=60), 10)
    async with world.database.transaction() as connection:
        assert await inbox.lease(connection, now, now + timedelta(seconds=60), 10) == []
        again = await inbox.lease(connection, now + timedelta(seconds=60), now + timedelta(seconds=120), 10)
    assert [(one.id, one.tries) for one in again] == [(row.id, 2)], "a worker that died with it loses it"


async def test_of_what_nobody_vouches_for_nothing_is_kept_that_names_no_token_of_ours(world: World) -> None:
    path = "/callbacks/shared/v1/hint"
    pid = await world.person("shared")
    link_id = await world.linked(pid, granted("our-token"))
    world.banks["shared"].will("verify", IdentityAnswer(verdict=Verdict.KYC_INCOMPLETE))
    await world.verification.tick()
    before = await world.everything()
    for n in range(30):
        reply = await post(world, notice(kyc=f"made-up-{n}", padding="x" * 100), path, "PUT")
        assert (reply.status_code, reply.content) == (202, b'{"taken":true}')
    assert await world.everything() == before
    for n in range(3):
        padded = notice(kyc="our-token", padding="y" * (90 + n))
        assert (await post(world, padded, path, "PUT")).status_code == 202
    assert "yyyy" not in await world.everything() and await results(world) == []
    assert (await world.check(link_id))["state"] == "open"
    assert len(await world.all("SELECT id FROM verifications WHERE state = 'open'")) == 1
    await world.verification.tick()
    assert await world.incentive(pid) == ("scheduled", None)
    assert (await post(world, notice(payout="ref-1"), path, "PUT")).status_code == 401, "money is never moved by it"
    assert world.payouts.seen == []


async def test_notifications_that_are_dropped_become_one_case(world: World) -> None:
    for n in range(45):
        assert (await post(world, notice(token=f"t{n}"), **{"X-Signature": "0" * 64})).status_code == 401
        cases = await world.all("SELECT code, detail FROM cases")
        assert len(cases) == (n >= 19)
    assert cases[0]["code"] == "notification_dropped" and "key" in cases[0]["detail"]
    assert (await world.one("SELECT times FROM inbox_refusals"))["times"] == 45
    await post(world, b"\xff\xfenot json")
    await post(world, b"\xff\xfenor this")
    await world.inbox.tick()
    assert len(await world.all("SELECT * FROM cases WHERE detail LIKE '%cannot be read%'")) == 1
    world.clock.forward(86_400)
    await post(world, notice(token="t"), **{"X-Signature": "0" * 64})
    assert [row["times"] for row in await world.all("SELECT times FROM inbox_refusals ORDER BY day")] == [45, 1]


@pytest.mark.parametrize("prefix", ["", "/prakerja", "/a/b"])
async def test_the_path_is_signed_as_the_partner_called_it(world: World, prefix: str) -> None:
    """A proxy takes the public address's path off."""
    settings = msgspec.structs.replace(world.resources.settings, public_url=f"https://pay.test{prefix}")
    world.app.state.core = dataclasses.replace(
        world.core, resources=dataclasses.replace(world.resources, settings=settings)
    )
    body = notice(token="t")
    signed = {"X-Signature": signature(prefix + PATH, body)}
    assert (await world.browser().post(PATH, content=body, headers=signed)).status_code == 202
    entered = {"X-Signature": signature(f"{prefix}{PATH}/", body)}
    assert (await world.browser().post(f"{PATH}/", content=body, headers=entered)).status_code == 202
    assert (await world.browser().post(f"{PATH}/", content=body, headers=signed)).status_code == 401
    wrong = {"X-Signature": signature("/other" + PATH, body)}
    assert (await world.browser().post(PATH, content=body, headers=wrong)).status_code == 401
