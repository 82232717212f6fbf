"""Where callers write freely, nobody's NIK, phone or card: such texts are kept, listed and shown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta

from contracts.errors import InvalidRequest
from contracts.nik import is_nik

_GROUPED = re.compile(r"(?<![0-9A-Za-z])[0-9]+(?:[ .\-/()]+[0-9]+)+(?![0-9A-Za-z])", re.ASCII)
_GROUP = re.compile(r"[0-9]+", re.ASCII)
_WORDS = re.compile(r"[0-9A-Za-z]+", re.ASCII)
_MADE = re.compile(r"(?=.*[A-Fa-f])[0-9A-Fa-f]+", re.ASCII)
"""Digits among the letters of hexadecimal numbers, as programs make them, are nobody's."""
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
_RUNS = re.compile(r"(?<![0-9])[0-9]{16}(?![0-9])", re.ASCII)
_PHONE = re.compile(r"(?:62|0)8[0-9]{8,11}", re.ASCII)
_PHONE_WITHIN = re.compile(r"(?<![0-9])(?:62|0)8[1-9][0-9]{8,10}(?![0-9])", re.ASCII)
"""Beside letters only one of full length: shorter ones are counters (INV0812345678)."""
_CLOCK = "(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"
_TIME = re.compile(
    "(?<![0-9])20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    f"(?:{_CLOCK}[0-9]{{0,6}}|[-_T.]{_CLOCK}(?:[-_.][0-9]{{1,6}})?)(?![0-9])",
    re.ASCII,
)
"""A day and the time of it, as programs name files and keys: no NIK and no card begins with 20."""
_CARD = re.compile(r"(?:1946|2[2-7]|[3-69])[0-9]+", re.ASCII)
"""What a card's number begins with (1946: BNI's own)."""
_TIME_US = timedelta(days=1) // timedelta(microseconds=1)
"""So near to now, 16 digits are the time in microseconds."""
_LONGEST, _MOST_GROUPS = 16, 8
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal or a page would act on instead of showing it."""


def names_somebody(text: str) -> bool:
    """Whether a NIK, a card's number or an Indonesian mobile number stands in it, as it is or grouped, in whatever
    script's digits.
    """
    plain = _TIME.sub("x", _UUID.sub("x", _plain(text)))
    written = _WORDS.findall(plain)
    return any(_is_somebody(word) for word in (*written, *_joined(plain)))


def without_time(text: str, now: datetime) -> str:
    """The text without 16 digits that count microseconds up to about `now`, as programs make keys of."""
    now_us = int(now.timestamp() * 1e6)
    return _RUNS.sub(lambda found: "x" if abs(int(found[0]) - now_us) < _TIME_US else found[0], text)


def refuse(text: str, field: str) -> None:
    """Raise `InvalidRequest` where the text names somebody, or holds signs that are acted on and not shown."""
    if _UNSEEN.search(text):
        raise InvalidRequest(
            f"{field} holds signs that cannot be seen.", field=field, remedy="Write it as plain text, without them."
        )
    if names_somebody(text):
        raise InvalidRequest(
            f"{field} holds what looks like a NIK, a card or a phone.",
            field=field,
            code="personal_data",
            remedy="Write nothing of a person there: it is kept and shown. Name a person by the participant_id.",
        )


def _joined(text: str) -> Iterator[str]:
    """What neighbouring groups of digits make together; a phone's first one is no day of a date."""
    for found in _GROUPED.findall(text):
        groups = _GROUP.findall(found)
        yield "".join(groups)
        for first in range(len(groups)):
            for after in range(first + 2, min(first + _MOST_GROUPS, len(groups)) + 1):
                joined = "".join(groups[first:after])
                if len(joined) > _LONGEST:
                    break
                if len(joined) == _LONGEST or groups[first] == "62" or len(groups[first]) > 2:
                    yield joined


def _is_somebody(word: str) -> bool:
    if _MADE.fullmatch(word):
        return False
    if _PHONE.fullmatch(word) or _PHONE_WITHIN.search(word):
        return True
    runs = [run for run in _RUNS.findall(word) if _TIME.fullmatch(run) is None]
    return any(is_nik(run) or _is_card(run) for run in runs)


def _plain(text: str) -> str:
    return text if text.isascii() else "".join(_signs(text))


def _signs(text: str) -> Iterator[str]:
    """As somebody would copy it down: every digit as 0 to 9, every space and dash alike, nothing that is not seen."""
    for sign in text:
        digit, kind = unicodedata.decimal(sign, None), unicodedata.category(sign)
        if digit is not None:
            yield str(digit)
        elif kind == "Zs":
            yield " "
        elif kind == "Pd":
            yield "-"
        elif kind not in ("Cf", "Mn"):
            yield sign


def _is_card(digits: str) -> bool:
    """A card's first digits, and Luhn's check digit over 16."""
    if _CARD.fullmatch(digits) is None:
        return False
    return sum(int(sign) if n % 2 else sum(divmod(2 * int(sign), 10)) for n, sign in enumerate(digits)) % 10 == 0
