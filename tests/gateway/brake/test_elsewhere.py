"""Every partner is wrong about everybody for five minutes, in its own words, at each of its calls: nobody is ended."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from contracts.hold import HoldStage
from gateway.partners.executor import Executor, Transport
from gateway.partners.transport import Reply
from gateway.services.brake.brake import Brake
from gateway.worker.outage import Outages
from tests.gateway.payouts.city import City, open_city
from tests.gateway.payouts.town import Quiet

WRONG_S = 300.0
PEOPLE = 7


class Wrong(NamedTuple):
    """What a partner says wrongly: at which calls, with which status, and what."""

    slug: str
    path: str
    status: int
    body: Mapping[str, Any] | None
    """None: no body at all, as something in front of the partner answers."""


def snap(slug: str, path: str, code: str) -> Wrong:
    return Wrong(slug, path, int(code[:3]), {"responseCode": code, "responseMessage": "no"})


UNKNOWN, INACTIVE = "4043711", "4033718"
LIMIT = snap("", "", "4033802").body
"""Usual at the end of a month: asked about again by itself, and no crowd."""
CASES = [
    snap("dana", "emoney/account-inquiry", UNKNOWN),
    snap("dana", "emoney/account-inquiry", INACTIVE),
    snap("dana", "emoney/topup", "4043811"),
    snap("dana", "emoney/topup", "4033818"),
    snap("dana", "emoney/topup", "4033802"),
    snap("dana", "emoney/topup", "4033814"),
    Wrong("dana", "/", 401, None),
    snap("ovo", "emoney/account-inquiry", UNKNOWN),
    snap("ovo", "emoney/topup", "4043811"),
    snap("ovo", "emoney/topup", "4033804"),
    Wrong("ovo", "emoney/", 401, None),
    snap("bni", "account-inquiry-internal", "4031518"),
    snap("bni", "transfer-intrabank", "4041711"),
    Wrong("bni", "account-inquiry-internal", 401, None),
    Wrong("linkaja", "cashin/inquiry", 200, {"data": {"responseCode": "62", "responseMessage": "Account Blocked"}}),
    Wrong("linkaja", "cashin/confirm", 200, {"data": {"responseCode": "62", "responseMessage": "Account Blocked"}}),
    Wrong("linkaja", "cashin/", 401, None),
    Wrong("gopay", "/iris/api/v1/payouts", 401, {"error_message": "unauthorized"}),
    Wrong("gopay", "/iris/api/v1/payouts", 400, {"error_message": "An error occurred", "errors": {"0": ["invalid"]}}),
]


OFTEN = [CASES[2], CASES[4], CASES[6], CASES[14]]
"""These are in every run; the others with `--long`."""


class Liar:
    """In front of a partner's mock: what it says wrongly while that lasts."""

    def __init__(self, city: City, wrong: Wrong) -> None:
        desk = city.desks[wrong.slug]
        self._inner: Transport = next(iter(desk._executor._hosts.values()))
        self._city, self._wrong, self._until = city, wrong, city.clock.now() + timedelta(seconds=WRONG_S)
        self.lies = 0
        desk._executor = Executor(wrong.slug, dict.fromkeys(desk.manifest.hosts, self), city.clock, Quiet())

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        path = target.partition("?")[0]
        here = path.endswith(self._wrong.path) or (self._wrong.path.endswith("/") and self._wrong.path in path)
        if not here or self._city.clock.now() >= self._until:
            return await self._inner.send(method, target, headers, content, timeout_s, limit_bytes)
        self.lies += 1
        body = b"" if self._wrong.body is None else json.dumps(self._wrong.body).encode()
        return Reply(self._wrong.status, {"content-type": "application/json"}, body)


async def live(city: City, slug: str, hours: float) -> None:
    """What a worker does at one partner under the holds, in growing steps."""
    worker, statements, brake = city.worker(), city.statements(), Brake(city.database, city.clock)
    outages = Outages(city.resources, "w1", asyncio.Event())
    until, step_s = city.clock.now() + timedelta(hours=hours), 20.0
    while city.clock.now() < until:
        await outages.tick()
        await brake.tick()
        await worker.tick_timers()
        gate = outages.of(slug, HoldStage.PAYOUT)
        if await gate.turn() == 0.0:
            await worker.tick_send(slug, 1 if gate.down else 3)
        await worker.tick_lookups(slug)
        await statements.tick(slug)
        await city.pass_time(step_s)
        step_s = min(step_s * 1.15, 7_200.0)


@pytest.mark.parametrize("wrong", CASES, ids=lambda one: f"{one.slug}-{one.path.strip('/')}-{one.status}-{one[3]}"[:60])
async def test_five_wrong_minutes_end_nobody(database: str, wrong: Wrong, long: bool) -> None:
    if not long and wrong not in OFTEN:
        pytest.skip("with --long")
    async with open_city(database) as city:
        liar = Liar(city, wrong)
        for _ in range(PEOPLE):
            await city.due(wrong.slug, amount=10_000)
        await live(city, wrong.slug, 0.07)
        assert liar.lies >= 1
        noticed = await city.fetch("SELECT FROM holds") or wrong.body == LIMIT
        await live(city, wrong.slug, 100.0)
        rows = await city.fetch("SELECT stage, blocker FROM incentives")
        assert Counter((row["stage"], row["blocker"]) for row in rows) == {("paid", None): PEOPLE}
        assert noticed
        assert {row["state"] for row in await city.fetch("SELECT state FROM links")} == {"active"}
        assert await city.fetch("SELECT FROM holds WHERE released_at IS NULL") == []
        assert await city.cases() == []
        await city.check()
