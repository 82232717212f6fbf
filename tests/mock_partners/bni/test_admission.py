"""What the gate refuses and in which order (snap-bni.md 6.1), and what a faithful client may vary."""

from __future__ import annotations

import json

import pytest

from tests.mock_partners.bni.conftest import SECRETS, Bni, code
from tests.mock_partners.signing import compact, hmac_signature

INQUIRY = "/snap-service/v1/account-inquiry-internal"
BODY = {"partnerReferenceNo": "1", "beneficiaryAccountNo": "7000000001", "note": "é \\u00e9 / x"}


async def test_a_token_lives_900_seconds_and_two_in_one_second_both_work(bni: Bni) -> None:
    bni.account()
    first = bni.snap.token
    reply = await bni.snap.authenticate()
    assert reply.json()["expiresIn"] == "900"
    assert reply.json()["tokenType"] == "Bearer"
    assert reply.headers["X-CLIENT-KEY"] == SECRETS["client_id"]
    assert code(await bni.snap.post(INQUIRY, BODY, token=first)) == "2001500"
    assert code(await bni.snap.post(INQUIRY, BODY)) == "2001500"
    bni.clock.shift(899)
    assert code(await bni.snap.post(INQUIRY, BODY)) == "2001500"
    bni.clock.shift(1)
    assert code(await bni.snap.post(INQUIRY, BODY)) == "4011501"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-TIMESTAMP": ""}, "4007302"),
        ({"X-CLIENT-KEY": ""}, "4007302"),
        ({"at": "2026-01-15T11:44:59+07:00"}, "4017300"),
        ({"X-CLIENT-KEY": "somebody"}, "4017300"),
        ({"X-SIGNATURE": "AAAA"}, "4017300"),
    ],
)
async def test_token_refusals(bni: Bni, headers: dict[str, str], expected: str) -> None:
    assert code(await bni.snap.authenticate(**headers)) == expected


async def test_the_two_products_do_not_share_tokens(bni: Bni) -> None:
    assert code(await bni.snap.post(INQUIRY, BODY, token=bni.autopay.token)) == "4011503"
    assert bni.autopay.token.count(".") == 2


@pytest.mark.parametrize(
    "sent",
    [
        json.dumps(BODY, ensure_ascii=False).encode(),
        json.dumps(BODY, ensure_ascii=False, indent=2).encode(),
        compact(BODY).replace(b",", b"\t,\r\n"),
    ],
)
async def test_whitespace_outside_strings_does_not_matter(bni: Bni, sent: bytes) -> None:
    bni.account()
    assert code(await bni.snap.post(INQUIRY, BODY, sent=sent)) == "2001500"


@pytest.mark.parametrize(
    "sent",
    [
        json.dumps(BODY).encode(),  # \\u00e9 instead of UTF-8: other bytes than were signed
        compact(BODY).replace(b"/", b"\\/"),
        compact(BODY).replace(b"7000000001", b"7000000002"),
        compact(BODY).replace(b" x", b"x"),
        compact(dict(reversed(BODY.items()))),
    ],
)
async def test_any_other_change_of_the_body_breaks_the_signature(bni: Bni, sent: bytes) -> None:
    bni.account()
    assert code(await bni.snap.post(INQUIRY, BODY, sent=sent)) == "4011500"


async def test_an_escaped_body_is_hashed_as_it_was_sent(bni: Bni) -> None:
    bni.account()
    sent = json.dumps(BODY, separators=(",", ":")).encode()
    at = bni.snap.timestamp()
    signature = hmac_signature(SECRETS["api_secret"], "POST", INQUIRY, bni.snap.token, sent, at)
    assert code(await bni.snap.post(INQUIRY, BODY, sent=sent, at=at, headers={"x_signature": signature})) == "2001500"


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-01-15T12:00:00+07:00", "2001500"),
        ("2026-01-15T05:00:00Z", "2001500"),
        ("2026-01-15T05:00:00.123Z", "2001500"),
        ("2026-01-15T12:00:00.123456789+07:00", "2001500"),
        ("2026-01-15T12:00:00+0700", "2001500"),
        ("2026-01-15T14:00:00.000+09:00", "2001500"),
        ("2026-01-15T12:15:00+07:00", "2001500"),
        ("2026-01-15T12:15:01+07:00", "4011500"),
        ("2026-01-15T11:44:59+07:00", "4011500"),
        ("2026-01-15T12:00:00", "4011500"),
        ("now", "4011500"),
    ],
)
async def test_timestamps(bni: Bni, at: str, expected: str) -> None:
    bni.account()
    assert code(await bni.snap.post(INQUIRY, BODY, at=at)) == expected


async def test_one_flipped_byte_of_the_signature_is_refused(bni: Bni) -> None:
    at = bni.snap.timestamp()
    right = hmac_signature(SECRETS["api_secret"], "POST", INQUIRY, bni.snap.token, compact(BODY), at)
    wrong = ("A" if right[0] != "A" else "B") + right[1:]
    assert code(await bni.snap.post(INQUIRY, BODY, at=at, headers={"x_signature": wrong})) == "4011500"


async def test_the_signed_path_is_the_request_path(bni: Bni) -> None:
    at = bni.snap.timestamp()
    other = hmac_signature(
        SECRETS["api_secret"], "POST", INQUIRY.removeprefix("/snap-service"), bni.snap.token, compact(BODY), at
    )
    assert code(await bni.snap.post(INQUIRY, BODY, at=at, headers={"x_signature": other})) == "4011500"


async def test_the_order_of_checks(bni: Bni) -> None:
    """Each call has every fault from its own on, and the first in the sheet's order answers."""
    bad = {
        "x_signature": "AAAA", "x_partner_id": "somebody", "x_external_id": "123", "authorization": "Bearer none",
    }  # fmt: skip
    late, unread = "2026-01-15T10:00:00+07:00", b"not json"

    async def ask(headers: dict[str, str], at: str | None = None, *drop: str) -> tuple[str, str]:
        reply = await bni.snap.post(INQUIRY, BODY, sent=unread, at=at, drop=drop, headers=headers)
        return code(reply), reply.json()["responseMessage"]

    assert await ask(bad, late, "CHANNEL-ID") == ("4001502", "Invalid Mandatory Field {CHANNEL-ID}")
    assert await ask({**bad, "x_external_id": "12a"}, late) == ("4001501", "Invalid Field Format {X-EXTERNAL-ID}")
    assert await ask(bad, late) == ("4011500", "Unauthorized. [Timestamp]")
    assert await ask(bad) == ("4011500", "Unauthorized. [Unknown client]")
    del bad["x_partner_id"]
    assert (await ask(bad))[0] == "4011503"
    del bad["authorization"]
    assert await ask(bad) == ("4011500", "Unauthorized. [Signature]")
    at = bni.snap.timestamp()
    right = hmac_signature(SECRETS["api_secret"], "POST", INQUIRY, bni.snap.token, unread.replace(b" ", b""), at)
    assert (await ask({"x_signature": right, "x_external_id": "123"}, at))[0] == "4001500"
    assert (await ask({"x_signature": right, "x_external_id": "123"}, at))[0] == "4091500"


@pytest.mark.parametrize(
    "name",
    ["X-TIMESTAMP", "X-SIGNATURE", "X-PARTNER-ID", "X-EXTERNAL-ID", "CHANNEL-ID", "Content-Type", "Authorization"],
)
async def test_every_header_is_needed(bni: Bni, name: str) -> None:
    bni.account()
    expected = "4011503" if name == "Authorization" else "4001502"
    assert code(await bni.snap.post(INQUIRY, BODY, drop=(name,))) == expected


@pytest.mark.parametrize(
    "headers",
    [{"channel_id": "123456"}, {"x_external_id": "1" * 37}, {"x_external_id": "a1"}, {"x_partner_id": "1" * 37}],
)
async def test_headers_have_limits(bni: Bni, headers: dict[str, str]) -> None:
    assert code(await bni.snap.post(INQUIRY, BODY, headers=headers)) == "4001501"


async def test_an_external_id_is_used_up_for_its_jakarta_day_by_refused_calls_too(bni: Bni) -> None:
    refused = {**BODY, "beneficiaryAccountNo": "7999999999"}
    assert code(await bni.snap.post(INQUIRY, refused, headers={"x_external_id": "42"})) == "4041511"
    assert code(await bni.snap.post(INQUIRY, refused, headers={"x_external_id": "42"})) == "4091500"
    assert (
        code(await bni.snap.post(INQUIRY, refused, headers={"x_external_id": "43", "x_signature": "AAAA"})) == "4011500"
    )
    assert code(await bni.snap.post(INQUIRY, refused, headers={"x_external_id": "43"})) == "4041511"
    bni.clock.shift(11 * 3600 + 3599)
    await bni.snap.authenticate()
    assert code(await bni.snap.post(INQUIRY, refused, headers={"x_external_id": "42"})) == "4091500"
    bni.clock.shift(1)
    assert code(await bni.snap.post(INQUIRY, refused, headers={"x_external_id": "42"})) == "4041511"


@pytest.mark.parametrize("sent", [b"[]", b"null", b"1", b"{", b'{"a":"\xff"}'])
async def test_a_body_that_is_no_object_is_a_bad_request(bni: Bni, sent: bytes) -> None:
    at = bni.snap.timestamp()
    signature = hmac_signature(SECRETS["api_secret"], "POST", INQUIRY, bni.snap.token, sent, at)
    assert code(await bni.snap.post(INQUIRY, BODY, sent=sent, at=at, headers={"x_signature": signature})) == "4001500"
