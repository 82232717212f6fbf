"""Calls to addresses that clients name: signed by the Standard Webhooks specification, and never into our own network.

The address is looked at where the connection is made, after every resolution: a name that resolves to something else a
moment later, an address written in another way, or one inside another, comes to the same check.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from standardwebhooks import Webhook
from yarl import URL

from contracts.errors import InvalidRequest

TIMEOUT_S = 10.0
LONGEST_URL = 2_000
_LONGEST_HOST = 254
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
"""Between a host's points (RFC 1123 section 2.1; an underscore is in names of some private networks)."""
_WRITTEN = re.compile(r"(?:[\w\-.~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*", re.ASCII)
"""An address with nothing in it that would have to be encoded first."""
_LONGEST_ANSWER, _LONGEST_WHY = 1_024, 200
_NAMES_AT_ONCE = 16
_LATER = (429, 503)
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_INWARD: Sequence[Network] = tuple(
    ipaddress.ip_network(one) for one in ("192.0.0.0/24", "168.63.129.16/32", "64:ff9b:1::/48")
)
"""Answered inside a provider's network (machines' own data, keys among it) though Python takes some for public."""


class AddressRefused(OSError):
    """A connection that would lead into a network that webhooks may not reach."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one call; `error` is None exactly when it was delivered."""

    status: int | None
    error: str | None
    took_ms: int
    wait_s: float = 0.0
    """How long the receiver asks to be left alone (`Retry-After`)."""


def may_reach(address: str, allowed: Iterable[Network] = ()) -> bool:
    """Whether a resolved address is a public one, or in an allowed network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(
        _public(one) or any(one in network for network in allowed if network.version == one.version)
        for one in _inside(found)
    )


def _inside(address: Address) -> list[Address]:
    """The address, and an IPv4 address that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


def _public(address: Address) -> bool:
    odd = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    old = isinstance(address, ipaddress.IPv6Address) and (address.teredo is not None or address.is_site_local)
    inward = any(address in network for network in _INWARD if network.version == address.version)
    return address.is_global and not (odd or old or inward or address.is_link_local or address.is_private)


def _as_written(url: str) -> URL:
    """An address is called as it was given: to a key in it, %2F and / may be two things."""
    return URL(url, encoded=_WRITTEN.fullmatch(url) is not None)


def check_url(url: str, allowed: Sequence[Network]) -> None:
    """Refuse an address that could not be called anyway; raises `InvalidRequest`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    schemes = ("https", "http") if allowed else ("https",)
    labels = (host or "").removesuffix(".").split(".")
    last = labels[-1]
    odd_number = re.fullmatch("[0-9]+|0x[0-9a-f]*", last) is not None and not _is_address(host or "")
    named = all(map(_LABEL.fullmatch, labels)) and len(host or "") <= _LONGEST_HOST
    plain = (
        not odd_number
        and (named or _is_address(host or ""))
        and port != 0
        and url.isascii()
        and url.isprintable()
        and " " not in url
        and "\\" not in url
        and "#" not in url
    )
    if not (plain and len(url) <= LONGEST_URL and parts.scheme in schemes and host and "@" not in parts.netloc):
        raise InvalidRequest(
            f"The url is no address that can be called: {' or '.join(schemes)}, a host, at most {LONGEST_URL}"
            " characters, no user and no fragment in it.",
            field="url",
            remedy="Give the full address of your receiver, as in https://core.example/webhooks.",
        )
    if _is_address(host) and not may_reach(host, allowed):
        raise InvalidRequest(
            "The url leads to a private address.",
            field="url",
            remedy="Give a public address, or have the operator add the network to GATEWAY_WEBHOOK_NETWORKS.",
        )


def _wait_s(text: str, now: datetime) -> float:
    """`Retry-After` in seconds, however it is written; 0 where it cannot be read."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError):  # no date, or one without an offset
        return 0.0


def _unreached(failed: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, for whoever runs the receiver: each of them mends another thing."""
    match failed:
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            why = str(getattr(failed.certificate_error, "verify_message", ""))
            return f"its certificate is not accepted ({why[:_LONGEST_WHY]})"
        case aiohttp.ClientSSLError():
            return "it does not speak TLS as we do"
    return "the address is not a public one" if isinstance(failed.os_error, AddressRefused) else "it cannot be reached"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Names(AbstractResolver):
    """Names are resolved by threads of their own: one that hangs keeps no other part of the process waiting."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_NAMES_AT_ONCE, thread_name_prefix="webhook-names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        def look() -> list[tuple[socket.AddressFamily, str, int]]:
            found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
            return [(kind, str(place[0]), int(place[1])) for kind, _, _, _, place in found]

        return [
            ResolveResult(hostname=host, host=address, port=number, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address, number in await asyncio.get_running_loop().run_in_executor(self._threads, look)
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class Post:
    """Calls endpoints. One for a process; opened on first use, closed by `close`."""

    def __init__(self, allowed: Sequence[Network] = (), *, timeout_s: float = TIMEOUT_S) -> None:
        self._allowed = tuple(allowed)
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def send(self, url: str, secrets: Sequence[str], message_id: str, at: datetime, body: bytes) -> Delivery:
        """One signed call; everything that goes wrong is an answer."""
        signatures = " ".join(Webhook(secret).sign(message_id, at, body.decode()) for secret in secrets)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "prakerja-gateway",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signatures,
        }
        began = time.monotonic()
        status, error, wait_s = None, None, 0.0
        try:
            check_url(url, self._allowed)
            async with self._opened().post(
                _as_written(url), data=body, headers=headers, allow_redirects=False
            ) as reply:
                status = reply.status
                if status in _LATER:
                    wait_s = _wait_s(reply.headers.get("Retry-After", ""), at)
                await reply.content.read(_LONGEST_ANSWER)
        except InvalidRequest as refused:
            error = refused.detail
        except TimeoutError:
            error = f"no answer within {self._timeout_s:g} s"
        except aiohttp.ClientConnectorError as failed:
            error = _unreached(failed)
        except (aiohttp.ClientError, OSError, ValueError) as failed:
            error = f"no answer ({type(failed).__name__})"
        if status is not None:  # it says all; nobody needs the body, whole or not
            error = None if 200 <= status < 300 else f"HTTP {status}"
        took_ms = round((time.monotonic() - began) * 1000)
        return Delivery(status=status, error=error, took_ms=took_ms, wait_s=wait_s)

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=_Names(), limit=0, socket_factory=self._socket, use_dns_cache=False
            )
            timeout = aiohttp.ClientTimeout(total=self._timeout_s)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )  # fmt: skip
        return self._session

    def _socket(self, info: tuple[int, int, int, str, tuple[object, ...]]) -> socket.socket:
        family, kind, proto, _, place = info
        if not may_reach(str(place[0]), self._allowed):
            raise AddressRefused(f"{place[0]} is not to be reached")
        return socket.socket(family, kind, proto)
