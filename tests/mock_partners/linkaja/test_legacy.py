"""LinkAja's legacy gate: Kong's hmac-auth, the Access-Token, and what is checked first."""

from __future__ import annotations

import base64
import hmac

import pytest

from tests.mock_partners.linkaja.conftest import (
    CHECK,
    CONFIRM,
    INQUIRY,
    KYC,
    NOON,
    REPORT,
    SECRETS,
    SESSION,
    LinkAja,
    authorization,
    cashin,
    digest_of,
    kong_signature,
)

BODY = {"merchantTrxID": "R1"}
UNVERIFIED, MISMATCH = "HMAC signature cannot be verified", "HMAC signature does not match"


async def refusal(linkaja: LinkAja, method: str = "POST", target: str = CHECK, **changes: object) -> str:
    """What Kong says, or an empty text if it lets the call through."""
    body = BODY if method == "POST" else None
    reply = await linkaja.legacy.call(method, target, body, **changes)  # type: ignore[arg-type]
    assert reply.status_code in (200, 401)
    return str(reply.json()["message"]) if reply.status_code == 401 else ""


async def test_a_right_signature_is_let_through(linkaja: LinkAja) -> None:
    assert await refusal(linkaja) == ""
    assert await refusal(linkaja, date=linkaja.legacy.date("GMT")) == ""
    assert await refusal(linkaja, "GET", f"{REPORT}?date=2026-01-15&page=1") == ""


@pytest.mark.parametrize(
    ("scheme", "space", "signed"),
    [
        ("Hmac", " ", "date request-line digest"),
        ("hmac", "", "request-line digest date"),
        ("hmac", "   ", "digest date request-line access-token"),
    ],
)
async def test_what_kong_lets_a_client_vary(linkaja: LinkAja, scheme: str, space: str, signed: str) -> None:
    """The scheme's first letter, spaces, and the order of what is signed, which may be more than is asked for."""
    date, digest = linkaja.legacy.date(), digest_of(b'{"merchantTrxID":"R1"}')
    lines = {
        "date": f"date: {date}", "request-line": f"POST {CHECK} HTTP/1.1", "digest": f"digest: {digest}",
        "access-token": f"access-token: {linkaja.legacy.access_token}",
    }  # fmt: skip
    text = "\n".join(lines[name] for name in signed.split())
    made = base64.b64encode(hmac.digest(SECRETS["hmac_secret"].encode(), text.encode(), "sha256")).decode()
    parts = (f'username="{SECRETS["hmac_username"]}"', 'algorithm="hmac-sha256"', f'headers="{signed}"')
    header = f",{space}".join([f"{scheme} {parts[0]}", *parts[1:], f'signature="{made}"'])
    assert await refusal(linkaja, authorization=header) == ""
    assert await refusal(linkaja, authorization=header.replace(made, made[::-1])) == MISMATCH
    assert await refusal(linkaja, authorization=header.replace("request-line", "Request-line")) == UNVERIFIED


async def test_one_flipped_byte_is_refused(linkaja: LinkAja) -> None:
    assert await refusal(linkaja, sent=b'{"merchantTrxID":"R2"}') == MISMATCH
    assert await refusal(linkaja, sent=b'{"merchantTrxID": "R1"}') == MISMATCH
    date = linkaja.legacy.date()
    right = kong_signature(SECRETS["hmac_secret"], "POST", CHECK, date, digest_of(b'{"merchantTrxID":"R1"}'))
    for at in range(43):
        wrong = right[:at] + ("A" if right[at] != "A" else "B") + right[at + 1 :]
        assert await refusal(linkaja, authorization=authorization(SECRETS["hmac_username"], wrong)) == MISMATCH


async def test_a_digest_that_was_signed_must_also_fit_the_body(linkaja: LinkAja) -> None:
    date, digest = linkaja.legacy.date(), digest_of(b"other")
    signed = kong_signature(SECRETS["hmac_secret"], "POST", CHECK, date, digest)
    header = authorization(SECRETS["hmac_username"], signed)
    assert await refusal(linkaja, digest=digest, authorization=header) == MISMATCH


@pytest.mark.parametrize("signed", [CHECK, "/v1/cashin/report", "/v1/cashin/report?date=2026-01-16"])
async def test_method_path_and_query_are_signed(linkaja: LinkAja, signed: str) -> None:
    assert await refusal(linkaja, "GET", f"{REPORT}?date=2026-01-15", signed=signed) == MISMATCH


@pytest.mark.parametrize(("seconds", "fine"), [(300, True), (-300, True), (301, False), (-301, False)])
async def test_the_clock_skew(linkaja: LinkAja, seconds: int, fine: bool) -> None:
    date = linkaja.legacy.date()
    linkaja.clock.shift(seconds)
    assert ("a valid date" in await refusal(linkaja, date=date)) is not fine


@pytest.mark.parametrize(
    "date", ["", "2026-01-15T05:00:00+00:00", "Thu, 15 Jan 2026 12:00:00 WIB", "Thu, 15 Jan 2026 05:00:00"]
)
async def test_dates_that_are_none(linkaja: LinkAja, date: str) -> None:
    assert "a valid date" in await refusal(linkaja, date=date)


@pytest.mark.parametrize(
    "header",
    [
        "hmac",
        "Basic dGVzdC1wYXJ0bmVyOnRlc3Qtc2VjcmV0",
        authorization("other-partner", "x"),
        authorization(SECRETS["hmac_username"], "x").replace("sha256", "sha1"),
        authorization(SECRETS["hmac_username"], "x").replace("date request-line digest", "date digest"),
        authorization(SECRETS["hmac_username"], ""),
    ],
)
async def test_authorizations_that_are_none(linkaja: LinkAja, header: str) -> None:
    assert await refusal(linkaja, authorization=header) == UNVERIFIED


async def test_the_order_of_checks(linkaja: LinkAja) -> None:
    """Authorization, date, its form and user, signature, then the Access-Token, then the body."""
    bad_date, bad_user = "yesterday", authorization("other", "x")
    assert await refusal(linkaja, authorization=None, date=bad_date) == "Unauthorized"
    assert "a valid date" in await refusal(linkaja, date=bad_date, authorization=bad_user)
    assert await refusal(linkaja, authorization=bad_user, access_token="dead") == UNVERIFIED
    wrong = authorization(SECRETS["hmac_username"], "x")
    assert await refusal(linkaja, authorization=wrong, access_token="dead") == MISMATCH
    reply = await linkaja.legacy.call("POST", CHECK, [], access_token="dead")
    assert (reply.status_code, reply.json()) == (401, {"status": "401"})
    assert (await linkaja.legacy.post(CHECK, []))["data"]["responseCode"] == "30"


@pytest.mark.parametrize("path", [INQUIRY, CONFIRM, CHECK, KYC, SESSION])
async def test_every_call_wants_an_access_token(linkaja: LinkAja, path: str) -> None:
    for token in (None, "dead", linkaja.snap.token):
        reply = await linkaja.legacy.call("POST", path, cashin("x"), access_token=token)
        assert (reply.status_code, reply.json()) == (401, {"status": "401"})


async def test_access_tokens_live_an_hour_and_two_may_live_at_once(linkaja: LinkAja) -> None:
    first = linkaja.legacy.access_token
    await linkaja.legacy.authenticate()
    assert first != linkaja.legacy.access_token
    linkaja.clock.shift(3_599)
    for token in (first, linkaja.legacy.access_token):
        assert (await linkaja.legacy.call("POST", CHECK, BODY, access_token=token)).status_code == 200
    linkaja.clock.shift(1)
    assert (await linkaja.legacy.call("POST", CHECK, BODY)).status_code == 401


async def test_refreshing_spends_the_refresh_token(linkaja: LinkAja) -> None:
    pair = await linkaja.legacy.authenticate()
    linkaja.clock.shift(7_200)
    told = await linkaja.legacy.post("/v1/oauth/refresh", pair)
    assert told["status"] == "00"
    assert set(told["data"]) == {"accessToken", "refreshToken"}
    again = await linkaja.legacy.post("/v1/oauth/refresh", pair)
    assert again["status"] == "14"
    mixed = {**told["data"], "accessToken": pair["accessToken"]}
    assert (await linkaja.legacy.post("/v1/oauth/refresh", mixed))["status"] == "14"
    linkaja.legacy.access_token = told["data"]["accessToken"]
    assert (await linkaja.legacy.call("POST", CHECK, BODY)).status_code == 200
    linkaja.clock.shift(30 * 86_400)
    assert (await linkaja.legacy.post("/v1/oauth/refresh", told["data"]))["status"] == "14"
    assert (await linkaja.legacy.post("/v1/oauth/refresh", {}))["status"] == "30"


async def test_creating_a_token_is_signed_too(linkaja: LinkAja) -> None:
    assert await refusal(linkaja, "GET", "/v1/oauth/create", signed="/v1/oauth/refresh") == MISMATCH


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b"\xff", b'"x"'])
async def test_bodies_that_are_no_object(linkaja: LinkAja, sent: bytes) -> None:
    digest, date = digest_of(sent), f"{NOON.strftime('%a, %d %b %Y')} 05:00:00 UTC"
    for path, found in ((INQUIRY, lambda told: told), (CONFIRM, lambda told: told["data"])):
        signed = kong_signature(SECRETS["hmac_secret"], "POST", path, date, digest)
        header = authorization(SECRETS["hmac_username"], signed)
        reply = await linkaja.legacy.call("POST", path, {}, sent=sent, date=date, digest=digest, authorization=header)
        assert found(reply.json())["responseCode"] == "30"
