"""What carries the requests of the demonstration's people, and the pace that its end is told by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.browser import Browser
from gateway.demo.carrier import Carrier
from gateway.demo.cluster import Cluster, _ready, free_ports
from gateway.demo.pace import OVER_S, Pace, in_words

SEEN = web.AppKey("seen", list[tuple[str, str]])
PAGE = "<form action='/in'><input name=phone><button name=action value=continue></button></form>"


async def _answer(request: web.Request) -> web.StreamResponse:
    if request.path == "/in":
        answer: web.StreamResponse = web.Response(status=303, headers={"Location": "/seen?a=b%2Fc"})
        answer.set_cookie("phone", str((await request.post())["phone"]))
        answer.set_cookie("two", "2")
        return answer
    if request.path == "/cut":
        assert request.transport is not None
        request.transport.abort()
    request.app[SEEN].append((request.raw_path, request.headers.get("Cookie", "")))
    if request.path == "/page":
        return web.Response(text=PAGE, content_type="text/html")
    told = {name: request.headers.get(name) for name in ("Cookie", "User-Agent", "Content-Length")}
    return web.json_response({**told, "body": await request.text()})


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    app = web.Application()
    app[SEEN] = []
    app.router.add_route("*", "/{any:.*}", _answer)
    served = TestServer(app)
    async with served:
        yield served


async def test_what_runs_on_this_machine_is_reached_whatever_proxy_is_named(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name)
    nothing: Any = None
    async with asyncio.timeout(5):
        await _ready(Cluster(tmp_path, nothing, nothing, url, 0, {"bni": url}, "", {}))


@pytest.fixture
def url(server: TestServer) -> str:
    return str(server.make_url("")).rstrip("/")


async def test_browsers_over_one_carrier_share_no_cookie_and_follow_by_themselves(server: TestServer, url: str) -> None:
    async with httpx.AsyncClient(transport=Carrier(4), timeout=30) as client:
        for phone in ("62811", "62822"):
            browser = Browser(client, "http://elsewhere.test")
            end = await browser.submit(await browser.get(f"{url}/page"), {"phone": phone}, "continue")
            assert end.url == f"{url}/seen?a=b%2Fc"
        assert (await client.get(f"{url}/seen")).json()["Cookie"] is None
    followed = [cookie for path, cookie in server.app[SEEN] if path == "/seen?a=b%2Fc"]
    assert followed == ["phone=62811; two=2", "phone=62822; two=2"]


async def test_a_body_goes_out_as_it_is_given_whole_or_in_pieces(url: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a,b\n"
        yield b"1,2\n"

    async with httpx.AsyncClient(transport=Carrier(4), timeout=30, headers={"User-Agent": "mine"}) as client:
        whole = (await client.put(f"{url}/x", content=b"a,b\n1,2\n")).json()
        assert (whole["body"], whole["Content-Length"], whole["User-Agent"]) == ("a,b\n1,2\n", "8", "mine")
        cut = (await client.put(f"{url}/x", content=pieces())).json()
        assert (cut["body"], cut["Content-Length"]) == ("a,b\n1,2\n", None)


async def test_what_goes_wrong_is_said_in_httpxs_words(url: str) -> None:
    async with httpx.AsyncClient(transport=Carrier(4), timeout=30) as client:
        with pytest.raises(httpx.ReadError):
            await client.post(f"{url}/cut")
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{free_ports().page}/")


@given(st.integers(1, 500), st.floats(0.2, 5), st.floats(0.5, 200))
def test_an_even_pace_tells_the_end(due: int, step_s: float, a_second: float) -> None:
    pace, at = Pace(), 0.0
    for _ in range(200):
        settled = int(at * a_second)
        left = pace.left_s(at, min(settled, due), due)
        if settled >= due:
            assert left is None
            break
        if left is not None:
            # One more or less settled at either end of the time that the pace is taken over.
            known = settled - 1 - int(max(0.0, at - OVER_S - step_s) * a_second)
            assert left == pytest.approx((due - settled) / a_second, rel=2 / max(1, known), abs=step_s)
        at += step_s


def test_what_stood_still_is_forgotten_after_a_while_and_no_pace_tells_nothing() -> None:
    pace = Pace()
    assert [pace.left_s(at, 0, 100) for at in (0.0, 20.0, 40.0)] == [None] * 3
    assert pace.left_s(50.0, 10, 100) == pytest.approx(270)
    assert pace.left_s(80.0, 40, 100) == pytest.approx(60)
    assert [in_words(left) for left in (None, 3, 64, 130)] == [
        "", "about 10 s more; ", "about 1 min more; ", "about 2 min 10 s more; ",
    ]  # fmt: skip
