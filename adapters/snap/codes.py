"""SNAP's response envelope and its seven-digit codes: HTTP status (3), service (2), case (2) (snap-bni.md 1.8)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.plan import Response

_CODE = re.compile(r"[2-5][0-9]{6}", re.ASCII)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A SNAP answer whose code agrees with its HTTP status and with the service asked."""

    code: str
    """`HHHSSCC`."""
    body: dict[str, Any]

    def __repr__(self) -> str:
        return f"Envelope({self.code})"

    @property
    def http(self) -> str:
        """First three digits."""
        return self.code[:3]

    @property
    def case(self) -> str:
        """HTTP status and case without the service, e.g. `40901`."""
        return self.code[:3] + self.code[5:]

    def text(self, *path: str) -> str:
        """A string field, by path; a missing or other-typed one is a `PartnerProtocolError`."""
        value: Any = self.body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, str) or not value:
            raise PartnerProtocolError(f"field {'.'.join(path)} is missing or not a string")
        return value

    def optional_text(self, *path: str) -> str | None:
        """A string field, or None where it is missing, empty or null; any other type is a `PartnerProtocolError`."""
        value: Any = self.body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise PartnerProtocolError(f"field {'.'.join(path)} is not a string")
        return value


def read(reply: Response, service: str) -> Envelope:
    """The envelope of an answer to service `service` (two digits).

    Raises `PartnerProtocolError` for anything that is not one: no JSON object, no seven-digit string code, a code of
    another service, or one that disagrees with the HTTP status. Such an answer is no verdict.
    """
    try:
        body = msgspec.json.decode(reply.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PartnerProtocolError(f"HTTP {reply.status} without JSON") from None
    if not isinstance(body, dict):
        raise PartnerProtocolError(f"HTTP {reply.status} without a JSON object")
    code = body.get("responseCode")
    if not isinstance(code, str) or _CODE.fullmatch(code) is None:
        raise PartnerProtocolError(f"HTTP {reply.status} without a seven-digit responseCode")
    if code[:3] != f"{reply.status:03d}":
        raise PartnerProtocolError(f"responseCode {code} disagrees with HTTP {reply.status}")
    if code[3:5] != service:
        raise PartnerProtocolError(f"responseCode {code} is not of service {service}")
    return Envelope(code=code, body=body)


HINTS: dict[str, Hint] = {
    "40100": Hint.CREDENTIALS,
    "40101": Hint.OUR_TOKEN,
    "40102": Hint.CUSTOMER_TOKEN,
    "40103": Hint.OUR_TOKEN,
    "40104": Hint.CUSTOMER_TOKEN,
    "40306": Hint.LATER,
    "40314": Hint.FLOAT_SHORT,
    "42900": Hint.THROTTLED,
}
"""Cases for which the standard promises that nothing was done (snap-bni.md 1.8, 4.2), and what they hint at."""


def unavailable(envelope: Envelope, reply: Response) -> PartnerUnavailable:
    """A READ's answer that is no verdict: could not tell, with the hint its case gives."""
    return PartnerUnavailable(
        f"responseCode {envelope.code}",
        hint=HINTS.get(envelope.case, Hint.NONE),
        partner_code=envelope.code,
        retry_after_s=retry_after_s(reply),
    )


def retry_after_s(reply: Response) -> float | None:
    """`Retry-After` in seconds where the answer names a plain number, at most an hour."""
    value = reply.headers.get("retry-after", "")
    return min(float(value), 3600.0) if value.isascii() and value.isdigit() else None
