"""Our access tokens: shared through the cache, and forgotten exactly when the partner refused that very one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import Hint, OutcomeUnknown, PartnerUnavailable
from contracts.hold import CallFault
from contracts.partner import AccessToken, Context, Token
from contracts.payout import Outcome, not_accepted, succeeded
from contracts.plan import Effect, Request, Response
from contracts.secret import Secret
from gateway.partners.desk import Desk
from gateway.partners.executor import Executor
from gateway.partners.tokens import Tokens
from gateway.partners.transport import Reply
from gateway.partners.watch import Told
from gateway.security.vault import Vault
from gateway.settings import Waits
from tests.gateway.cache import Cache
from tests.gateway.payouts.fake import VirtualClock, manifest
from tests.gateway.payouts.town import Quiet

TOKEN = Token(life_s=900.0, source="test")


class Teller:
    """A partner that issues T1, T2, ... and takes only those that it has not called back; its adapter too."""

    def __init__(self) -> None:
        self.manifest = manifest(tokens={"b2b": TOKEN}, needs={"payout": ("b2b",), "status": ("b2b",)})
        self.clock = VirtualClock(datetime(2026, 11, 24, tzinfo=UTC))
        self.issued = 0
        self.answers_after_s = 0.0
        self.life_s = 900.0
        self.dead: set[str] = set()
        self.together: asyncio.Barrier | None = None
        """No call but a token's is answered before so many are in the air."""

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        if target == "/token":
            self.issued += 1
            self.clock.advance(self.answers_after_s)
            return Reply(200, {}, f"T{self.issued}".encode())
        if self.together is not None:
            await self.together.wait()
        return Reply(401 if headers["token"] in self.dead else 200, {}, b"")

    def fetch_token(
        self, ctx: Context, name: str, held: AccessToken | None
    ) -> Generator[Request, Response, AccessToken]:
        reply = yield request(Effect.READ, "/token", "")
        return AccessToken(value=Secret(reply.content.decode()), life_s=self.life_s)

    def payout(self, ctx: Context) -> Generator[Request, Response, Outcome]:
        reply = yield request(Effect.WRITE, "/payout", ctx.token("b2b"))
        return succeeded() if reply.status == 200 else not_accepted(Hint.OUR_TOKEN)

    def bind(self, ctx: Context) -> Generator[Request, Response, str]:
        reply = yield request(Effect.WRITE, "/bind", ctx.token("b2b"))
        if reply.status == 401:
            raise PartnerUnavailable("HTTP 401", hint=Hint.OUR_TOKEN)
        return ctx.token("b2b")

    def status(self, ctx: Context) -> Generator[Request, Response, str]:
        reply = yield request(Effect.READ, "/status", ctx.token("b2b"))
        if reply.status == 401:
            raise PartnerUnavailable("HTTP 401", hint=Hint.OUR_TOKEN)
        return ctx.token("b2b")


def request(effect: Effect, target: str, token: str) -> Request:
    return Request(
        operation="x", effect=effect, host="api", method="POST", target=target, headers={"token": token}, timeout_s=15.0
    )


@pytest.fixture
def teller() -> Teller:
    return Teller()


@pytest.fixture
def cache() -> Cache:
    return Cache()


def process(teller: Teller, cache: Cache, key: str = "k", host: str = "http://127.0.0.1:1") -> Desk:
    """A process of the gateway: memory of its own, the cache shared."""
    clock, vault = teller.clock, Vault(bytes(32))
    partner: Any = teller
    return Desk(
        partner,
        credentials={"signing_key": Secret(key)},
        hosts={"api": host},
        executor=Executor("fake", {"api": teller}, clock, Quiet()),
        tokens=Tokens(cache, vault, clock),  # type: ignore[arg-type]
        clock=clock,
        waits=Waits(),
        entropy=random.Random(1),
    )


async def status(teller: Teller, desk: Desk) -> str:
    return await desk.run("status", teller.status, subject="1")


async def pay(teller: Teller, desk: Desk) -> Outcome:
    return await desk.run("payout", teller.payout, subject="1")


async def test_processes_share_one_token(teller: Teller, cache: Cache) -> None:
    assert await status(teller, process(teller, cache)) == await status(teller, process(teller, cache)) == "T1"


@pytest.mark.parametrize("other", [{"key": "rotated"}, {"host": "http://127.0.0.1:2"}])
async def test_a_token_is_of_the_client_that_got_it(teller: Teller, cache: Cache, other: dict[str, str]) -> None:
    """After a key was exchanged the old client's token was used until its end, and while one process still had the old
    key both took each other's: what each signed went with another's token.
    """
    before, after = process(teller, cache), process(teller, cache, **other)
    assert [await status(teller, desk) for desk in (before, after, before, after)] == ["T1", "T2", "T1", "T2"]
    assert await status(teller, process(teller, cache, **other)) == "T2", "shared all the same"
    teller.dead.add("T2")
    assert await status(teller, after) == "T3"
    assert await status(teller, process(teller, cache)) == "T1", "nor is the other's forgotten"
    assert len(cache.values) == 2 and not any("rotated" in place for place in cache.values)


async def test_a_token_refused_on_a_read_is_replaced_at_once(teller: Teller, cache: Cache) -> None:
    desk = process(teller, cache)
    assert await status(teller, desk) == "T1"
    teller.dead.add("T1")
    assert await status(teller, desk) == "T2"
    assert teller.issued == 2


async def test_a_token_refused_on_a_write_is_gone_for_every_process(teller: Teller, cache: Cache) -> None:
    """The write itself is not made again; whoever comes next, in any process, brings a fresh token."""
    desk = process(teller, cache)
    assert await status(teller, desk) == "T1"
    teller.dead.add("T1")
    assert (await pay(teller, desk)).hint is Hint.OUR_TOKEN
    assert teller.issued == 1
    restarted = process(teller, cache)
    assert (await pay(teller, restarted)).kind == succeeded().kind
    assert (await pay(teller, desk)).kind == succeeded().kind
    assert teller.issued == 2


async def test_a_write_whose_refusal_is_no_outcome_drops_the_token_too(teller: Teller, cache: Cache) -> None:
    """A bind sends an SMS: it is not made again by itself, but the next try must not meet the same 401."""
    desk = process(teller, cache)
    assert await desk.run("payout", teller.bind, subject="1") == "T1"
    teller.dead.add("T1")
    with pytest.raises(OutcomeUnknown):
        await desk.run("payout", teller.bind, subject="1")
    assert await desk.run("payout", teller.bind, subject="1") == "T2"


async def test_a_tokens_life_begins_when_it_is_asked_for(teller: Teller, cache: Cache) -> None:
    """The process stood still before it read the answer."""
    desk = process(teller, cache)
    teller.answers_after_s = 600.0
    assert await status(teller, desk) == "T1"
    teller.clock.advance(300.0)
    assert await status(teller, desk) == "T2"


async def test_a_short_lived_token_is_used_for_half_its_life(teller: Teller, cache: Cache) -> None:
    """Shorter than the time by which others are renewed early: else every call would ask for one of its own."""
    teller.life_s = 30.0
    desk = process(teller, cache)
    assert [await status(teller, desk) for _ in range(3)] == ["T1", "T1", "T1"]
    teller.clock.advance(16.0)
    assert await status(teller, desk) == "T2"


async def test_a_late_refusal_does_not_drop_the_token_that_came_after(teller: Teller, cache: Cache) -> None:
    first, second = process(teller, cache), process(teller, cache)
    assert await status(teller, first) == await status(teller, second) == "T1"
    teller.dead.add("T1")
    assert (await pay(teller, first)).hint is Hint.OUR_TOKEN
    assert await status(teller, first) == "T2"
    assert (await pay(teller, second)).hint is Hint.OUR_TOKEN, "it still had the old one in memory"
    assert await status(teller, second) == await status(teller, first) == "T2"
    assert teller.issued == 2


async def test_without_the_cache_each_process_has_its_own(teller: Teller, cache: Cache) -> None:
    cache.down = True
    desk = process(teller, cache)
    assert await status(teller, desk) == "T1"
    teller.dead.add("T1")
    assert await status(teller, desk) == "T2"
    assert await status(teller, process(teller, cache)) == "T3"


@pytest.mark.parametrize("ways", [["pay", "pay"], ["status"], ["pay", "status"], ["status", "pay"]])
async def test_who_refuses_a_fresh_token_too_refuses_us(teller: Teller, cache: Cache, ways: list[str]) -> None:
    """One refused token may have been stale; the next one was not."""
    desk = process(teller, cache)
    seen: list[Told] = []
    desk.watched_by(SimpleNamespace(told=lambda operation, told: seen.append(told)))  # type: ignore[arg-type]
    teller.dead |= {f"T{n}" for n in range(10)}
    for way in ways:
        if way == "pay":
            await pay(teller, desk)
        else:
            with pytest.raises(PartnerUnavailable):
                await status(teller, desk)
    assert seen[-1].fault is CallFault.CREDENTIALS
    assert all(told.fault is CallFault.UNAUTHORIZED for told in seen[:-1] if ways[0] == "pay")
    teller.dead.clear()
    assert (await pay(teller, desk)).kind == succeeded().kind
    teller.dead.add(f"T{teller.issued}")
    assert (await pay(teller, desk)).hint is Hint.OUR_TOKEN, "stale, for all we know"


async def test_several_in_the_air_under_one_stale_token_say_no_more_than_one(teller: Teller, cache: Cache) -> None:
    desk = process(teller, cache)
    await status(teller, desk)
    teller.dead.add("T1")
    teller.together = asyncio.Barrier(5)
    async with asyncio.timeout(60):
        said = await asyncio.gather(*[pay(teller, desk) for _ in range(5)])
    assert [one.hint for one in said] == [Hint.OUR_TOKEN] * 5
