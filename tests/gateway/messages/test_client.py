"""`gateway.client` against the schema and the application: typed answers, one key for one request, no repeat that could
do something twice.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import types
import typing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import msgspec
import pytest

import gateway.client
from gateway.client import AsyncGateway, Gateway, InvalidWebhook, NoAnswer, Refused, calls, models, verify
from gateway.client.call import Call, Pages
from gateway.core import Core
from gateway.security.clients import register
from gateway.services.messages.post import Post
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.app import app_of
from tests.gateway.messages.receiver import receiving
from tests.gateway.messages.test_addresses import LOOPBACK, SECRET
from tests.turns import in_turn

ARGUMENTS: dict[str, Any] = {
    "rows": b"x", "incentive": {"nik": "x"}, "decision": "approve", "content_root": "00", "incentive_id": "1",
    "url": "https://core.example/", "return_url": "https://core.example/",
}  # fmt: skip
CALLS = {
    name: made
    for name, made in vars(calls).items()
    if inspect.isfunction(made) and not name.startswith("_") and made.__module__ == calls.__name__
}


def _made(name: str) -> Call[Any] | Pages[Any]:
    wanted = inspect.signature(CALLS[name]).parameters.values()
    needed = [p for p in wanted if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    values = {p.name: ARGUMENTS.get(p.name, "x") for p in needed}
    return CALLS[name](**values)  # type: ignore[no-any-return]


def _differences(model: type, schema: dict[str, Any], schemas: dict[str, Any], where: str) -> list[str]:
    """Fields that the schema does not promise, or that may be null there and not here."""
    schema = schemas[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
    found = []
    for field in msgspec.structs.fields(model):
        told = schema.get("properties", {}).get(field.encode_name)
        if told is None or field.required and field.encode_name not in schema.get("required", []):
            found.append(f"{where}.{field.name} is not promised")
            continue
        options = told.get("oneOf") or told.get("anyOf") or [told]
        kinds = typing.get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
        if any(option.get("type") == "null" for option in options) and type(None) not in kinds:
            found.append(f"{where}.{field.name} may be null")
        for kind in kinds:
            inner = typing.get_args(kind)[0] if typing.get_origin(kind) is list else kind
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                option = next(o for o in options if o.get("type") != "null")
                found += _differences(inner, option.get("items", option), schemas, f"{where}.{field.name}")
    return found


@in_turn("name", CALLS)
async def test_each_call_is_an_operation_of_the_schema(name: str, http: httpx.AsyncClient) -> None:
    document = (await http.get("/schema")).json()
    made = _made(name)
    call = made.first if isinstance(made, Pages) else made
    assert call.operation == name
    ((path, operation),) = [
        (path, operations[call.method.lower()])
        for path, operations in document["paths"].items()
        if operations.get(call.method.lower(), {}).get("operationId") == name
    ]
    assert re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), call.path)
    parameters = {p["name"]: p for p in operation.get("parameters", [])}
    assert set(call.query) <= set(parameters)
    assert ("Idempotency-Key" in parameters) == (call.key is not None)
    status = next(code for code in operation["responses"] if code.startswith("2"))
    schemas = document["components"]["schemas"]
    if call.answer is type(None):
        assert status == "204"
        return
    (told,) = [
        kind["schema"] for kind in operation["responses"][status]["content"].values() if "$ref" in kind["schema"]
    ]
    if isinstance(made, Pages):
        assert "cursor" in parameters
        assert int(str(call.query["limit"])) <= parameters["limit"]["schema"]["maximum"]
        page = schemas[told["$ref"].rsplit("/", 1)[-1]]
        assert "next_cursor" in page["required"]
        assert _differences(made.item, page["properties"][made.items]["items"], schemas, name) == []
    else:
        assert _differences(call.answer, told, schemas, name) == []


async def test_what_somebody_decides_by_is_in_the_models(http: httpx.AsyncClient) -> None:
    """What is odd about a batch, what to do about a refused row, when and under which number a paid one was paid."""
    schemas = (await http.get("/schema")).json()["components"]["schemas"]
    left = {
        name: set(schemas[name]["properties"]) - {field.encode_name for field in msgspec.structs.fields(model)}
        for name, model in {"Batch": models.Batch, "Item": models.PlanItem, "RowResult": models.RowResult}.items()
    }
    assert left == {
        "Batch": {"content_key", "doubt", "doubted_at", "results_url"}, "Item": set(), "RowResult": {"owner"},
    }  # fmt: skip


def test_what_is_published_is_there() -> None:
    assert all(hasattr(gateway.client, name) for name in gateway.client.__all__)


async def test_from_a_batch_to_its_events(api: Api, core: Core) -> None:
    store, now = core.resources.database, core.resources.clock.now()
    maker = await register(store, now, name="core platform", scopes=["batches", "incentives", "read"])
    approver = await register(store, now, name="first approver", scopes=["batches:approve", "read"])
    ways = [httpx.ASGITransport(app_of(core)) for _ in range(2)]  # type: ignore[arg-type]
    async with (
        AsyncGateway("http://api", maker.client_id, maker.secret, transport=ways[0]) as core_platform,
        AsyncGateway("http://api", approver.client_id, approver.secret, transport=ways[1]) as one,
    ):
        handed = calls.submit_batch(as_csv([row(n) for n in range(1, 8)]))
        batch = await core_platform.send(handed)
        assert (await core_platform.send(handed)).batch_id == batch.batch_id, "sent twice, it is one"
        assert batch.rows_accepted == 7
        rejected = await one.send(calls.decide_batch(batch.batch_id, "reject", batch.content_root))
        assert rejected.state == "rejected"
        shown = [i async for i in core_platform.pages(calls.list_incentives(stage="cancelled", limit=3))]
        assert [i.participant_id for i in shown] == [row(n)["participant_id"] for n in range(1, 8)]
        told = [e async for e in core_platform.pages(calls.list_events(limit=4))]
        assert [e.type for e in told].count("incentive.changed") == 14
        assert [e async for e in core_platform.pages(calls.list_events(after=told[-1].cursor))] == []
        with pytest.raises(Refused) as refused:
            await one.send(calls.read_incentive(999))
        assert (refused.value.status, refused.value.code) == (404, "not_found") and refused.value.remedy
        with pytest.raises(Refused) as refused:
            await core_platform.send(calls.decide_batch(batch.batch_id, "approve", batch.content_root))
        assert refused.value.code == "scope_missing"


class Script:
    """An API that answers as it is told, and counts."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.tokens = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            self.tokens += 1
            return httpx.Response(200, json={"access_token": f"t{self.tokens}", "expires_in": 900})
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _gateway(script: Script) -> Gateway:
    return Gateway("http://api", "core", "secret", transport=httpx.MockTransport(script))


BAD_GATEWAY = httpx.Response(502, text="<html>")
GOOD = httpx.Response(200, json={"delivered": True, "status": 200, "error": None, "took_ms": 1})


@pytest.mark.parametrize("trouble", [httpx.ReadTimeout("x"), httpx.ReadError("x"), BAD_GATEWAY])
def test_what_may_have_been_done_is_not_sent_again(trouble: Any) -> None:
    script = Script(trouble, GOOD)
    with _gateway(script) as client, pytest.raises((NoAnswer, Refused)):
        client.send(calls.test_webhook_endpoint("we1"))
    assert len(script.requests) == 1


def test_what_never_left_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    script = Script(httpx.ConnectError("x"), GOOD)
    with _gateway(script) as client:
        assert client.send(calls.test_webhook_endpoint("we1")).delivered


def test_a_request_under_a_key_is_repeated_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    running = httpx.Response(409, json={"code": "request_in_progress", "detail": "", "remedy": ""})
    busy = httpx.Response(429, headers={"Retry-After": "7"})
    hastened = {"incentive_id": "1", "stage": "scheduled", "blocker": None, "payout_id": None, "hastened": True}
    script = Script(httpx.ReadTimeout("x"), busy, running, httpx.Response(202, json=hastened))
    with _gateway(script) as client:
        assert client.send(calls.hasten_payout("1")).hastened
    assert len({request.headers["Idempotency-Key"] for request in script.requests}) == 1
    assert len(script.requests) == 4 and waited[1] == 7.0
    script = Script(*[httpx.ReadTimeout("x")] * 9)
    with _gateway(script) as client, pytest.raises(NoAnswer):
        client.send(calls.hasten_payout("1"))
    assert len(script.requests) == 4, "and not for ever"


def test_a_token_that_was_taken_back_is_fetched_once_more() -> None:
    no = httpx.Response(401, json={"code": "invalid_token", "detail": "x", "remedy": "y"})
    script = Script(no, GOOD)
    with _gateway(script) as client:
        assert client.send(calls.test_webhook_endpoint("we1")).delivered
    assert [r.headers["Authorization"] for r in script.requests] == ["Bearer t1", "Bearer t2"]
    script = Script(no, no)
    with _gateway(script) as client, pytest.raises(Refused, match="invalid_token"):
        client.send(calls.test_webhook_endpoint("we1"))


async def test_a_webhook_is_verified_and_anything_else_is_not(api: Api) -> None:
    body = msgspec.json.encode(
        {"type": "case.opened", "timestamp": datetime.now(UTC), "data": {"n": 1}, "subject": "7"}
    )
    taken: list[tuple[dict[str, str], bytes]] = []
    async with receiving() as receiver:
        post = Post(LOOPBACK)
        await post.send(receiver.url, [SECRET], "msg_1", datetime.now(UTC), body)
        await post.close()
        taken.append((receiver.headers[0], body))
    headers, sent = taken[0]
    message = verify(SECRET, headers, sent)
    assert (message.id, message.type, message.data, message.subject) == ("msg_1", "case.opened", {"n": 1}, "7")
    other = "whsec_" + "B" * 43 + "="
    old = headers | {"webhook-timestamp": "1000000000"}
    for secret, named, raw in (
        (other, headers, sent), (SECRET, headers, sent.replace(b"7", b"8")), (SECRET, {}, sent), (SECRET, old, sent),
        (SECRET, headers | {"webhook-signature": "v1"}, sent), (SECRET, headers | {"webhook-id": "msg_2"}, sent),
        (SECRET, headers | {"webhook-signature": "v1,%%%"}, sent),
    ):  # fmt: skip
        with pytest.raises(InvalidWebhook):
            verify(secret, named, raw)


def _page(events: list[dict[str, Any]], cursor: str) -> httpx.Response:
    return httpx.Response(200, json={"events": events, "next_cursor": cursor})


EVENT = {"cursor": "b", "type": "case.opened", "subject": "7", "data": {}, "at": "2026-05-01T00:00:00Z"}


@pytest.mark.parametrize("after", [None, "a"])
def test_pages_go_on_over_a_stretch_of_others_events(after: str | None) -> None:
    """Another organisation's file was merged: a page without an event of ours leads on, and only one that leads to
    itself is the last.
    """
    answers = [_page([], "x"), _page([], "y"), _page([EVENT], "b"), _page([], "c"), _page([], "c")]
    script = Script(*answers)
    with _gateway(script) as client:
        assert [event.cursor for event in client.pages(calls.list_events(after=after))] == ["b"]
    assert [request.url.params.get("cursor") for request in script.requests] == [after, "x", "y", "b", "c"]


async def test_an_event_behind_a_whole_file_of_another_organisation_is_read(api: Api, core: Core) -> None:
    """More than one answer looks through."""
    store, now = core.resources.database, core.resources.clock.now()
    reader = await register(store, now, name="reads on", scopes=["read"], organisation="prakerja")
    await api.fetch(
        "INSERT INTO events (type, subject, data, at) SELECT 'incentive.changed', n::text,"
        ' \'{"participant_id": "X"}\', $1 FROM generate_series(1, 21000) AS n',
        now,
    )
    await api.fetch("INSERT INTO events (type, subject, data, at) VALUES ('partner.resumed', 'ovo', '{}', $1)", now)
    way = httpx.ASGITransport(app_of(core))  # type: ignore[arg-type]
    async with AsyncGateway("http://api", reader.client_id, reader.secret, transport=way) as client:
        assert [event.subject async for event in client.pages(calls.list_events())] == ["ovo"]


async def test_both_clients_read_pages_alike() -> None:
    script = Script(_page([], "x"), _page([EVENT], "b"), _page([], "b"))
    async with AsyncGateway("http://api", "core", "secret", transport=httpx.MockTransport(script)) as client:
        assert [event.cursor async for event in client.pages(calls.list_events(after="a"))] == ["b"]
    odd = Script(httpx.Response(200, json={"events": [{"cursor": 1}], "next_cursor": "x"}))
    with _gateway(odd) as client, pytest.raises(NoAnswer, match="page"):
        list(client.pages(calls.list_events()))


TOKEN = httpx.Response(200, json={"access_token": "t", "expires_in": 900})
TROUBLES = (
    httpx.Response(503, headers={"Retry-After": "1"}, json={"code": "unavailable"}), httpx.Response(429), BAD_GATEWAY,
    httpx.ReadTimeout("x"), httpx.ConnectTimeout("x"),
)  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=repr)
def test_a_token_is_asked_for_again_whatever_it_is_for(trouble: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that may be sent once only has not left while its token is asked for."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    told = [trouble, trouble, TOKEN, GOOD]

    def answer(request: httpx.Request) -> httpx.Response:
        said = told.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    def gateway() -> Gateway:
        return Gateway("http://api", "core", "secret", transport=httpx.MockTransport(answer))

    with gateway() as client:
        assert client.send(calls.test_webhook_endpoint("we1")).delivered
    wrong = httpx.Response(401, json={"code": "invalid_client", "error": "invalid_client"})
    told = [wrong, GOOD]
    with gateway() as client, pytest.raises(Refused, match="invalid_client"):
        client.send(calls.read_payout("1"))
    assert told == [GOOD], "wrong credentials are told at once"


@pytest.mark.parametrize("kind", [httpx.ConnectTimeout, httpx.ProxyError, httpx.PoolTimeout])
def test_what_never_left_is_whyever(kind: type[httpx.TransportError], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with _gateway(Script(kind("x"), GOOD)) as client:
        assert client.send(calls.test_webhook_endpoint("we1")).delivered


@pytest.mark.parametrize("status", [500, 502, 504, 520])
def test_what_stands_in_front_refuses_nothing(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A balancer that gave up waiting: whoever takes that for a refusal hands the same over once more, otherwise."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    for text in ("<html>", "{}", "[]", ""):
        script = Script(*[httpx.Response(status, text=text)] * 4)
        with _gateway(script) as client, pytest.raises(NoAnswer, match=str(status)):
            client.send(calls.hasten_payout("1"))
    ours = httpx.Response(status, json={"code": "internal", "detail": "x", "remedy": "y"})
    with _gateway(Script(*[ours] * 4)) as client, pytest.raises(Refused, match="internal"):
        client.send(calls.hasten_payout("1"))


def test_a_body_that_cannot_be_unpacked_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return TOKEN
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))

    transport = httpx.MockTransport(answer)
    with Gateway("http://api", "core", "secret", transport=transport) as client, pytest.raises(NoAnswer):
        client.send(calls.read_payout("1"))


def test_a_day_and_hour_to_come_back_at_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    soon, past = (
        httpx.Response(503, headers={"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=s))})
        for s in (20, -20)
    )
    with _gateway(Script(soon, past, GOOD)) as client:
        client.send(msgspec.structs.replace(calls.test_webhook_endpoint("we1"), repeatable=True))
    assert 15 < waited[0] <= 20 and 0.5 < waited[1] <= 2, waited


async def test_a_token_that_was_taken_back_is_fetched_once_for_all_who_held_it() -> None:
    """As many fetches as there are calls under way would use up the allowance of tokens, and all would fail."""
    tokens = 0
    old = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal tokens
        if request.url.path == "/oauth/token":
            tokens += 1
            return httpx.Response(200, json={"access_token": f"t{tokens}", "expires_in": 900})
        if request.headers["Authorization"] == "Bearer t1":
            await old.wait()  # all hold the same one
            await asyncio.sleep(0.001 * int(request.url.path.rpartition("/")[2]))  # and hear of it one after the other
            return httpx.Response(401, json={"code": "invalid_token"})
        return httpx.Response(404, json={"code": "not_found"})

    async with AsyncGateway("http://api", "core", "secret", transport=httpx.MockTransport(answer)) as client:
        asking = [asyncio.create_task(client.send(calls.read_payout(str(n)))) for n in range(20)]
        await asyncio.sleep(0.05)
        old.set()
        told = await asyncio.gather(*asking, return_exceptions=True)
    assert {getattr(one, "code", one) for one in told} == {"not_found"}
    assert tokens == 2


def test_a_batch_is_waited_for_as_long_as_it_takes_and_declared_for_each_partner() -> None:
    batch = calls.submit_batch(b"x", partner_rupiah=["bni:1", "ovo:2"])
    script = Script(httpx.Response(409, json={"code": "x"}))
    with _gateway(script) as client, pytest.raises(Refused):
        client.send(batch)
    (request,) = script.requests
    assert request.url.params.get_list("partner_rupiah") == ["bni:1", "ovo:2"]
    assert request.extensions["timeout"]["read"] >= 600 > request.extensions["timeout"]["connect"]
