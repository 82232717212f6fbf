"""What a SNAP call is checked for, in which order, and that one flipped byte is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.mock_partners.gopay.conftest import SECRETS, Gopay, code
from tests.mock_partners.signing import compact, rsa_signature

pytestmark = pytest.mark.asyncio
BINDING = "/v1.0/registration-account-binding"
BODY = {"merchantId": SECRETS["payment_handle"], "authCode": "nobody", "grantType": "AUTHORIZATION_CODE"}
KNOWN = "4040711"


@pytest.mark.parametrize("at", ["2026-01-15T12:00:00+07:00", "2026-01-15T05:00:00.123Z", "2026-01-15T05:10:00+00:00"])
async def test_token_timestamps(gopay: Gopay, at: str) -> None:
    reply = await gopay.snap.authenticate(at=at)
    assert code(reply) == "2007300"
    assert reply.json()["expiresIn"] == "900"
    assert reply.json()["tokenType"] == "Bearer"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"grantType":"client_credentials"}', "2007300"),
        (b'{"grant_type":"client_credentials"}', "2007300"),
        (b'{"grantType":"password"}', "4007301"),
        (b"{}", "4007302"),
        (b"{", "4007300"),
    ],
)
async def test_token_grants(gopay: Gopay, content: bytes, expected: str) -> None:
    at = gopay.snap.timestamp()
    headers = {
        "Content-Type": "application/json", "X-TIMESTAMP": at, "X-CLIENT-KEY": SECRETS["snap_client_id"],
        "X-SIGNATURE": rsa_signature(SECRETS["snap_private_key_pem"], f"{SECRETS['snap_client_id']}|{at}"),
    }  # fmt: skip
    assert code(await gopay.http.post("/v1.0/access-token/b2b", content=content, headers=headers)) == expected


async def test_token_signature_byte_by_byte(gopay: Gopay) -> None:
    at = gopay.snap.timestamp()
    good = rsa_signature(SECRETS["snap_private_key_pem"], f"{SECRETS['snap_client_id']}|{at}")
    for index in range(0, len(good) - 2, 23):
        bad = good[:index] + ("A" if good[index] != "A" else "B") + good[index + 1 :]
        assert code(await gopay.snap.authenticate(at=at, **{"X-SIGNATURE": bad})) == "4017300"
    assert code(await gopay.snap.authenticate(at=at, **{"X-SIGNATURE": good})) == "2007300"


async def test_one_flipped_byte_is_refused(gopay: Gopay) -> None:
    at, body = gopay.snap.timestamp(), compact(BODY)
    assert code(await gopay.snap.post(BINDING, BODY)) == KNOWN
    for index in range(0, len(body), 17):
        sent = body[:index] + bytes([body[index] ^ 1]) + body[index + 1 :]
        assert code(await gopay.snap.post(BINDING, BODY, sent=sent)) == "4010700"
    later = at.replace("12:00:00", "12:00:01")
    assert code(await gopay.snap.post(BINDING, BODY, headers={"X-TIMESTAMP": later})) == "4010700"


async def test_whitespace_is_minified_away(gopay: Gopay) -> None:
    sent = compact(BODY).replace(b",", b" ,\n  ").replace(b":", b" : ")
    assert code(await gopay.snap.post(BINDING, BODY, sent=sent)) == KNOWN


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("4000702", {"drop": ("CHANNEL-ID",)}),
    ("4010700", {"at": "2026-01-15T11:44:59+07:00"}),
    ("4010700", {"headers": {"X-PARTNER-ID": "somebody"}}),
    ("4010701", {"token": "unknown"}),
    ("4010700", {"headers": {"X-SIGNATURE": "AAAA"}}),
    ("4090700", {"headers": {"X-EXTERNAL-ID": "used"}}),
    ("4000700", {}),
]


@pytest.mark.parametrize("first", range(len(FAULTS)))
async def test_order_of_checks(gopay: Gopay, first: int) -> None:
    """With all faults from `first` on present at once, the first one is told."""
    await gopay.snap.post(BINDING, BODY, headers={"X-EXTERNAL-ID": "used"})
    merged: dict[str, Any] = {"headers": {}}
    for _, fault in reversed(FAULTS[first:]):
        merged["headers"] |= fault.get("headers", {})
        merged |= {name: value for name, value in fault.items() if name != "headers"}
    if first > 4:
        reply = await gopay.snap.post(BINDING, [], **merged)
    else:
        reply = await gopay.snap.post(BINDING, BODY, sent=b"[]", **merged)
    assert code(reply) == FAULTS[first][0]


async def test_a_refused_call_uses_up_its_external_id(gopay: Gopay) -> None:
    for expected in (KNOWN, "4090700"):
        assert code(await gopay.snap.post(BINDING, BODY, headers={"X-EXTERNAL-ID": "once"})) == expected
    gopay.clock.shift(43_200)
    await gopay.snap.authenticate()
    assert code(await gopay.snap.post(BINDING, BODY, headers={"X-EXTERNAL-ID": "once"})) == KNOWN


async def test_tokens_live_900_seconds(gopay: Gopay) -> None:
    gopay.clock.shift(899)
    assert code(await gopay.snap.post(BINDING, BODY)) == KNOWN
    gopay.clock.shift(1)
    assert code(await gopay.snap.post(BINDING, BODY)) == "4010701"


async def test_customer_calls_want_a_device(gopay: Gopay) -> None:
    body: dict[str, object] = {"additionalInfo": {}}

    async def inquire(**headers: str) -> httpx.Response:
        return await gopay.snap.post("/v1.0/registration-account-inquiry", body, headers=headers)

    assert code(await inquire()) == "4000802"
    assert code(await inquire(Authorization_Customer="Bearer nobody")) == "4000802"
    assert code(await inquire(Authorization_Customer="Bearer nobody", X_DEVICE_ID="d")) == "4010802"
