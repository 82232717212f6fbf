"""Plans: an adapter's operation is a generator that yields requests, is sent responses, and returns an outcome.

A plan does no I/O and asks no clock; one executor (`gateway/partners/executor.py`) runs them all, so "did the bytes
leave?" is answered in one place. A plan has at most one WRITE, and it is its last request.
"""

from __future__ import annotations

import enum
from collections.abc import Generator, Mapping
from typing import TypeVar

import msgspec

T = TypeVar("T")

Plan = Generator["Request", "Response", T]
"""Yields `Request`, is sent `Response`, returns `T`; may raise `PartnerUnavailable` or `PartnerProtocolError` for
"could not tell".
"""


class Effect(enum.Enum):
    """Whether a request can change anything at the partner that a second one would change again.

    READ: fetching a token, refreshing a grant, a NIK check, an inquiry, a look-up, a statement. WRITE: what moves
    money, sends an SMS or uses a code or OTP up, and unlinking.
    """

    READ = "read"
    """May be run again under a fresh `Context`."""
    WRITE = "write"
    """Attempted once; without a readable verdict its outcome is unknown and looked up, never sent again by itself."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request, complete to the byte; `content` is what was signed and is sent untouched."""

    operation: str
    """Stable name for journal, quotas and counts; never personal data. The same at all partners: `token.*`,
    `link.begin`, `link.exchange`, `link.health`, `link.refresh`, `unlink`, `identity.verify`, `identity.name`,
    `payout.*`, `statement`, `balance`.
    """
    effect: Effect
    host: str
    """Key into the manifest's `hosts`."""
    method: str
    target: str
    """Path with query, already encoded, exactly as signed; carries no NIK, phone, account or secret of ours except
    where a partner's API demands it.
    """
    headers: Mapping[str, str]
    content: bytes = b""
    timeout_s: float = 15.0
    """Bound on the whole exchange after the connection stands."""
    max_response_bytes: int = 1_048_576
    """A longer answer is not read to its end and counts as unreadable."""
    frozen: bytes | None = None
    """What of a WRITE's body stays the same over all attempts, where that is not all of `content` (LinkAja's sessionID
    differs).
    """

    def __repr__(self) -> str:
        return f"Request({self.operation} {self.effect.value} {self.method} {self.host}, {len(self.content)} bytes)"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP answer as received; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.content)} bytes)"


def done(value: T) -> Plan[T]:
    """A plan that needs no call."""
    yield from ()
    return value
