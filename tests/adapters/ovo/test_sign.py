"""OVO's signatures against the vectors, and the exact bytes of each request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters import accounts, rsa
from adapters.ovo import PARTNER, sign, wire
from adapters.ovo.sign import OVO
from adapters.snap import sign as snap
from adapters.snap.calls import Bearer, Call, encode
from contracts.identity import IdentityQuery
from contracts.linking import LinkFinish, LinkStart, UnlinkOrder
from contracts.partner import Context
from contracts.payout import PayoutOrder
from contracts.plan import Effect, Request
from contracts.secret import Secret
from tests.adapters.ovo.conftest import snap_reply

VECTORS = Path(__file__).parents[2] / "vectors" / "ovo"
SNAP = json.loads((VECTORS / "snap.json").read_text())
VECTOR_NOW = datetime.fromisoformat("2026-01-01T20:04:05+00:00")


@pytest.mark.parametrize("vector", SNAP["vectors"], ids=lambda vector: str(vector["name"]))
def test_vector(ctx: Context, vector: dict[str, str]) -> None:
    body = vector["body"].encode()
    assert hashlib.sha256(body).hexdigest() == vector["body_sha256"]
    call = Call("x", Effect.READ, vector["target"], method=vector["method"], bearer=Bearer.NONE)
    bearer = Secret(vector["token"]) if vector["token"] else None
    request = OVO.ask(msgspec.structs.replace(ctx, now=VECTOR_NOW), call, msgspec.Raw(body), bearer=bearer)
    signed = request.headers
    assert request.content == body
    assert signed["X-TIMESTAMP"] == SNAP["timestamp"]
    assert signed["X-SIGNATURE"] == vector["signature"]
    assert ("Authorization" in signed) == bool(vector["token"])


def test_our_own_bodies_are_the_vectors_bytes(ctx: Context, order: PayoutOrder) -> None:
    ours = msgspec.structs.replace(order, reference="PAYOUT-0001", amount_rupiah=50_000, created_at=VECTOR_NOW)
    topup, status = SNAP["vectors"][0], SNAP["vectors"][2]
    at_then = msgspec.structs.replace(ctx, now=VECTOR_NOW)
    for request, vector in (
        (topup_of(at_then, ours), topup),
        (OVO.ask(at_then, sign.STATUS, wire.status(ours)), status),
    ):
        assert request.content == vector["body"].encode()
        assert request.target == vector["target"]
        assert request.headers["X-SIGNATURE"] == vector["signature"]


def test_binding_body_is_the_vectors_without_the_mail_address(start: LinkStart) -> None:
    theirs = json.loads(SNAP["vectors"][1]["body"])
    del theirs["additionalInfo"]["email"]
    ours = wire.binding(msgspec.structs.replace(start, redirect_uri="https://gw.example.test/cb/ovo?st=st-0001"))
    assert encode(ours) == json.dumps(theirs, separators=(",", ":")).encode()


def test_rsa_vector() -> None:
    vector = json.loads((VECTORS / "rsa.json").read_text())
    assert rsa.sign(vector["private_key_pem"], vector["string"]) == vector["signature"]


def test_token_request(ctx: Context) -> None:
    request = OVO.ask(ctx, sign.TOKEN, wire.TOKEN)
    assert (request.method, request.target) == ("POST", "/OVOSNAP/v1.0/access-token/b2b")
    assert request.content == b'{"grantType":"client_credentials"}'
    assert set(request.headers) == {"Content-Type", "X-TIMESTAMP", "X-CLIENT-KEY", "X-SIGNATURE"}
    assert request.headers["X-TIMESTAMP"] == "2026-01-02T03:04:05.000+07:00"
    expected = rsa.sign(ctx.credential("private_key_pem"), "test-client-id|2026-01-02T03:04:05.000+07:00")
    assert request.headers["X-SIGNATURE"] == expected
    assert request.timeout_s == 10.0


def test_version_segments_are_configuration(ctx: Context, order: PayoutOrder) -> None:
    newer = {**ctx.credentials, "api_version": Secret("v3.0"), "token_version": Secret("v3.0")}
    later = msgspec.structs.replace(ctx, credentials=newer)
    assert OVO.ask(later, sign.TOKEN, wire.TOKEN).target == "/OVOSNAP/v3.0/access-token/b2b"
    assert topup_of(later, order).target == "/OVOSNAP/v3.0/emoney/topup"


def test_exchange_carries_the_linkage_token(ctx: Context, finish: LinkFinish) -> None:
    request = next(PARTNER.finish_link(ctx, finish))
    assert request.effect is Effect.WRITE
    assert request.target == "/OVOSNAP/v2.0/access-token/b2b2c"
    assert request.headers["Authorization"] == "Bearer linkage-0001"
    assert request.content == b'{"grantType":"authorization_code","authCode":"auth-ovo-1"}'


def test_refresh_has_no_bearer(ctx: Context) -> None:
    request = OVO.ask(ctx, sign.REFRESH, wire.refresh(Secret("refresh-0001")))
    assert "Authorization" not in request.headers
    assert request.content == b'{"grantType":"refresh_token","refreshToken":"refresh-0001"}'


def test_bodies(query: IdentityQuery, order: PayoutOrder, unlink_order: UnlinkOrder) -> None:
    assert encode(wire.identity(query)) == (
        b'{"partnerReferenceNo":"0100000000000000011","customerNumber":"081234567890",'
        b'"amount":{"value":"1.00","currency":"IDR"},'
        b'"additionalInfo":{"identificationType":"KTP","identificationNo":"3174012304909901"}}'
    )
    assert encode(wire.inquiry(order)) == (
        b'{"partnerReferenceNo":"0112345678901234567","customerNumber":"081234567890",'
        b'"amount":{"value":"600000.00","currency":"IDR"}}'
    )
    assert encode(wire.topup(order)) == (
        b'{"partnerReferenceNo":"0112345678901234567","customerNumber":"081234567890",'
        b'"amount":{"value":"600000.00","currency":"IDR"},"transactionDate":"2026-01-02T02:04:05+07:00"}'
    )
    assert encode(wire.unbinding(unlink_order)) == (
        b'{"partnerReferenceNo":"0100000000000000010","additionalInfo":{"custIdMerchant":"u-1"}}'
    )


def test_customer_calls_are_signed_with_our_token(ctx: Context, order: PayoutOrder) -> None:
    assert order.grant is not None
    request = OVO.ask(ctx, sign.INQUIRY, wire.inquiry(order), grant=order.grant)
    assert request.headers["Authorization"] == "Bearer ovo-b2b-token-0001"
    assert request.headers["Authorization-Customer"] == "Bearer cust-token-0001"
    assert request.headers["X-DEVICE-ID"] == "device-0001"
    assert request.headers["X-SIGNATURE"] == _signature(ctx, request, "ovo-b2b-token-0001")


def test_unbinding_is_signed_with_the_token_it_sends(ctx: Context, unlink_order: UnlinkOrder) -> None:
    plan = PARTNER.unlink(ctx, unlink_order)
    first = next(plan)
    second = plan.send(snap_reply("2000900", accessToken="unbind-0001"))
    assert (first.headers["Authorization"], second.headers["Authorization"]) == (
        "Bearer cust-token-0001",
        "Bearer unbind-0001",
    )
    assert first.headers["X-SIGNATURE"] == _signature(ctx, first, "cust-token-0001")
    assert second.headers["X-SIGNATURE"] == _signature(ctx, second, "unbind-0001")
    assert first.headers["X-EXTERNAL-ID"] != second.headers["X-EXTERNAL-ID"]


def test_statement_signs_its_query(ctx: Context) -> None:
    request = next(PARTNER.statement(ctx, VECTOR_NOW.date(), "2"))
    assert request.target == "/cashin/snap/v2.0/merchant/account/history?date=2026-01-01&page=2"
    assert request.content == b""
    assert request.headers["X-SIGNATURE"] == _signature(ctx, request, "ovo-b2b-token-0001")


def test_same_context_same_bytes(ctx: Context, order: PayoutOrder, query: IdentityQuery, start: LinkStart) -> None:
    plans: tuple[Callable[[], Any], ...] = (
        lambda: PARTNER.payout(ctx, order),
        lambda: PARTNER.verify_nik(ctx, query),
        lambda: PARTNER.begin_link(ctx, start),
        lambda: PARTNER.fetch_token(ctx, "snap", None),
    )
    for plan in plans:
        assert next(plan()) == next(plan())


def test_no_secret_or_person_in_target_or_repr(
    ctx: Context, order: PayoutOrder, query: IdentityQuery, start: LinkStart, finish: LinkFinish
) -> None:
    assert order.grant is not None
    requests = [
        next(PARTNER.begin_link(ctx, start)),
        next(PARTNER.finish_link(ctx, finish)),
        next(PARTNER.verify_nik(ctx, query)),
        OVO.ask(ctx, sign.INQUIRY, wire.inquiry(order), grant=order.grant),
        topup_of(ctx, order),
    ]
    hidden = ["1234567890", "3174012304909901", "BUDI", "cust-token", "linkage", "b2b-token", "auth-ovo"]
    for text in [f"{request!r} {request.target}" for request in requests]:
        assert not [word for word in hidden if word in text]
    for body in (wire.identity(query), wire.binding(start), wire.topup(order), wire.auth_code(finish)):
        assert not [word for word in hidden[1:] if word in repr(body)], "a literal shows no secret before it is encoded"


def topup_of(ctx: Context, order: PayoutOrder) -> Request:
    return OVO.ask(ctx, sign.TOPUP, wire.topup(order), n=1)


def _signature(ctx: Context, request: Request, token: str) -> str:
    at = request.headers["X-TIMESTAMP"]
    text = snap.string_to_sign(request.method, request.target, token, request.content, at)
    return snap.hmac_sha512(ctx.credential("client_secret"), text)


@pytest.mark.parametrize("account", ["081234567890", "+62212345678", "+628123", "+6281234567890123", "+1202555010"])
def test_only_indonesian_mobiles_are_accounts(account: str) -> None:
    with pytest.raises(ValueError) as raised:
        accounts.local(Secret(account))
    assert account not in str(raised.value)
