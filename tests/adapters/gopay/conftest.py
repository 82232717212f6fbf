"""One context, one order, and a driver that plays a partner's answers to a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from adapters.gopay import PARTNER
from contracts.identity import IdentityQuery
from contracts.linking import Grant, LinkFinish, LinkStart, UnlinkOrder
from contracts.nik import Nik
from contracts.partner import Context, Notification
from contracts.payout import PayoutOrder
from contracts.plan import Plan, Request, Response
from contracts.secret import Secret

VECTORS = Path(__file__).parents[2] / "vectors" / "gopay"
TARGETS = {
    "link": ("POST", "/callbacks/gopay/v1.0/registration-account/notify"),
    "payout": ("POST", "/callbacks/gopay/iris"),
    "identity": ("PUT", "/callbacks/gopay/v1/callback/partner"),
}


@pytest.fixture(scope="session")
def vector() -> Callable[[str], Any]:
    """A file of tests/vectors/gopay, by name."""
    return lambda name: json.loads((VECTORS / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def ctx(vector: Callable[[str], Any]) -> Context:
    """The vectors' keys and moment; all of them throw-away, protecting nothing."""
    hmac, rsa, iris = vector("hmac"), vector("rsa"), vector("iris")
    private = serialization.load_pem_private_key(rsa["private_key_pem"].encode(), password=None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    credentials = {
        "snap_client_id": rsa["token"]["client_id"],
        "snap_client_secret": hmac["secret"],
        "snap_private_key_pem": rsa["private_key_pem"],
        "snap_partner_id": "M100001",
        "payment_handle": "303b4f89-0000-4000-8000-62a8ffaefaf3",
        "midtrans_public_key_pem": public.decode(),
        "identity_merchant_id": "prakerja",
        "iris_creator_key": iris["basic"][1]["key"],
        "iris_approver_key": iris["basic"][2]["key"],
        "iris_merchant_key": iris["merchant_key"],
        "channel_id": "95221",
        "device_id": "prakerja-gateway",
    }
    assert set(credentials) == set(PARTNER.manifest.credentials)
    return Context(
        now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=7))),
        serial="01767297845000001",
        credentials={name: Secret(value) for name, value in credentials.items()},
        tokens={"snap": Secret(hmac["token"])},
        hosts={"app": "https://merchants-app.sbx.midtrans.com"},
    )


@pytest.fixture(scope="session")
def order() -> PayoutOrder:
    """A payout that Iris knows under a number."""
    return PayoutOrder(
        reference="0100000000000000042",
        amount_rupiah=600_000,
        account=Secret("+6281234567890"),
        phone=Secret("+6281234567890"),
        name=Secret("Siti Nurhaliza Ñ"),
        created_at=datetime(2026, 1, 1, 20, 0, tzinfo=UTC),
        grant=None,
        partner_reference="1d4f8423393005",
    )


@pytest.fixture(scope="session")
def grant() -> Grant:
    """A participant's access."""
    return Grant(access_token=Secret("cust-token-0001"))


@pytest.fixture(scope="session")
def query(grant: Grant) -> IdentityQuery:
    """A check of a synthetic NIK (serial 99xx)."""
    return IdentityQuery(
        reference="0100000000000000043",
        nik=Nik("3174012304909901"),
        account=Secret("+6281234567890"),
        phone=Secret("+6281234567890"),
        grant=grant,
    )


@pytest.fixture(scope="session")
def start() -> LinkStart:
    """The beginning of a link."""
    return LinkStart(
        link_id="L1",
        reference="0100000000000000044",
        account=Secret("+6281234567890"),
        phone=Secret("+6281299999999"),
        name=Secret("Siti"),
        state="s" * 32,
        redirect_uri="https://gw.example.test/callbacks/gopay/link?st=" + "s" * 32,
    )


@pytest.fixture(scope="session")
def finish() -> LinkFinish:
    """The code of V8."""
    return LinkFinish(
        link_id="L1",
        reference="0100000000000000045",
        code=Secret("auth-0001"),
        carry={},
        redirect_uri="https://gw.example.test/callbacks/gopay/link",
        phone=Secret("+6281234567890"),
        account=Secret("+6281234567890"),
    )


@pytest.fixture(scope="session")
def unlink_order(grant: Grant) -> UnlinkOrder:
    """A link to give back."""
    return UnlinkOrder(
        link_id="L1",
        reference="0100000000000000046",
        account=Secret("+6281234567890"),
        phone=Secret("+6281234567890"),
        grant=grant,
    )


@pytest.fixture(scope="session")
def drive() -> Callable[..., tuple[Any, list[Request]]]:
    """Play `replies` to a plan; its result and the requests it made. All replies must be asked for."""

    def run(plan: Plan[Any], *replies: Response) -> tuple[Any, list[Request]]:
        requests, left = [], list(replies)
        try:
            requests.append(next(plan))
            while True:
                requests.append(plan.send(left.pop(0)))
        except StopIteration as stop:
            assert not left, "a reply was not asked for"
            return stop.value, requests

    return run


@pytest.fixture(scope="session")
def answer() -> Callable[..., Response]:
    """A JSON answer."""

    def build(status: int, body: object, **headers: str) -> Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Response(status=status, headers=headers, content=content)

    return build


@pytest.fixture(scope="session")
def notice() -> Callable[..., Notification]:
    """A notification as it arrives."""

    def build(kind: str, body: object, **headers: str) -> Notification:
        method, target = TARGETS[kind]
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Notification(kind=kind, method=method, target=target, headers=named, body=content)

    return build
