"""Values that SNAP answers carry in more than one partner's documents: tokens, lives in seconds, times, amounts."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from adapters import answers
from adapters.snap.calls import Call
from adapters.snap.codes import Envelope
from contracts.errors import PartnerProtocolError
from contracts.jakarta import JAKARTA
from contracts.money import decimal_string
from contracts.partner import AccessToken
from contracts.plan import Response
from contracts.secret import Secret

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)
_RUPIAH = frozenset({"IDR", "360", "RP", "RP.", "RUPIAH"})
_URL = re.compile(r"https?://[!-~]{1,4088}", re.ASCII | re.IGNORECASE)


def b2b_token(call: Call, reply: Response, life_s: float) -> AccessToken:
    """Our own token as `call` got it (snap-bni.md 1.3). `life_s`, the documented life, holds where the answer names
    none that can be read, or a longer one (in milliseconds, say); what it spent in a cache is over.
    """
    envelope = call.expect(reply)
    life = seconds(envelope.body.get("expiresIn"))
    left = min(life or life_s, life_s) - answers.age_s(reply)
    if left <= 0:
        answers.must_be_fresh(reply)
    return AccessToken(value=token(envelope, "accessToken"), life_s=max(left, 1.0))


def token(envelope: Envelope, *path: str) -> Secret:
    """A token field of an answer."""
    return answers.secret(answers.at(envelope.body, *path), ".".join(path))


def seconds(value: object) -> float | None:
    """A life in seconds, written as a string or a number (snap-bni.md 1.3); None where it is no life."""
    text = answers.written(value)
    return (float(text) or None) if _SECONDS.fullmatch(text) else None


def url(envelope: Envelope, *path: str) -> str:
    """An address that a browser can be sent to."""
    text = envelope.text(*path).replace("&amp;", "&")  # an address that went through HTML
    if _URL.fullmatch(text) is None:
        raise PartnerProtocolError(f"field {'.'.join(path)} is not an http address")
    return text


def expiry(value: object) -> datetime | None:
    """When something ends, on which nothing depends but when it is renewed: a time without an offset is Jakarta's
    (snap-bni.md 1.2), one that cannot be read is none.
    """
    parsed = answers.time(value)
    return None if parsed is None else parsed.replace(tzinfo=parsed.tzinfo or JAKARTA)


def idr(amount_rupiah: int) -> dict[str, str]:
    """An amount as SNAP writes it (snap-bni.md 1.2)."""
    return {"value": decimal_string(amount_rupiah), "currency": "IDR"}


def rupiah(value: Any, field: str, *, sen: bool = False) -> int:
    """SNAP's amount as whole rupiah; a number instead of a string is one too. The currency is evidence: partners pay in
    rupiah alone, and some leave it out, or write its ISO number or its name. A `PartnerProtocolError` for a fraction
    (but for `sen`, see `answers.whole`), another currency and anything else.
    """
    currency = answers.at(value, "currency")
    if currency not in (None, "") and answers.written(currency).upper() not in _RUPIAH:
        raise PartnerProtocolError(f"field {field} is not an amount in IDR")
    return answers.whole(answers.at(value, "value"), field, sen=sen)


def amount(envelope: Envelope, field: str = "amount") -> int | None:
    """The amount that an answer says, None where it says none."""
    value = envelope.body.get(field)
    return None if value is None else rupiah(value, field)
