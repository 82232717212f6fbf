"""Where callers write freely, nobody's NIK, phone or card: such texts are kept, listed and shown."""

from __future__ import annotations

import re

from contracts.errors import InvalidRequest
from contracts.nik import Nik, NikInvalid

_BETWEEN = re.compile(r"(?<=[0-9])[ .\-]+(?=[0-9])")
_RUNS = re.compile(r"(?<![0-9A-Za-z])[0-9]{16}(?![0-9A-Za-z])", re.ASCII)
_PHONE = re.compile(r"(?<![0-9A-Za-z])(?:62|0)8[0-9]{8,11}(?![0-9A-Za-z])", re.ASCII)


def names_somebody(text: str) -> bool:
    """Whether a NIK, a card's number or an Indonesian mobile number stands in it, as it is or grouped."""
    for tried in (text, _BETWEEN.sub("", text)):
        if _PHONE.search(tried) or any(_is_nik(run) or _is_card(run) for run in _RUNS.findall(tried)):
            return True
    return False


def refuse(text: str, field: str) -> None:
    """Raise `InvalidRequest` where the text names somebody."""
    if names_somebody(text):
        raise InvalidRequest(
            f"{field} holds what looks like a NIK, a card or a phone.",
            field=field,
            code="personal_data",
            remedy="Write nothing of a person there: it is kept and shown. Name a person by the participant_id.",
        )


def _is_nik(digits: str) -> bool:
    try:
        Nik(digits)
    except NikInvalid:
        return False
    return True


def _is_card(digits: str) -> bool:
    """Luhn's check digit, over 16 digits."""
    return sum(int(sign) if n % 2 else sum(divmod(2 * int(sign), 10)) for n, sign in enumerate(digits)) % 10 == 0
