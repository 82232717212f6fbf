"""A refused token whose code names no service may be ours or the participant's, where both were shown."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from gateway.partners.executor import Executor
from gateway.partners.transport import Reply
from tests.gateway.payouts.city import City, open_city
from tests.gateway.payouts.town import Quiet


class Refusing:
    """Stands before a mock and refuses one token, whoever shows it, in a code that names no service of the call."""

    def __init__(self, city: City, slug: str, header: str, code: str) -> None:
        desk = city.desks[slug]
        self._inner = next(iter(desk._executor._hosts.values()))
        self._header, self._code = header, code
        self.dead: str | None = None
        self.refused = 0
        desk._executor = Executor(slug, dict.fromkeys(desk.manifest.hosts, self), city.clock, Quiet())

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        shown = {name.lower(): value for name, value in headers.items()}.get(self._header)
        if shown is not None and "inquiry" in target:
            self.dead = self.dead or shown
            if shown == self.dead:
                self.refused += 1
                body = {"responseCode": self._code, "responseMessage": "Unauthorized"}
                return Reply(401, {"content-type": "application/json"}, json.dumps(body).encode())
        return await self._inner.send(method, target, headers, content, timeout_s, limit_bytes)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("authorization", "4010000"),
        ("authorization", "4017300"),
        ("authorization-customer", "4010000"),
        ("authorization-customer", "4017300"),
        ("authorization-customer", "4013700"),  # with the service's own code OVO means the participant's
    ],
)
async def test_whichever_it_was_is_renewed_and_the_payout_is_paid(database: str, header: str, code: str) -> None:
    async with open_city(database) as city:
        refusing = Refusing(city, "ovo", header, code)
        incentive, worker = await city.due("ovo", amount=10_000), city.worker()
        for _ in range(20):
            await worker.tick_send("ovo")
            await city.pass_time(30)
        assert await city.stands(incentive) == ("paid", None)
        assert 1 <= refusing.refused <= 3
        assert [row["state"] for row in await city.fetch("SELECT state FROM links")] == ["active"]
