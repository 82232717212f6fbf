"""Values that SNAP answers carry in more than one partner's documents: tokens, lives in seconds, times."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from adapters.snap import codes
from adapters.snap.codes import Envelope
from contracts.errors import PartnerProtocolError
from contracts.partner import AccessToken
from contracts.plan import Response
from contracts.secret import Secret

_TOKEN = re.compile(r"[!-~]{1,4096}", re.ASCII)
_SECONDS = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def b2b_token(reply: Response, life_s: float) -> AccessToken:
    """Our own token as issued (service 73, snap-bni.md 1.3); `life_s` holds where the answer names none."""
    envelope = codes.read(reply, "73")
    if envelope.code != "2007300":
        raise codes.unavailable(envelope, reply)
    return AccessToken(value=token(envelope, "accessToken"), life_s=seconds(envelope, "expiresIn") or life_s)


def secret(value: str, field: str) -> Secret:
    """A token that can stand in a header."""
    if _TOKEN.fullmatch(value) is None:
        raise PartnerProtocolError(f"field {field} is not a token")
    return Secret(value)


def token(envelope: Envelope, field: str) -> Secret:
    """A token field of an answer."""
    return secret(envelope.text(field), field)


def seconds(envelope: Envelope, field: str) -> float | None:
    """A life in seconds, written as a string or a number (snap-bni.md 1.3), or None where it is missing."""
    value: Any = envelope.body.get(field)
    if value is None:
        return None
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or _SECONDS.fullmatch(text) is None:
        raise PartnerProtocolError(f"field {field} is not a number of seconds")
    return float(text)


def moment(text: str, field: str) -> datetime:
    """ISO 8601 with an offset."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise PartnerProtocolError(f"field {field} is not a time") from None
    if parsed.tzinfo is None:
        raise PartnerProtocolError(f"field {field} has no offset")
    return parsed


def said_at(value: object) -> datetime | None:
    """When a partner says that something holds, or None where it says so in no form that puts words in order: a time
    without an offset may be of any zone.
    """
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if parsed.tzinfo is None else parsed
