"""How often somebody may ask, shared by every node and kept without Redis; and heads that can be read in two ways."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from adapters.registry import PARTNERS
from contracts.partner import CallbackRoute
from contracts.secret import Secret
from gateway.api.app import create_app
from gateway.cli.serve import server_config
from gateway.core import Core
from gateway.demo.browser import Browser
from gateway.demo.player import address_of
from gateway.routes.messages import callbacks
from gateway.security import clients, limits
from gateway.security.clients import register
from gateway.security.limits import Limits, Rate, TooManyRequests
from tests.gateway.api.kit import Api, row
from tests.gateway.app import app_of
from tests.turns import in_turn

GRANT = {"grant_type": "client_credentials"}
RATE = Rate("test", 5, 2.0)


def node(core: Core, **changes: Any) -> httpx.AsyncClient:
    """Another process' application on the same store and cache."""
    other = replace(core, resources=replace(core.resources, **changes))
    transport = httpx.ASGITransport(create_app(core=other), raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://gateway.test")


async def test_an_allowance_is_shared_by_nodes_used_up_and_whole_again(core: Core) -> None:
    redis, nodes = core.resources.redis, [Limits(), Limits()]
    taken = 0
    for n in range(12):
        with contextlib.suppress(TooManyRequests):
            await nodes[n % 2].take(redis, RATE, "ani")
            taken += 1
    assert taken in (5, 6), "both nodes together, and what has come back meanwhile"
    await nodes[0].take(redis, RATE, "budi")
    with contextlib.suppress(TooManyRequests):
        await nodes[1].take(redis, RATE, "ani")
    with pytest.raises(TooManyRequests) as refused:
        await nodes[1].take(redis, RATE, "ani")
    assert 0 < refused.value.retry_after_s <= 0.5
    await asyncio.sleep(refused.value.retry_after_s + 0.05)
    await nodes[0].take(redis, RATE, "ani")
    (key, *_) = await redis.keys("limit:test:*")
    assert b"ani" not in key
    assert 0 < await redis.pttl(key) <= 2_600, "what is whole again is forgotten"


@pytest.mark.parametrize("kept", ["9007199254740991", "1e300", "words", "-5"])
async def test_a_number_that_no_allowance_comes_to_refuses_nobody(redis_url: str, kept: str) -> None:
    """The cache's clock was put back, or somebody else writes there."""
    async with Redis.from_url(redis_url) as redis:
        await Limits().take(redis, RATE, "ani")
        (key,) = await redis.keys("limit:test:*")
        await redis.set(key, kept)
        for _ in range(5):
            await Limits().take(redis, RATE, "ani")
        assert float(await redis.get(key)) < 9e15, "what is true takes its place"


async def test_at_the_same_moment_no_more_than_the_allowance_goes_through(core: Core) -> None:
    both = [Limits(), Limits()]
    taken = await asyncio.gather(
        *(both[n % 2].take(core.resources.redis, Rate("test", 10, 0.01), "x") for n in range(60)),
        return_exceptions=True,
    )
    assert sum(one is None for one in taken) == 10


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::2:3:4:5", True),
        ("2001:db8::1", "2001:0db8:0000::ffff", True),
        ("2001:db8:0:1::1", "2001:db8::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("testclient", "testclient", True),
    ],
)
def test_an_address_counts_for_its_network_in_each_spelling(one: str, other: str, same: bool) -> None:
    assert (limits.network_of(one) == limits.network_of(other)) is same


class Counted:
    """A cache that counts how often it is asked."""

    def __init__(self, redis: Redis) -> None:
        self._redis, self.asked = redis, 0

    async def eval(self, *arguments: Any) -> Any:
        self.asked += 1
        return await self._redis.eval(*arguments)


async def test_a_large_allowance_is_asked_for_some_at_a_time_and_never_exceeded(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_LEASE_S", 3_600.0)  # no busy machine may take a lease away
    rate, nodes = Rate("test", 1_024, 1e-6), [Limits() for _ in range(3)]
    cache: Any = Counted(core.resources.redis)
    taken = [0, 0, 0]

    async def take(node: int, times: int) -> None:
        for _ in range(times):
            with contextlib.suppress(TooManyRequests):
                await nodes[node].take(cache, rate, "ani")
                taken[node] += 1

    await asyncio.gather(*(take(0, 1) for _ in range(16)))
    assert (cache.asked, taken[0]) == (4, 16), "who comes at the same moment waits for one answer, not each for his own"
    await nodes[2].take(cache, rate, "ani")  # and stops with three that it had taken
    await asyncio.gather(*(take(node, 700) for node in (0, 1)))
    assert sum(taken) == 1_024 - 4, "all but what the third has taken, once each"
    assert cache.asked < 700
    with pytest.raises(TooManyRequests):
        await nodes[0].look(cache, rate, "ani")


async def test_what_was_taken_and_not_used_is_lost_after_a_moment(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_LEASE_S", 0.0)
    cache: Any = Counted(core.resources.redis)
    own = Limits()
    for _ in range(3):
        await own.take(cache, Rate("test", 1_024, 1e-6), "ani")
    assert cache.asked == 3


async def test_looking_spends_nothing(core: Core) -> None:
    for _ in range(20):
        await Limits().look(core.resources.redis, RATE, "ani")


async def test_without_redis_each_process_counts_and_says_so_once(core: Core, capsys: Any) -> None:
    nothing = Redis.from_url("redis://127.0.0.1:9", socket_connect_timeout=1)  # as the gateway: it never tries again
    own = Limits()
    taken = 0
    for _ in range(20):
        with contextlib.suppress(TooManyRequests):
            await own.take(nothing, Rate("test", 5, 0.01), "ani")
            taken += 1
    assert taken == 5
    assert "".join(capsys.readouterr()).count("limits_by_process") == 1
    for n in range(limits._MOST_KEYS + 10):
        own._by_process(str(n), 1e9, 5, spend=True)
    assert len(own._own) <= limits._MOST_KEYS
    await nothing.aclose()


async def test_wrong_credentials_are_bounded_by_address_on_all_nodes_and_lock_nobody_else_out(
    api: Api, core: Core
) -> None:
    secret = (await register(core.resources.database, core.resources.clock.now(), name="c", scopes=["read"])).secret
    async with node(core) as other:
        statuses = []
        for n in range(40):
            reply = await (api.http, other)[n % 2].post("/oauth/token", data=GRANT, auth=("c", f"wrong {n}"))
            statuses.append(reply.status_code)
    assert statuses.count(401) <= limits.TOKENS_REFUSED.burst + 5
    assert statuses[-1] == 429
    assert (reply.json()["code"], reply.headers["ratelimit"].split(";")[0]) == ("too_many_requests", '"token-refused"')
    assert int(reply.headers["retry-after"]) >= 1
    right = await api.http.post("/oauth/token", data=GRANT, auth=("c", secret))
    assert right.status_code == 200, "an address may be many people's"
    elsewhere = httpx.ASGITransport(create_app(core=core), client=("203.0.113.7", 1))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://gateway.test") as client:
        assert (await client.post("/oauth/token", data=GRANT, auth=("c", secret))).status_code == 200
    refusals = await api.fetch("SELECT actor FROM audit_log WHERE action = 'token.refused'")
    assert {row["actor"] for row in refusals} == {"c"}


async def test_tokens_of_one_client_are_bounded(api: Api, core: Core) -> None:
    made = await register(core.resources.database, core.resources.clock.now(), name="c", scopes=["read"])
    replies = [
        await api.http.post("/oauth/token", data=GRANT, auth=(made.client_id, made.secret))
        for _ in range(limits.TOKENS.burst + 40)
    ]
    assert replies[-1].status_code == 429 and replies[0].status_code == 200


@pytest.mark.parametrize("path", ["/connect/" + "A" * 32, "/connect/L1/inputs", "/callbacks/ovo/link?st=" + "A" * 32])
async def test_addresses_that_lead_nowhere_are_bounded(api: Api, path: str) -> None:
    replies = [await api.http.get(path) for _ in range(limits.PAGES_REFUSED.burst + 20)]
    assert (replies[0].status_code, replies[-1].status_code) == (400, 429)
    page = await api.http.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 429 and "Terlalu banyak" in page.text and "retry-after" in page.headers


ROUTES = [(slug, route) for slug, one in PARTNERS.items() for route in one.manifest.callbacks]


@pytest.mark.parametrize(("partner", "route"), ROUTES, ids=[f"{slug} {route.kind}" for slug, route in ROUTES])
async def test_notifications_that_are_not_taken_are_bounded_and_so_is_what_is_written_of_them(
    api: Api, monkeypatch: pytest.MonkeyPatch, partner: str, route: CallbackRoute
) -> None:
    monkeypatch.setattr(callbacks, "NOTICES_REFUSED", Rate("few", 3, 1 / 60))
    path, first = f"/callbacks/{partner}{route.path}", 401 if route.signed else 200
    kind = {"Content-Type": "application/json", "Authorization": "linking-token-of-nobody-0123456789"}
    replies = [await api.http.request(route.method, path, content=b"[}", headers=kind) for _ in range(6)]
    assert [reply.status_code for reply in replies] == [first] * 3 + [429] * 3
    (counted,) = await api.fetch("SELECT sum(times) FROM inbox_refusals")
    assert counted[0] == 3, "whoever floods us does not write a row anew with each"


async def test_signing_in_is_bounded_by_address_whatever_the_name(api: Api) -> None:
    for n in range(limits.SIGN_INS_REFUSED.burst + 5):
        reply = await api.http.post("/ops/sign-in", data={"name": f"n{n}", "password": "x", "code": "1"})
        if reply.status_code == 429:
            break
    assert reply.status_code == 429


def _raw(*headers: tuple[str, str]) -> dict[str, Any]:
    return {"content": b"{}", "headers": [("Content-Type", "application/json"), *headers]}


@in_turn(
    ("status", "headers"),
    [
        (400, [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]),
        (400, [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]),
        (400, [("Content-Type", "text/csv")]),
        (400, [("Content-Length", "2"), ("Transfer-Encoding", "chunked")]),
        (431, [("Cookie", "a=" + "x" * 9_000)]),
        (431, [("Cookie", "a=" + "x" * 5_000), ("Cookie", "b=" + "x" * 5_000)]),
        (431, [(f"X-{n}", "y") for n in range(120)]),
    ],
)
async def test_a_head_that_reads_in_two_ways_or_is_endless_is_refused(
    api: Api, status: int, headers: list[tuple[str, str]]
) -> None:
    reply = await api.http.post("/v1/links", **_raw(*headers))
    assert reply.status_code == status, reply.text
    assert reply.headers["x-content-type-options"] == "nosniff"


@in_turn("path", ["/v1/incentives", "/nowhere", "/oauth/token", "/health/live", "/metrics", "/schema"])
async def test_every_answer_is_protected(api: Api, core: Core, path: str) -> None:
    reply = await api.http.get(path)
    assert (reply.headers["x-content-type-options"], reply.headers["cache-control"]) == ("nosniff", "no-store")
    assert "strict-transport-security" not in reply.headers
    assert reply.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (reply.headers["referrer-policy"], reply.headers["x-frame-options"]) == ("no-referrer", "DENY")
    named = 'attachment; filename="api.json"' if path.startswith("/v1/") else None
    assert reply.headers.get("content-disposition") == named
    secure = msgspec.structs.replace(core.resources.settings, public_url="https://pay.test")
    async with node(core, settings=secure) as other:
        assert "max-age=31536000" in (await other.get(path)).headers["strict-transport-security"]


async def test_one_way_of_proving_who_one_is(api: Api, core: Core) -> None:
    made = await register(core.resources.database, core.resources.clock.now(), name="c", scopes=["read"])
    basic, form = (made.client_id, made.secret), {"client_id": made.client_id, "client_secret": made.secret}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for options in (
        {"data": GRANT | form, "auth": basic},
        {"data": GRANT | {"client_id": "maker"}, "auth": basic},
        {"content": b"grant_type=client_credentials&scope=read&scope=ops", "auth": basic, "headers": kind},
        {"content": b"grant_type=client_credentials&grant_type=password", "auth": basic, "headers": kind},
        {"content": b"grant_type=client_credentials&client_secret=\xe9", "auth": basic, "headers": kind},
    ):
        reply = await api.http.post("/oauth/token", **options)  # type: ignore[arg-type]
        assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request"), options
    for odd in (
        b"Basic \xe9",
        b"Basic =",
        b"Basic \x80\x81",
        b"Basic AAA",
        b"Basic " + b"A" * 4_000,
        b"Basic AGE6Yg==",
    ):
        reply = await api.http.post("/oauth/token", data=GRANT, headers={b"Authorization": odd})  # type: ignore[dict-item]
        assert reply.status_code == 401, odd
    reply = await api.http.post("/oauth/token", data=GRANT | {"client_id": made.client_id}, auth=basic)
    assert reply.status_code == 200, "the same name twice is one"


async def test_a_token_is_revoked_by_whose_it_is(api: Api, core: Core) -> None:
    made = await register(core.resources.database, core.resources.clock.now(), name="c", scopes=["read"])
    other = await register(core.resources.database, core.resources.clock.now(), name="d", scopes=["read"])
    token = (await api.http.post("/oauth/token", data=GRANT, auth=(made.client_id, made.secret))).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await api.http.get("/v1/funnel", headers=bearer)).status_code == 200
    wrong = await api.http.post("/oauth/revoke", data={"token": token}, auth=(made.client_id, "wrong"))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    stolen = await api.http.post("/oauth/revoke", data={"token": token}, auth=(other.client_id, other.secret))
    assert stolen.status_code == 200
    assert (await api.http.get("/v1/funnel", headers=bearer)).status_code == 200, "another client's revokes nothing"
    form = {"token": token, "client_id": made.client_id, "client_secret": made.secret}
    assert (await api.http.post("/oauth/revoke", data=form)).status_code == 200
    assert (await api.http.get("/v1/funnel", headers=bearer)).json()["code"] == "invalid_token"
    assert (await api.http.post("/oauth/revoke", data=form)).status_code == 200, "one that is over is over"


async def test_a_secret_is_changed_without_a_gap_and_without_a_new_id(api: Api, core: Core) -> None:
    database, now = core.resources.database, core.resources.clock.now()
    made = await register(database, now, name="c", scopes=["read"])

    async def good(secret: str) -> bool:
        reply = await api.http.post("/oauth/token", data=GRANT, auth=(made.client_id, secret))
        return bool(reply.status_code == 200)

    second = await clients.rotate(database, now, "c", at_once=False)
    assert [await good(one.secret) for one in (made, second)] == [True, True]
    third = await clients.rotate(database, now, "c", at_once=True)
    assert [await good(one.secret) for one in (made, second, third)] == [False, False, True]
    await clients.rotate(database, now - clients.BOTH_GOOD, "c", at_once=False)
    assert not await good(third.secret), "a day later it is good no more"


@in_turn(
    "path",
    [
        "/v1/incentives?limit=1&limit=2",
        "/v1/incentives?stage=paid&stage=paid",
        "/v1/batches?cursor=" + "OTk5OTk5OTk5OTk5OTk5OTk5LjE",  # 18 nines: a time beyond all times
        "/v1/batches/b1/results?cursor=" + "OTk5OTk5OTk5OTk5OTk5OTk5",
        "/v1/events?after=" + "OTk5OTk5OTk5OTk5OTk5OTk5LjE",
        "/v1/events?after=%ED%A0%80",
        "/v1/incentives?participant_id=a%00b",
        "/v1/incentives?cursor=" + "9" * 5_000,
        "/v1/incentives/" + "9" * 400,
        "/v1/payouts/99999999999999999999",
        "/v1/participants/%ED%A0%80",
    ],
)
async def test_nothing_in_an_address_is_an_internal_error(api: Api, path: str) -> None:
    for role in ("maker", "operator"):
        reply = await api.call("GET", path, role=role)
        assert reply.status_code < 500, reply.text
        assert reply.status_code != 200 or "events" in reply.json()


async def test_nothing_that_a_browser_tells_of_addresses_is_an_internal_error(api: Api) -> None:
    """What is no address, as the host asked for, the page before, or the page under a living part."""
    living = (b"HX-Request", b"true")
    for told in ("http://[", "[::1", "a:b:c", "http://[::1]evil.test", "\u00e9:x", ""):
        asked: list[tuple[str, str, list[tuple[bytes, bytes]]]] = [
            ("GET", "/ops/language/en", [(b"Referer", told.encode())]),
            ("POST", "/ops/acts/pause", [(b"Referer", told.encode())]),
            ("GET", "/ops", [(b"HX-Current-URL", told.encode()), living]),
        ]
        hosts = ("GET /ops", "POST /ops/sign-in", "GET /connect/abc", "POST /connect/abc", "GET /docs", "GET /nowhere")
        for method, path in map(str.split, (*hosts, "POST /v1/incentives", "POST /oauth/token")):
            headers = [(b"Host", told.encode()), (b"Accept", b"text/html"), (b"Idempotency-Key", b"k")]
            headers.append((b"Authorization", f"Bearer {api.tokens['maker']}".encode()))
            asked.append((method, path, headers))
        for method, path, headers in asked:
            reply = await api.http.request(method, path, headers=headers, json=row(1) if "/v1" in path else None)
            assert reply.status_code < 500, (told, method, path)
            assert "evil" not in reply.headers.get("location", ""), (told, method, path)


async def test_each_address_has_one_spelling(api: Api) -> None:
    made = (await api.call("POST", "/v1/incentives", key="k", json=row(1))).json()["incentive"]["incentive_id"]
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in made)
    assert (await api.call("GET", f"/v1/incentives/{made}")).status_code == 200
    for path in (
        f"/v1/incentives/{wide}",
        f"/v1/incentives/+{made}",
        f"/v1/incentives/0{made}",
        f"/v1//incentives/{made}",
    ):
        reply = await api.call("GET", path)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found"), path
    hook = {"url": "https://core.example/hook?for=3174014205909901"}
    assert (await api.call("POST", "/v1/webhook-endpoints", json=hook)).json()["code"] == "personal_data"
    basic = (await register(api.core.resources.database, api.core.resources.clock.now(), name="c", scopes=["read"]),)[0]
    form = GRANT | {"scope": "read read"}
    granted = await api.http.post("/oauth/token", data=form, auth=(basic.client_id, basic.secret))
    assert granted.json()["scope"] == "read"


async def test_a_body_that_breaks_off_is_no_failure_of_ours(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"x"), (b"content-type", b"application/x-www-form-urlencoded"), (b"content-length", b"9")]
    scope: Any = {
        "type": "http", "method": "POST", "path": "/oauth/token", "raw_path": b"/oauth/token", "query_string": b"",
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("x", 80), "scheme": "http", "http_version": "1.1",
        "root_path": "",
    }  # fmt: skip
    await app_of(api.core)(scope, gone, send)
    assert sent[0]["status"] == 400
    assert "request_failed" not in "".join(capsys.readouterr())


@in_turn("path", ["/v1/settlements/%s/confirm", "/v1/partners/holds/%s/release"])
@in_turn("number", ["9" * 25, "0", "2147483648", "-1"])
async def test_no_number_in_an_address_is_an_internal_error(api: Api, path: str, number: str) -> None:
    reply = await api.call("POST", path % number, role="operator", json={})
    assert 400 <= reply.status_code < 500, reply.text


async def test_metrics_ask_for_their_token(api: Api, core: Core) -> None:
    assert (await api.http.get("/metrics")).status_code == 200, "none is set"
    token = "9f2c61d07be84a35c1e8f4a2"
    settings = msgspec.structs.replace(core.resources.settings, metrics_token=Secret(token))
    async with node(core, settings=settings) as other:
        for given in (
            {},
            {"Authorization": "Bearer x"},
            {"Authorization": token},
            {"Authorization": f"bearer {token}"},
        ):
            reply = await other.get("/metrics", headers=given)
            assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated")
        reply = await other.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        assert reply.status_code == 200 and "gateway_incentives" in reply.text
        assert (await other.get("/health/live")).status_code == 200


async def test_all_that_one_client_asks_for_is_bounded_and_takes_nothing_from_others(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.security.clients.CALLS", limits.Rate("client-small", 5, 0.001))
    paths = ("/v1/funnel", "/v1/incentives", "/v1/partners")
    replies = [await api.call("GET", paths[n % 3], role="reader") for n in range(6)]
    assert [reply.status_code for reply in replies] == [200] * 5 + [429]
    assert int(replies[-1].headers["retry-after"]) >= 1
    assert (await api.call("GET", "/v1/funnel", role="one")).status_code == 200


async def test_what_is_refused_goes_on_record_and_is_bounded(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.security.clients.ACCESS_REFUSED", limits.Rate("refused-small", 2, 0.001))
    for status in (403, 403, 429):
        reply = await api.call("POST", "/v1/partners/ovo/pause", json={"reason": "x"}, role="reader")
        assert reply.status_code == status
    for status in (401, 401, 429):
        bearer = {"Authorization": "Bearer nobodys"}
        assert (await api.http.get("/v1/incentives/08123456789", headers=bearer)).status_code == status
    assert (await api.call("GET", "/v1/funnel", role="reader")).status_code == 200, "a good token is taken all the same"
    rows = await api.fetch("SELECT actor, action, subject FROM audit_log WHERE action ~ 'refused|unknown' ORDER BY seq")
    reader = api.ids["reader"]
    assert [tuple(row) for row in rows] == [
        (reader, "scope.refused", "/v1/partners"),
        (reader, "scope.refused", "/v1/partners"),
        ("nobody", "token.unknown", "/v1/incentives"),
        ("nobody", "token.unknown", "/v1/incentives"),
    ]


async def test_the_demonstrations_people_do_not_share_one_address(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of them open pages within minutes, through the API's own server as it is configured."""
    monkeypatch.setattr("gateway.routes.linking.browsers.PAGES", limits.Rate("pages-small", 2, 0.001))
    settings = server_config(app_of(api.core))
    settings.load()
    transport = httpx.ASGITransport(settings.loaded_app, client=("127.0.0.1", 1))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for person in ("P00000001", "P00000002"):
            browser = Browser(client, "https://core.test", address_of(person))
            seen = [(await browser.get("http://127.0.0.1/connect/" + "A" * 32)).status for _ in range(3)]
            assert seen[-1] == 429 and 429 not in seen[:2], "nor does one of them ask without end"
