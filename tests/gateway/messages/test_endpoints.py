"""`/v1/webhook-endpoints`: a client's own, from its secret to its dead letters."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from gateway.core import Core
from gateway.services.messages.delivery import Deliverer
from gateway.services.messages.post import Post
from gateway.services.messages.webhooks import MOST_ENDPOINTS, Webhooks
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.app import app_of
from tests.gateway.messages.receiver import receiving
from tests.turns import in_turn

NETWORKS = (ipaddress.ip_network("127.0.0.0/8"),)
PATH = "/v1/webhook-endpoints"


@pytest.fixture
async def api(core: Core) -> AsyncIterator[Api]:
    """The application of an installation that may call receivers on loopback."""
    resources = core.resources
    webhooks = Webhooks(resources.database, resources.clock, resources.vault, NETWORKS)
    transport = httpx.ASGITransport(app_of(replace(core, webhooks=webhooks)), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        yield await Api.open(core, client)


async def test_from_the_endpoint_to_the_first_event(api: Api, core: Core) -> None:
    resources = core.resources
    async with receiving() as receiver:
        reply = await api.call("POST", PATH, json={"url": receiver.url, "types": ["batch.received", "batch.rejected"]})
        assert reply.status_code == 201, reply.text
        receiver.secret, endpoint = reply.json()["secret"], reply.json()["endpoint"]
        assert receiver.secret.startswith("whsec_")
        own = f"{PATH}/{endpoint['webhook_endpoint_id']}"
        assert (await api.call("POST", f"{own}/test")).json()["delivered"] is True
        batch = (await api.submit(as_csv([row(1), row(2)]))).json()
        await api.decide(batch, "one", "reject")
        worker = Deliverer(resources.database, resources.clock, resources.vault, Post(NETWORKS), name="w")
        await worker.tick()
        await worker.settle()
        await worker.close()
        told = [message for _, message in receiver.taken]
        assert [message["type"] for message in told] == ["webhook.test", "batch.received", "batch.rejected"]
        assert told[1]["subject"] == batch["batch_id"] and told[1]["data"]["rows_accepted"] == 2
        page = (await api.call("GET", "/v1/events", params={"limit": 1000})).json()
        assert told[2]["cursor"] in {event["cursor"] for event in page["events"]}

        shown = (await api.call("GET", own)).json()
        assert (shown["waiting"], shown["dead_letters"], shown["failing_since"]) == (0, 0, None)
        assert receiver.secret not in (await api.call("GET", PATH)).text
        again = await api.call("POST", f"{own}/replay", json={"until": told[1]["cursor"]})
        assert again.status_code == 202
        open_one = await api.call("POST", f"{own}/replay", json={})
        assert (open_one.status_code, open_one.json()["code"]) == (409, "replay_open")
        worker = Deliverer(resources.database, resources.clock, resources.vault, Post(NETWORKS), name="w")
        await worker.tick()
        await worker.settle()
        await worker.close()
        assert [message["type"] for _, message in receiver.taken][3:] == ["batch.received"]
        assert receiver.taken[3][0] == receiver.taken[1][0], "the same event has the same id"

        rotated = await api.call("POST", f"{own}/rotate-secret")
        assert rotated.json()["secret"] != receiver.secret
        twice = await api.call("POST", f"{own}/rotate-secret")
        assert (twice.status_code, twice.json()["code"]) == (409, "rotation_open")
        assert (await api.call("GET", f"{own}/dead-letters")).json() == {"dead_letters": [], "next_cursor": None}
        assert (await api.call("DELETE", own)).status_code == 204
        assert (await api.call("GET", own)).status_code == 404
    audited = await api.fetch("SELECT action FROM audit_log WHERE action LIKE 'webhook.%' ORDER BY seq")
    assert [r["action"] for r in audited] == ["webhook.create", "webhook.replay", "webhook.rotate", "webhook.delete"]


@pytest.mark.parametrize("operation", ["create", "rotate"])
async def test_a_secret_whose_answer_was_lost_is_told_again_under_its_key_alone(api: Api, operation: str) -> None:
    """The new secret is the only one that signs after a day: who has never seen it would take no call any more."""
    path, body, status = PATH, {"url": "http://127.0.0.1:9/hook"}, 201
    if operation == "rotate":
        made = (await api.call("POST", path, json=body)).json()
        path, body, status = f"{PATH}/{made['endpoint']['webhook_endpoint_id']}/rotate-secret", None, 200
    first, again = [await api.call("POST", path, json=body, key="lost") for _ in range(2)]
    assert (first.status_code, again.status_code) == (status, status)
    assert first.json() == again.json() and first.json()["secret"].startswith("whsec_")
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await api.call("POST", path, json=body, key="other")
    assert (other.status_code, "secret" in other.json()) == (409, False)
    theirs = await api.call("POST", path, json=body, key="lost", role="reader")
    assert "secret" not in theirs.json() or theirs.json()["secret"] != first.json()["secret"]


async def test_another_client_sees_and_changes_none_of_it(api: Api) -> None:
    made = (await api.call("POST", PATH, json={"url": "http://127.0.0.1:9/hook"})).json()
    own = f"{PATH}/{made['endpoint']['webhook_endpoint_id']}"
    before = await api.state()
    for method, path, body in (
        ("GET", own, None), ("PATCH", own, {"types": []}), ("DELETE", own, None),
        ("POST", f"{own}/rotate-secret", None),
        ("POST", f"{own}/enable", None), ("POST", f"{own}/test", None), ("POST", f"{own}/replay", {}),
        ("DELETE", f"{own}/replay", None),
        ("GET", f"{own}/dead-letters", None),
    ):  # fmt: skip
        reply = await api.call(method, path, role="reader", json=body)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found"), f"{method} {path}"
    assert (await api.call("GET", PATH, role="reader")).json() == {"webhook_endpoints": []}
    assert await api.state() == before


@in_turn(
    "body",
    [
        {"url": "https://10.0.0.1/hook"}, {"url": "https://169.254.169.254/"}, {"url": "ftp://core.example/x"},
        {"url": "https://core.example/x#y"}, {"url": "https://core.example/#"},
        {"url": "https://core.example/", "types": ["incentive.exploded"]}, {"url": "https://core.example/", "x": 1}, {},
    ],
)  # fmt: skip
async def test_what_cannot_be_called_is_refused(api: Api, body: dict[str, object]) -> None:
    before = await api.state()
    reply = await api.call("POST", PATH, json=body)
    assert reply.status_code == 422 and reply.json()["remedy"]
    assert await api.state() == before


async def test_a_client_has_a_bounded_number_and_no_more_when_it_asks_at_once(api: Api) -> None:
    for n in range(MOST_ENDPOINTS):
        assert (await api.call("POST", PATH, json={"url": f"https://core.example/{n}"})).status_code == 201
        again = await api.call("POST", PATH, json={"url": f"https://core.example/{n}", "types": ["case.opened"]})
        assert (again.status_code, again.json()["code"]) == (409, "endpoint_exists"), "an answer was lost, say"
    reply = await api.call("POST", PATH, json={"url": "https://core.example/more"})
    assert (reply.status_code, reply.json()["code"]) == (409, "too_many_endpoints")
    assert (await api.call("POST", PATH, role="one", json={"url": "https://core.example/"})).status_code == 201


@pytest.mark.parametrize(
    ("query", "called"),
    [
        ("code=abc==&x=%2F%20y&e=a+b%2b", None), ("u=http%3A%2F%2Fa", None), ("", None),
        ("k=%zz&q=\"", "k=%25zz&q=%22"),
    ],
)  # fmt: skip
async def test_an_address_is_called_as_it_was_given(query: str, called: str | None) -> None:
    async with receiving() as receiver:
        post = Post(NETWORKS)
        try:
            secret = "whsec_" + "a" * 32
            url = f"{receiver.url}?{query}" if query else receiver.url
            told = await post.send(url, [secret], "msg_1", datetime.now(UTC), b"{}")
        finally:
            await post.close()
        assert told.status == 200, told
        assert receiver.target == (f"/hook?{called or query}" if query else "/hook")


async def test_an_address_spelled_otherwise_is_the_same_address(api: Api) -> None:
    made = (await api.call("POST", PATH, json={"url": "https://core.example/hook?a=B"})).json()["endpoint"]
    other = (await api.call("POST", PATH, json={"url": "https://core.example/other"})).json()["endpoint"]
    own = f"{PATH}/{other['webhook_endpoint_id']}"
    spelled = ("https://CORE.example/hook?a=B", "HTTPS://core.example:443/hook?a=B", "https://core.example./hook?a=B")
    for url in spelled:
        for method, path in (("POST", PATH), ("PATCH", own)):
            reply = await api.call(method, path, json={"url": url})
            assert (reply.status_code, reply.json()["code"]) == (409, "endpoint_exists"), (method, url)
    for url in ("https://core.example/hook?a=b", "https://core.example:8443/hook?a=B", "https://core.example/Hook?a=B"):
        assert (await api.call("PATCH", own, json={"url": url})).status_code == 200, url
    same = f"{PATH}/{made['webhook_endpoint_id']}"
    assert (await api.call("PATCH", same, json={"url": spelled[0]})).status_code == 200, "its own"
    secret = await api.call("PATCH", own, json={"url": "https://core.example/3174014205909901"})
    assert (secret.status_code, secret.json()["code"]) == (422, "personal_data")


async def test_a_range_without_events_is_refused(api: Api) -> None:
    made = (await api.call("POST", PATH, json={"url": "https://core.example/"})).json()["endpoint"]
    own = f"{PATH}/{made['webhook_endpoint_id']}"
    for body in ({"after": made["cursor"]}, {"after": "%%%"}, {"dead_letters": True, "after": made["cursor"]}):
        reply = await api.call("POST", f"{own}/replay", json=body)
        assert reply.status_code == 422, body
