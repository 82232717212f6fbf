"""The partner has answered, and the database is away: a code, an OTP and a refresh token are good once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from contracts.errors import PartnerUnavailable
from contracts.incentive import BlockerCode
from contracts.linking import Grant, LinkInputs, LinkRefused, Unlinked
from contracts.secret import Secret
from gateway.security.sealed import open_grant
from gateway.services.linking import facts
from gateway.storage.base.database import Connection
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import World

AWAY = (
    asyncpg.ConnectionDoesNotExistError("failing over"),
    OSError("no route"),
    asyncpg.CannotConnectNowError("starting"),
)


def goes_away(world: World, monkeypatch: pytest.MonkeyPatch, says: Any, times: int = 3) -> Callable[[], Awaitable[Any]]:
    """The partner says it, and from then on so many transactions find no database."""

    async def answer() -> Any:
        transaction, left = world.database.transaction, list(range(times))

        @asynccontextmanager
        async def flaky() -> AsyncIterator[Connection]:
            if left:
                raise AWAY[left.pop() % len(AWAY)]
            async with transaction() as connection:
                yield connection

        monkeypatch.setattr(world.database, "transaction", flaky)
        return says

    return answer


async def test_a_grant_outlives_the_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    link_id, browser, state = await world.opened(await world.person("sole"))
    world.banks["sole"].will("finish", goes_away(world, monkeypatch, granted()))
    reply = await browser.get("/callbacks/sole/link", params={"st": state, "code": "c-1"})
    assert (reply.status_code, (await world.link(link_id))["state"]) == (303, "active")
    assert world.banks["sole"].calls("finish") == 1


async def test_so_does_a_refusal_and_it_names_its_reason(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = await world.person("sole")
    link_id, browser, state = await world.opened(pid)
    refused = LinkRefused(code=BlockerCode.ACCOUNT_BLOCKED, partner_code="4037418")
    world.banks["sole"].will("finish", goes_away(world, monkeypatch, refused))
    await browser.get("/callbacks/sole/link", params={"st": state, "code": "c-1"})
    assert (await world.link(link_id))["ended_because"] == "account_blocked"
    assert await world.incentive(pid) == ("awaiting_link", "account_blocked")


async def test_so_does_what_an_otp_brought(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = world.banks["bank"]
    bank.will("begin", LinkInputs(names=("card_no",)))
    link = await world.start(await world.person("bank"))
    shown = await world.linking.open(link["challenge"]["url"].rsplit("/", 1)[1], {})
    bank.will("answer", goes_away(world, monkeypatch, granted()))
    await world.linking.inputs(shown.link.id, {"card_no": Secret("1946340000009901")})
    assert (await world.link(link["link_id"]))["state"] == "active"
    assert bank.calls("answer") == 1


async def test_so_does_a_fresh_grant_whose_old_one_is_void(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old = granted("old-access-token", refresh_token=Secret("old-refresh-token"))
    link_id = await world.linked(await world.person("sole"), old)
    fresh = Grant(access_token=Secret("new-access-token"), refresh_token=Secret("new-refresh-token"))
    world.banks["sole"].will("refresh", goes_away(world, monkeypatch, fresh))
    assert await world.linking.customer_token_refused(link_id)
    held = open_grant(world.vault, link_id, (await world.link(link_id))["grant_sealed"])
    assert held.refresh_token is not None and held.refresh_token.reveal() == "new-refresh-token"


async def test_and_so_does_the_end_of_a_link(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    link_id = await world.linked(await world.person("sole"), granted())
    world.banks["sole"].will("unlink", goes_away(world, monkeypatch, Unlinked()))
    await world.api.delete(f"/v1/links/{link_id}")
    assert (await world.link(link_id))["state"] == "unlinked"
    assert world.banks["sole"].calls("unlink") == 1


async def test_nothing_is_kept_of_what_was_not_answered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is none to keep: the code is as good as before, and the same browser exchanges it."""
    link_id, browser, state = await world.opened(await world.person("sole"))
    bank = world.banks["sole"]
    bank.before["finish"] = PartnerUnavailable("nothing left")
    await browser.get("/callbacks/sole/link", params={"st": state, "code": "c-1"})
    assert (await world.link(link_id))["state"] == "opened"
    bank.before.clear()
    bank.will("finish", goes_away(world, monkeypatch, granted(), times=1))
    await browser.get("/callbacks/sole/link", params={"st": state, "code": "c-1"})
    assert (await world.link(link_id))["state"] == "active"


def test_a_token_that_lives_for_seconds_is_not_refreshed_all_the_time() -> None:
    now = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
    for life_s, after_s in ((1, 300), (60, 300), (330, 300), (1000, 900), (15 * 86_400, 14 * 86_400)):
        ends = now + timedelta(seconds=life_s)
        grant = Grant(access_token=Secret("t"), refresh_token=Secret("r"), expires_at=ends)
        assert facts.refresh_at(grant, now) == now + timedelta(seconds=after_s)
        alone = Grant(access_token=Secret("t"), expires_at=ends)
        assert facts.refresh_at(alone, now) == max(ends, now + timedelta(seconds=300)), "good until its end"
    assert facts.refresh_at(Grant(access_token=Secret("t")), now) is None
