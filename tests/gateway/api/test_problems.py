"""Bad input gets a clear problem document and changes nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import secrets
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.core import Core
from gateway.routes.intake import batches as batch_routes
from gateway.security.assertions import TYPE
from gateway.security.clients import SCOPES, register
from gateway.security.limits import Rate
from gateway.services.intake import spool
from tests.gateway.api.kit import Api, as_csv, nik, row

PROBLEM = "application/problem+json"
JSON = {"Content-Type": "application/json"}
ROOT = "0" * 64


def _request(method: str, path: str, *, role: str = "maker", key: str | None = "k", **more: Any) -> dict[str, Any]:
    return {"method": method, "path": path, "role": role, "key": key, **more}


def _incentive(**changes: Any) -> dict[str, Any]:
    return _request("POST", "/v1/incentives", json=row(1, **changes))


REFUSED: dict[str, tuple[dict[str, Any], int, str, str | None]] = {
    "wrong JSON": (_request("POST", "/v1/incentives", content=b'{"nik": ', headers=JSON), 422, "json_malformed", None),
    "not UTF-8": (
        _request("POST", "/v1/payouts", content=b'{"\xff": 1}', headers=JSON), 422, "charset_unsupported", None,
    ),
    "no body": (_request("POST", "/v1/incentives", headers=JSON), 422, "body_missing", None),
    "a list": (_request("POST", "/v1/payouts", json=[1]), 422, "field_invalid", None),
    "unknown field": (_incentive(bank="x"), 422, "column_unknown", None),
    "a NIK as a field": (_incentive(**{nik(3): 1}), 422, "column_unknown", None),
    "missing field": (
        _request("POST", "/v1/payouts", json={}), 422, "field_missing", "incentive_id"
    ),
    "NIK of 15 digits": (_incentive(nik=nik(1)[:15]), 422, "nik_invalid", "nik"),
    "NIK with a wrong date": (_incentive(nik="3174013113909901"), 422, "nik_invalid", "nik"),
    "amount 0": (_incentive(amount_rupiah=0), 422, "amount_invalid", "amount_rupiah"),
    "amount 1.5": (_incentive(amount_rupiah=1.5), 422, "amount_invalid", "amount_rupiah"),
    "amount with dots": (_incentive(amount_rupiah="600.000"), 422, "amount_invalid", "amount_rupiah"),
    "amount over the partner's limit": (_incentive(amount_rupiah=900_000_000), 422, "amount_invalid", "amount_rupiah"),
    "unknown partner": (_incentive(partner="nobody"), 422, "partner_unknown", "partner"),
    "no date": (_incentive(due_on="2026-02-30"), 422, "date_invalid", "due_on"),
    "deadline first": (_incentive(deadline_on="2025-01-01"), 422, "date_invalid", "deadline_on"),
    "no key": (
        _request("POST", "/v1/incentives", json=row(1), key=None), 422, "idempotency_key_missing", "Idempotency-Key"
    ),
    "an overlong key": (_request("POST", "/v1/incentives", json=row(1), key="x" * 129), 422, "invalid_request",
                        "Idempotency-Key"),
    "form for JSON": (
        _request("POST", "/v1/payouts", content=b"incentive_id=1",
                 headers={"Content-Type": "application/x-www-form-urlencoded"}),
        415, "unsupported_media_type", None,
    ),
    "over the bound": (
        _request("POST", "/v1/payouts", content=b" " * 70_000, headers=JSON), 413, "too_large", None
    ),
    "a batch as a form": (
        _request("POST", "/v1/batches", content=b"a=1", headers={"Content-Type": "application/x-www-form-urlencoded"}),
        415, "unsupported_media_type", None,
    ),
    "batch without key": (
        _request("POST", "/v1/batches", content=as_csv([row(1)]), headers={"Content-Type": "text/csv"}, key=None),
        422, "idempotency_key_missing", "Idempotency-Key",
    ),
    "batch without a header": (
        _request("POST", "/v1/batches", content=as_csv([row(1)])[150:], headers={"Content-Type": "text/csv"}),
        422, "header_invalid", "programme",
    ),
    "empty batch": (
        _request("POST", "/v1/batches", content=as_csv([]), headers={"Content-Type": "text/csv"}),
        422, "batch_empty", None,
    ),
    "missing scope": (_request("POST", "/v1/incentives", json=row(1), role="reader"), 403, "scope_missing", None),
    "approval without scope": (
        _request("POST", "/v1/batches/b1/approvals", json={"decision": "approve", "content_root": ROOT}),
        403, "scope_missing", None,
    ),
    "pause without scope": (
        _request("POST", "/v1/partners/bni/pause", json={"reason": "because"}), 403, "scope_missing", None
    ),
    "pause for somebody": (
        _request("POST", "/v1/partners/bni/pause", json={"reason": "call 0812-3456-7890"}, role="operator"),
        422, "personal_data", "reason",
    ),
    "release for somebody": (
        _request("POST", "/v1/partners/holds/1/release", json={"reason": "of 3174014205909901"}, role="operator"),
        422, "personal_data", "reason",
    ),
    "unknown batch": (
        _request("POST", "/v1/batches/b1/approvals", json={"decision": "approve", "content_root": ROOT}, role="one"),
        404, "not_found", None,
    ),
    "no decision": (
        _request("POST", "/v1/batches/b1/approvals", json={"decision": "maybe", "content_root": ROOT}, role="one"),
        422, "field_invalid", "decision",
    ),
    "no root": (
        _request("POST", "/v1/batches/b1/approvals", json={"decision": "approve", "content_root": "x"}, role="one"),
        422, "field_invalid", "content_root",
    ),
    "unknown incentive": (_request("GET", "/v1/incentives/7"), 404, "not_found", None),
    "cancel an unknown incentive": (_request("POST", "/v1/incentives/7/cancel"), 404, "not_found", None),
    "payout of an unknown incentive": (
        _request("POST", "/v1/payouts", json={"incentive_id": "7"}), 404, "not_found", None
    ),
    "unknown payout": (_request("GET", "/v1/payouts/7"), 404, "not_found", None),
    "unknown partner's switch": (
        _request("POST", "/v1/partners/x/pause", json={"reason": "because"}, role="operator"), 404, "not_found", None
    ),
    "unknown stage": (_request("GET", "/v1/incentives", params={"stage": "gone"}), 422, "field_invalid", "stage"),
    "limit too high": (_request("GET", "/v1/incentives", params={"limit": 9999}), 422, "field_invalid", "limit"),
    "no value": (_request("GET", "/v1/incentives", params={"programme": ""}), 422, "field_invalid", "programme"),
    "not UTF-8 in the query": (
        _request("GET", "/v1/incentives?participant_id=%ff%fe"), 422, "charset_unsupported", None,
    ),
    "null where something is needed": (
        _request("POST", "/v1/webhook-endpoints", json={"url": None, "types": None}), 422, "field_invalid", "url"
    ),
    "foreign cursor": (_request("GET", "/v1/incentives", params={"cursor": "%%%"}), 422, "invalid_request", "cursor"),
    "foreign event cursor": (_request("GET", "/v1/events", params={"after": "MQ"}), 422, "invalid_request", "cursor"),
    "no such route": (_request("GET", "/v1/nothing"), 404, "not_found", None),
    "id that is none": (_request("GET", "/v1/incentives/x"), 404, "not_found", None),
    "an overlong id": (_request("GET", f"/v1/verifications/{'9' * 40}"), 404, "not_found", None),
    "an endless id": (_request("GET", f"/v1/verifications/{'9' * 5_000}"), 404, "not_found", None),
    "a day before there was anything": (
        _request("POST", "/v1/reconciliations", json={"partner": "bni", "date": "0001-01-01"}, role="operator"),
        422, "invalid_request", "date",
    ),
    "wrong method": (_request("DELETE", "/v1/batches"), 405, "method_not_allowed", None),
}  # fmt: skip


async def test_refused_with_a_problem_and_without_a_trace(api: Api) -> None:
    """All on one database: each changes nothing, so none can disturb the next."""
    before = await api.state()
    for name, (options, status, code, field) in REFUSED.items():
        options = dict(options)
        reply = await api.call(options.pop("method"), options.pop("path"), **options)
        problem = reply.json()
        found = (reply.status_code, problem.get("status"), problem.get("code"), problem.get("field"))
        assert found == (status, status, code, field), f"{name}: {reply.text}"
        assert reply.headers["content-type"].startswith(PROBLEM), name
        assert problem["remedy"], name
        assert problem["type"] == f"urn:prakerja-gateway:problem:{code}", name
        for value in (nik(1), nik(1)[:15], nik(3), "nobody", "maybe", "900000000", "3174013113909901"):
            assert value not in reply.text, name
        assert await api.state() == before, name


async def test_every_route_under_v1_wants_a_token(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.security.clients.ACCESS_REFUSED", Rate("refused-here", 10_000, 1.0))
    document = (await api.http.get("/schema")).json()
    asked = 0
    for path, operations in document["paths"].items():
        if not path.startswith("/v1"):
            continue
        for method, operation in operations.items():
            assert operation["security"], f"{method} {path} names no scope"
            url = re.sub(r"{\w+}", "1", path)
            for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic Zm86YmFy"}):
                reply = await api.http.request(method, url, headers=headers)
                assert reply.status_code == 401, f"{method} {path} {headers}"
                assert reply.headers["content-type"].startswith(PROBLEM)
                assert reply.headers["www-authenticate"].startswith("Bearer")
                asked += 1
    assert asked >= 60


MAKING = {"links", "verifications", "incentives", "payouts", "batches"}
DECIDING = {"batches:approve", "ops"}
BY_EITHER = {
    "/v1/participants/{participant_id}",  # a correction, whose second word is another person's
    "/v1/participants/{participant_id}/stop",
    "/v1/batches/{batch_id}/stop",
    "/v1/plans/{plan_id}/stop",
    "/v1/programmes",
}
"""What both who makes and who decides may ask for: it lets nobody be paid."""


async def test_every_scope_but_the_right_one_opens_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever id stands in the address: what is there and what is not are told alike."""
    monkeypatch.setattr("gateway.security.clients.ACCESS_REFUSED", Rate("refused-here", 10_000, 1.0))
    made = (await api.submit(as_csv([row(1)]))).json()
    (person,) = await api.fetch("SELECT participant_id, id::text AS incentive_id FROM incentives")
    there = {"batch_id": made["batch_id"], "participant_id": person[0], "incentive_id": person[1], "partner": "bni"}
    before, tried, both = await api.state(), 0, set[str]()
    tokens: dict[tuple[str, ...], str] = {}
    for path, operations in (await api.http.get("/schema")).json()["paths"].items():
        for method, operation in operations.items() if path.startswith("/v1") else ():
            right = {name for one in operation["security"] for name in one["client"]}
            own = path.startswith("/v1/webhook-endpoints")  # where one is told what one may read
            assert method == "get" or own or "read" not in right, f"{method} {path}: reading is enough"
            both |= {path} if right & MAKING and right & DECIDING and method != "get" else set()
            others = tuple(sorted(set(SCOPES) - right))
            token = tokens[others] = tokens.get(others) or await token_of(api, others)
            told = []
            for ids in (there, {}):
                url = re.sub(r"{(\w+)}", lambda found, ids=ids: ids.get(found[1], "1"), path)  # type: ignore[misc]
                headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "the-same"}
                reply = await api.http.request(method, url, headers=headers)
                told.append((reply.status_code, reply.json()["code"], reply.content))
                tried += 1
            assert told[0] == told[1], f"{method} {path}"
            assert told[0][:2] == (403, "scope_missing"), f"{method} {path} under {others}: {told[0]}"
    assert tried > 100
    assert both == BY_EITHER
    assert {table for table, rows in (await api.state()).items() if rows != before[table]} == {"access_tokens"}


async def token_of(api: Api, scopes: tuple[str, ...]) -> str:
    """A token of these scopes, which no client could be given."""
    token = secrets.token_urlsafe()
    await api.fetch(
        "INSERT INTO access_tokens (token_hash, client_id, scopes, expires_at) VALUES ($1, $2, $3, $4)",
        hashlib.sha256(token.encode()).digest(),
        api.ids["operator"],
        list(scopes),
        api.core.resources.clock.now() + timedelta(minutes=5),
    )
    return token


async def test_a_token_ends_with_its_life_and_its_client(api: Api, core: Core) -> None:
    async with core.resources.database.connection() as connection:
        await connection.execute("UPDATE access_tokens SET expires_at = $1", core.resources.clock.now())
        kept = await connection.fetch("SELECT token_hash FROM access_tokens")
    reply = await api.call("GET", "/v1/funnel")
    assert (reply.status_code, reply.json()["code"]) == (401, "invalid_token")
    assert not any(token.encode() in row["token_hash"] for row in kept for token in api.tokens.values())


async def test_an_internal_error_tells_nothing(api: Api, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"cannot handle {nik(1)}")

    monkeypatch.setattr(batch_routes, "as_batch", broken)
    reply = await api.submit(as_csv([row(1)]))
    assert (reply.status_code, reply.json()["code"]) == (500, "internal_error")
    out, err = capsys.readouterr()
    assert "RuntimeError" in out + err
    assert nik(1) not in reply.text + out + err
    assert await api.fetch("SELECT * FROM incentives") == [], "the answer could not be made, so nothing was stored"


class TestToken:
    """`POST /oauth/token`."""

    @pytest.fixture
    async def client(self, core: Core) -> Any:
        return await register(core.resources.database, core.resources.clock.now(), name="t", scopes=["read", "links"])

    async def _ask(self, http: httpx.AsyncClient, **more: Any) -> Any:
        return await http.post("/oauth/token", **more)

    async def test_by_form_with_fewer_scopes(self, http: httpx.AsyncClient, client: Any) -> None:
        form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.secret}
        reply = await self._ask(http, data=form | {"scope": "read"})
        assert reply.status_code == 200
        token = reply.json()
        assert token["token_type"] == "Bearer"
        assert token["expires_in"] == 900
        assert token["scope"] == "read"
        assert len(token["access_token"]) >= 43
        assert reply.headers["cache-control"] == "no-store"
        reply = await http.post("/v1/links", json={}, headers={"Authorization": f"Bearer {token['access_token']}"})
        assert reply.json()["code"] == "scope_missing"

    async def test_refusals_have_the_form_of_oauth_and_our_remedy(self, http: httpx.AsyncClient, client: Any) -> None:
        good, grant = (client.client_id, client.secret), {"grant_type": "client_credentials"}
        for status, error, options in (
            (401, "invalid_client", {"data": grant, "auth": (client.client_id, "wrong")}),
            (401, "invalid_client", {"data": grant, "auth": ("nobody", client.secret)}),
            (401, "invalid_client", {"data": grant}),
            (401, "invalid_client", {"data": grant, "headers": {"Authorization": "Basic /////w=="}}),  # not UTF-8
            (401, "invalid_client", {"data": grant | {"client_id": client.client_id}}),
            (400, "unsupported_grant_type", {"data": {"grant_type": "password"}, "auth": good}),
            (400, "invalid_scope", {"data": grant | {"scope": "ops"}, "auth": good}),
        ):
            reply = await self._ask(http, **options)
            body = reply.json()
            assert (reply.status_code, body["error"]) == (status, error), reply.text
            assert body["code"] == error
            assert body["remedy"]
            assert client.secret not in reply.text
            assert ("www-authenticate" in reply.headers) == (status == 401)
        for wrong in ({"json": grant}, {"data": grant, "params": grant}, {"params": grant}, {"content": b"x"}):
            reply = await self._ask(http, auth=good, **wrong)
            assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request"), wrong
            assert "application/x-www-form-urlencoded" in reply.json()["remedy"]
        unsigned = grant | {"client_assertion_type": TYPE, "client_assertion": "a.b.c"}
        assert "within five minutes" in (await self._ask(http, data=unsigned)).json()["remedy"]

    async def test_a_library_finds_the_way_by_the_issuer_alone(self, http: httpx.AsyncClient, client: Any) -> None:
        found = (await http.get("/.well-known/oauth-authorization-server")).json()
        assert found["token_endpoint"] == f"{found['issuer']}/oauth/token"
        assert found["grant_types_supported"] == ["client_credentials"] and "read" in found["scopes_supported"]
        assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
        path = found["token_endpoint"].removeprefix(found["issuer"])
        asked = await http.post(path, data={"grant_type": "client_credentials"}, auth=(client.client_id, client.secret))
        assert asked.status_code == 200
        assert (await http.get(found["revocation_endpoint"].removeprefix(found["issuer"]))).status_code == 405

    async def test_the_secret_is_kept_only_as_a_hash(self, api: Api, client: Any) -> None:
        rows = await api.fetch("SELECT c::text AS line FROM clients c UNION ALL SELECT a::text FROM audit_log a")
        assert client.secret not in json.dumps([line["line"] for line in rows])


async def test_a_full_disk_is_named_in_the_log_and_the_file_taken_once_there_is_room(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(spool.Spool, "_write", full)
        assert (await api.submit(as_csv([row(1)]), key="one")).status_code == 500
    assert "OSError ENOSPC" in "".join(capsys.readouterr())
    again = await api.submit(as_csv([row(1)]), key="one")
    assert (again.status_code, again.json()["rows_accepted"]) == (201, 1)
