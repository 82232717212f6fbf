"""Same seed, scenario, stopped clock and bytes sent: the same bytes come back, in notices, books and log too."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_partners.kit.http import CONTROL, Call
from tests.mock_partners.signers import CLIENTS, STYLES, Signer
from tests.mock_partners.wire import PACKAGES, Got, Mock, Sent, start


@dataclass
class Client:
    """One client in the middle of a run: its signers, and what it learned from the answers."""

    mock: Mock
    signers: dict[str, Signer] = field(init=False)
    customer: str = field(init=False)
    learned: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.signers = {product: Signer(self.mock, product) for product in CLIENTS[self.mock.partner].PRODUCTS}
        self.customer = self.mock.customer_token()

    def learn(self, got: Got) -> None:
        try:
            told = json.loads(got.body)
        except ValueError:
            return
        while isinstance(told, list) and told:
            told = told[0]
        if isinstance(told, dict):
            self.learned |= told | (told["data"] if isinstance(told.get("data"), dict) else {})
            for payout in told.get("payouts", []):
                self.learned |= payout


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, 99), st.sampled_from(STYLES)),
        st.tuples(st.just("extra"), st.integers(0, 99), st.just(STYLES[0])),
        st.tuples(st.just("token"), st.integers(0, 99), st.sampled_from(STYLES)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 7, 90, 1_000, 86_400]), st.just(STYLES[0])),
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip


async def first_run(mock: Mock, steps: list[Any]) -> tuple[list[Sent | int], list[Any]]:
    """Plays the steps, each request made from what was learned before; returns what was sent and what was seen."""
    client, sent, seen = Client(mock), list[Sent | int](), list[Any]()
    known, extra = CLIENTS[mock.partner].ENDPOINTS, CLIENTS[mock.partner].EXTRA
    products = [name for name, signer in client.signers.items() if signer.product.token_path]
    tokens = [("token", number, STYLES[0]) for number in range(len(products))]
    for kind, number, style in (*tokens, *steps):
        if (kind == "token" and not products) or (kind == "call" and not known):
            continue
        if kind == "wait":
            request: Sent | int = number
        elif kind == "extra":
            request = extra[number % len(extra)](client)
        elif kind == "token":
            request = client.signers[products[number % len(products)]].token_call(style=style)
        else:
            endpoint = known[number % len(known)]
            bearer = {"b2b": None, "": "", "customer": client.customer}[endpoint.bearer]
            customer = client.customer if endpoint.customer else ""
            request = client.signers[endpoint.product].sign(endpoint, style, bearer=bearer, customer=customer)
        sent.append(request)
        got = await play(mock, request)
        seen.append(got)
        if isinstance(got, Got):
            client.learn(got)
            if kind == "token":
                client.signers[products[number % len(products)]].token = client.learned.get("accessToken", "")
    return sent, seen


async def play(mock: Mock, request: Sent | int) -> Got | int | str:
    if isinstance(request, Sent):
        try:
            return await answered(mock, request)
        except httpx.TransportError as lost:
            return type(lost).__name__
    mock.clock.shift(request)
    return await mock.scheduler.run_due()


async def kept(mock: Mock, name: str) -> bytes:
    """The bytes of a part of the control API."""
    return (await answered(mock, Sent("GET", f"/__mock__/{name}"))).body


async def answered(mock: Mock, sent: Sent) -> Got:
    """The answer of a handler itself: to assemble an application takes longer than all that is asked of it here."""
    for route in mock.app.routes:
        found = _pattern(route.path).fullmatch(sent.path) if route.method == sent.method else None
        if found is not None:
            headers = {"host": "mock", **sent.headers}
            call = Call(sent.method, sent.path, sent.query, headers, sent.body, found.groupdict(), "127.0.0.1")
            runner = None if route.path.startswith(CONTROL) else mock.app.runner
            reply = await (route.handler(call) if runner is None else runner.run(route, call))
            shown = ((name.lower().encode(), value.encode()) for name, value in reply.headers.items())
            return Got(reply.status, tuple(sorted(shown)), reply.body)
    return await mock.send(sent)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+):str\}", r"(?P<\1>[^/]+)", path))


COOKBOOK = sorted(Path(str(resources.files("mock_partners"))).glob("cookbook/*.toml"))
SCENARIOS = {
    path.stem: text for path in COOKBOOK if not re.search("delay_s|slow_answer_s|trickle_s", text := path.read_text())
}
"""Those of the cookbook in which nobody waits."""


@pytest.mark.parametrize("partner", sorted(PACKAGES))
@given(steps=STEPS, seed=st.integers(0, 3), scenario=st.sampled_from(["", *SCENARIOS]))
def test_the_same_bytes_get_the_same_bytes(partner: str, steps: list[Any], seed: int, scenario: str) -> None:
    async def both() -> None:
        one, other = (start(partner, seed, settlement_s=5, reversal_s=60) for _ in range(2))
        if scenario:
            for mock in (one, other):
                set_ = await answered(mock, Sent("PUT", "/__mock__/scenario", body=SCENARIOS[scenario].encode()))
                assert set_.status == 200
        sent, seen = await first_run(one, steps)
        other.customer_token()
        again = [await play(other, request) for request in sent]
        assert again == seen
        assert other.notices == one.notices
        for name in ("books", "requests", "notifications", "links", "scenario", "pending"):
            assert await kept(other, name) == await kept(one, name), name

    asyncio.run(both())


@pytest.mark.parametrize("partner", sorted(PACKAGES))
def test_another_seed_gives_other_tokens(partner: str) -> None:
    """The property above compares something: what is random differs between seeds."""

    async def token(seed: int) -> str:
        mock = start(partner, seed)
        signs = "snap" in CLIENTS[partner].PRODUCTS
        return (await Signer(mock).authenticate() if signs else "") or mock.customer_token()

    assert asyncio.run(token(1)) == asyncio.run(token(1)) != asyncio.run(token(2))
