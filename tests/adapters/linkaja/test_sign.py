"""LinkAja's two signatures against the vectors, and the exact bytes of each request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters import accounts, rsa
from adapters.linkaja import PARTNER, sign, wire
from adapters.linkaja.sign import SNAP as SNAP_SIDE
from adapters.snap.calls import Bearer, Call, encode
from contracts.identity import IdentityQuery
from contracts.linking import Grant, LinkFinish, LinkStart, UnlinkOrder
from contracts.partner import Context
from contracts.payout import PayoutOrder
from contracts.plan import Effect, Request
from contracts.secret import Secret

VECTORS = Path(__file__).parents[2] / "vectors" / "linkaja"
HMAC = json.loads((VECTORS / "hmac.json").read_text())
SNAP = json.loads((VECTORS / "snap.json").read_text())
SNAP_NOW = datetime.fromisoformat("2026-01-01T20:04:05+00:00")


@pytest.mark.parametrize("vector", HMAC["vectors"], ids=lambda vector: str(vector["name"]))
def test_hmac_vector(ctx: Context, vector: dict[str, str]) -> None:
    """The bodies of the vectors are spaced: what is signed is what is given."""
    call = Call("x", Effect.READ, vector["target"], method=vector["method"], bearer=Bearer.NONE)
    headers = sign.ask(ctx, call, msgspec.Raw(vector["body"].encode()) if vector["body"] else None).headers
    assert headers["Date"] == HMAC["date"]
    assert headers["Digest"] == vector["digest"]
    assert headers["Authorization"] == (
        'hmac username="test-partner", algorithm="hmac-sha256", headers="date request-line digest", '
        f'signature="{vector["signature"]}"'
    )
    assert "Access-Token" not in headers


@pytest.mark.parametrize("vector", SNAP["vectors"], ids=lambda vector: str(vector["name"]))
def test_snap_vector(ctx: Context, vector: dict[str, str]) -> None:
    body = vector["body"].encode()
    assert hashlib.sha256(body).hexdigest() == vector["body_sha256"]
    then = msgspec.structs.replace(ctx, now=SNAP_NOW)
    call = Call("x", Effect.READ, vector["target"])
    headers = SNAP_SIDE.ask(then, call, msgspec.Raw(body), bearer=Secret(vector["token"])).headers
    assert headers["X-TIMESTAMP"] == SNAP["timestamp"]
    assert headers["X-SIGNATURE"] == vector["signature"]


def test_our_own_binding_is_the_vectors_bytes(ctx: Context, start: LinkStart) -> None:
    vector = SNAP["vectors"][0]
    ours = msgspec.structs.replace(start, redirect_uri="https://gw.example.test/cb/linkaja")
    request = next(PARTNER.begin_link(msgspec.structs.replace(ctx, now=SNAP_NOW), ours))
    assert request.content == vector["body"].encode()
    assert request.target == vector["target"]
    assert request.headers["X-SIGNATURE"] == vector["signature"]


def test_our_own_cash_in_is_the_vectors_without_spaces(ctx: Context, order: PayoutOrder, grant: Grant) -> None:
    theirs = {str(vector["name"]): str(vector["body"]).replace(" ", "").encode() for vector in HMAC["vectors"]}
    assert next(PARTNER.payout(ctx, order)).content == theirs["V13 cashin/inquiry"]
    assert encode(wire.confirm(order, grant.access_token, "PD5I-0001")) == theirs["V18 cashin/confirm"]
    assert next(PARTNER.find_payout(ctx, order)).content == theirs["V18 cashin/check"]


def test_create_token_is_the_vectors_request(ctx: Context) -> None:
    request = sign.ask(ctx, sign.CREATE_TOKEN)
    assert (request.method, request.target, request.content) == ("GET", "/v1/oauth/create", b"")
    assert HMAC["vectors"][0]["signature"] in request.headers["Authorization"]
    assert "Access-Token" not in request.headers


def test_rsa_vector() -> None:
    vector = json.loads((VECTORS / "rsa.json").read_text())
    assert rsa.sign(vector["private_key_pem"], vector["string"]) == vector["signature"]


def test_snap_token_requests(ctx: Context, finish: LinkFinish) -> None:
    b2b, exchange = next(PARTNER.fetch_token(ctx, "snap", None)), next(PARTNER.finish_link(ctx, finish))
    assert (b2b.target, b2b.content) == ("/bi/v1.0/access-token/b2b", b'{"grantType":"client_credentials"}')
    assert (exchange.target, exchange.effect) == ("/bi/v1.0/access-token/b2b2c", Effect.WRITE)
    assert exchange.content == b'{"grantType":"AUTHORIZATION_CODE","authCode":"auth-lj-1"}'
    refresh = SNAP_SIDE.ask(ctx, sign.REFRESH, wire.refresh_grant(Secret("refresh-0001")))
    assert refresh.content == b'{"grantType":"REFRESH_TOKEN","refreshToken":"refresh-0001"}'
    expected = rsa.sign(ctx.credential("private_key_pem"), "test-client-id|2026-01-02T10:04:05+07:00")
    for request in (b2b, exchange, refresh):
        assert set(request.headers) == {"Content-Type", "X-TIMESTAMP", "X-CLIENT-KEY", "X-SIGNATURE"}
        assert request.headers["X-SIGNATURE"] == expected


@pytest.mark.parametrize("offset_h", [-11, 0, 7, 14])
def test_the_date_is_universal_time(order: PayoutOrder, offset_h: int) -> None:
    local = datetime(2026, 1, 2, 3, 4, 5, 999, tzinfo=UTC).astimezone(timezone(timedelta(hours=offset_h)))
    assert sign.http_date(local) == "Fri, 02 Jan 2026 03:04:05 UTC"
    assert wire.frozen(msgspec.structs.replace(order, created_at=local))["trxDate"] == "2026-01-02T03:04:05+00:00"


def test_the_request_line_has_the_query(ctx: Context) -> None:
    request = next(PARTNER.statement(ctx, datetime(2026, 1, 2, tzinfo=UTC).date(), "3"))
    assert request.target == "/v1/cashin/report?date=2026-01-02&page=3"
    expected = sign.hmac_signature(
        "test-secret",
        method="GET",
        target="/v1/cashin/report?date=2026-01-02&page=3",
        at="Fri, 02 Jan 2026 03:04:05 UTC",
        body_digest="SHA-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    )
    assert f'signature="{expected}"' in request.headers["Authorization"]
    assert request.headers["Access-Token"] == "lj-access-0001"


def test_unbinding(ctx: Context, unlink_order: UnlinkOrder) -> None:
    request = next(PARTNER.unlink(ctx, unlink_order))
    assert (request.target, request.effect) == ("/bi/v1.0/registration-account-unbinding", Effect.WRITE)
    assert request.content == b'{"merchantId":"506300000000000"}'
    assert request.headers["Authorization"] == "Bearer lj-b2b-token-0001"
    assert request.headers["Authorization-Customer"] == "Bearer cust-token-0001"


def test_kyc_body(query: IdentityQuery) -> None:
    assert encode(wire.kyc(query)) == b'{"token":"cust-token-0001","nik":"3174012304909901"}'


@pytest.mark.parametrize(
    ("rupiah", "padded"), [(1, "000000000100"), (50_000, "000005000000"), (9_999_999_999, "999999999900")]
)
def test_amount(rupiah: int, padded: str) -> None:
    assert wire.padded_amount(rupiah) == padded


@pytest.mark.parametrize("rupiah", [0, -1, 10_000_000_000])
def test_an_amount_that_does_not_fit_is_refused(rupiah: int) -> None:
    with pytest.raises(ValueError):
        wire.padded_amount(rupiah)


def test_same_context_same_bytes(ctx: Context, order: PayoutOrder, query: IdentityQuery, start: LinkStart) -> None:
    plans: tuple[Callable[[], Any], ...] = (
        lambda: PARTNER.payout(ctx, order),
        lambda: PARTNER.verify_nik(ctx, query),
        lambda: PARTNER.begin_link(ctx, start),
        lambda: PARTNER.fetch_token(ctx, "snap", None),
        lambda: PARTNER.fetch_token(ctx, "legacy", None),
    )
    for plan in plans:
        assert next(plan()) == next(plan())


def test_no_secret_or_person_in_target_or_repr(
    ctx: Context, order: PayoutOrder, query: IdentityQuery, start: LinkStart, finish: LinkFinish, grant: Grant
) -> None:
    requests: list[Request] = [
        next(PARTNER.begin_link(ctx, start)),
        next(PARTNER.finish_link(ctx, finish)),
        next(PARTNER.verify_nik(ctx, query)),
        next(PARTNER.payout(ctx, order)),
        sign.ask(ctx, sign.CONFIRM, wire.confirm(order, grant.access_token, "PD5I-0001")),
        next(PARTNER.find_payout(ctx, order)),
    ]
    hidden = ["1234567890", "3174012304909901", "BUDI", "cust-token", "b2b-token", "auth-lj", "lj-access"]
    for text in [f"{request!r} {request.target}" for request in requests]:
        assert not [word for word in hidden if word in text]
    for body in (wire.kyc(query), wire.binding(ctx, start), wire.inquiry(order, grant.access_token)):
        assert not [word for word in hidden[1:] if word in repr(body)], "a literal shows no secret before it is encoded"
    assert repr(wire.LinkAjaAnswer(code="00", fields={"custName": "BUDI"})) == "LinkAjaAnswer(00)"


@pytest.mark.parametrize("account", ["081234567890", "+62212345678", "+628123", "+6281234567890123", "+1202555010"])
def test_only_indonesian_mobiles_are_accounts(account: str) -> None:
    with pytest.raises(ValueError) as raised:
        accounts.msisdn(Secret(account))
    assert account not in str(raised.value)
