"""A NIK or a phone is found however it is written, and what only has digits is left alone."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidRequest
from gateway.api.refused_calls import _OURS
from gateway.security.personal import names_somebody, refuse, without_time
from gateway.services.intake.rows import is_key

NIK = "3174014205909901"


def _in_digits_from(text: str, zero: int) -> str:
    """In another script's digits, of which this is the zero."""
    return "".join(chr(zero + int(digit)) for digit in text)


@pytest.mark.parametrize(
    "text",
    [
        NIK, f"pay {NIK} now", f"nik:{NIK}", f"key-{NIK}", "3174 0142 0590 9901", "3174.0142.0590.9901",
        "31-74-01-420590-9901", "+6281234567890", "081234567890", "call 0812-3456-7890", "62 812 3456 7890",
        "tel:081234567890", "1946340000007778", "card 1946 3400 0000 7778", "7 (3174 0142 0590 9901) 8",
        f"nik{NIK}", f"id{NIK}x", f"{NIK}id", "HP081234567890", "(0812) 3456 7890", "+62 (812) 34567890",
        "3174/0142/0590/9901", "3174\u00a00142\u20110590 9901", "12 0812-3456-7890 7", "3174\u200b014205909901",
        _in_digits_from(NIK, 0xFF10), _in_digits_from(NIK, 0x0660), f"nik {_in_digits_from(NIK, 0x0966)}",
    ],
)  # fmt: skip
def test_a_person_is_found(text: str) -> None:
    assert names_somebody(text)
    with pytest.raises(InvalidRequest) as refused:
        refuse(text, "reason")
    assert refused.value.code == "personal_data"
    assert not any(part in str(refused.value) for part in text.split() if len(part) > 6)


@pytest.mark.parametrize(
    "text",
    [
        "cut-off at 22:00 on 2026-11-28",
        "k1",
        "1732829000123456789",
        "batch 7 of 2026",
        "9999999999999999",
        "1946340000007779",
        "INC-0812",
        "INV0812345678",
        "08-12-2026",
        f"a{NIK}",
        "",
    ],
)
def test_what_only_has_digits_is_left_alone(text: str) -> None:
    assert not names_somebody(text)


@pytest.mark.parametrize("sign", ["\x1b[31m", "\x00", "\x7f", "\x9b", "\u202e", "\u2066"])
def test_signs_that_a_terminal_acts_on_are_refused(sign: str) -> None:
    with pytest.raises(InvalidRequest):
        refuse(f"cut-off {sign}at ten", "reason")
    refuse("cut-off\nat ten, 👩‍🔧 of OVO", "reason")


def test_keys_that_programs_make_are_taken() -> None:
    made = [str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)) for _ in range(5_000)]
    made += [secrets.token_hex(16) for _ in range(5_000)] + [secrets.token_urlsafe(24) for _ in range(5_000)]
    assert sum(names_somebody(key) for key in made) <= 2


@settings(max_examples=300, deadline=None)
@given(st.integers(1_577_836_800, 3_000_000_000), st.sampled_from(["", "batch-", "PAY_"]))
def test_keys_made_of_the_time_are_taken_at_any_hour(seconds: int, before: str) -> None:
    at = now = datetime.fromtimestamp(seconds + 0.987_654, UTC)
    micros = int(now.timestamp() * 1e6)
    forms = ("%Y%m%d%H%M%S", "%Y%m%d%H%M%S%f", "%Y%m%d-%H%M%S-%f", "%Y%m%d_%H%M%S", "%Y%m%dT%H%M%S.%f", "%FT%T.%f")
    for key in (*(at.strftime(form) for form in forms), f"{at:%Y%m%d%H%M%S}98", f"{at:%Y%m%d-%H%M%S}98"):
        assert not names_somebody(before + key), key
    assert names_somebody(f"{before}{at:%Y%m%d}-081234567890"), "a day before a phone does not hide it"
    assert not names_somebody(without_time(f"{before}{micros}", now + timedelta(hours=23)))
    assert names_somebody(without_time(f"{before}{NIK}", now)), "no time is near it"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["", " ", ".", "-"]))
def test_a_nik_is_found_in_any_text(before: str, after: str, between: str) -> None:
    grouped = between.join((NIK[:4], NIK[4:8], NIK[8:12], NIK[12:]))
    assert names_somebody(f"{before} ({grouped}) {after}")


@pytest.mark.parametrize(
    ("text", "taken"), [("081234567890", False), ("6281234567890", False), ("P0812", True), ("08123", True)]
)
def test_a_phone_is_no_participant_id(text: str, taken: bool) -> None:
    assert is_key(text) is taken


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("P00000001", True), ("b17959210102900001", True), ("L17959210102900001", True), ("88001122334455667", True),
        ("7", True), ("81234567890", False), (NIK, False), ("6281234567890", False), ("Dewi", False),
        ("P081234567890", False), ("", False), ("1" * 21, False),
    ],
)  # fmt: skip
def test_of_an_address_only_what_looks_like_an_id_of_ours_goes_on_record(text: str, noted: bool) -> None:
    assert (_OURS.fullmatch(text) is not None) is noted
