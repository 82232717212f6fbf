"""The one way a byte reaches a partner: one attempt, no retry, and an honest word on whether anything was sent.

httpx gives the exceptions and the reading of an address, aiohttp requests, replies and connections, at less than a
fifth of the processor time of httpx's own. aiohttp is told not to resend: left alone it repeats a GET whose kept-alive
connection died under it.
"""

import asyncio
import functools
import ssl
import zlib
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

import aiohttp
import httpx
import yarl
from multidict import CIMultiDict

NEVER_SENT: tuple[type[Exception], ...] = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""The only exceptions of `Sender.send` that prove no byte of the request left; every other one leaves it unknown."""

REPLY_LIMIT_BYTES = 1024 * 1024
HEADER_LIMIT_BYTES = 64 * 1024
"""Of one header: a policy or a trace that something in front adds must not cost us the answer."""
KEEPALIVE_S = 15.0  # below the idle limit of the load balancers in common use (60 s), so that few kept connections die
_NOT_ENCODED = frozenset({"", "identity", "none", "utf-8", "utf8"})
_PRESSED = frozenset({"gzip", "x-gzip", "deflate"})
_BITS = {b"\x1f\x8b": 31, b"\x78": 15, b"": -15}
"""What zlib calls a press by how it begins: gzip, zlib, and deflate as it is; no JSON begins like the first two."""
MOST_PRESSES = 2
_ENCODED = ("content-encoding", "content-length", "transfer-encoding")
"""Headers that speak of the reply as it came over the wire."""
_ALWAYS = CIMultiDict({"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "prakerja-gateway"})
"""What every request says beside its plan's headers: firewalls refuse one that does not say who sends it."""
_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # what aiohttp would add unasked


LEFT: ContextVar[Callable[[], None] | None] = ContextVar("LEFT", default=None)
"""Called right after the request that this task sends was handed to its connection."""


class Reply(NamedTuple):
    """What the partner answered, whole; header names in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes


@functools.cache
def _trust() -> ssl.SSLContext:
    """The authorities that are trusted, read once a process: they take longer to read than a call takes."""
    return httpx.create_ssl_context()


@functools.lru_cache(maxsize=256)
def _address(base_url: str, target: str) -> yarl.URL:
    """Where a target is sent, not a character changed; raises `ValueError` where an HTTP library would change it."""
    url = httpx.URL(base_url + target) if target.startswith("/") else None
    if url is None or not url.raw_path.endswith(target.encode()):
        raise ValueError("request target is not in its canonical encoding")
    return yarl.URL(str(url), encoded=True)


class _Kept(aiohttp.TCPConnector):
    """Hands out no kept connection on which something came unasked: a second answer, a balancer's farewell. It would be
    read as the answer to the next request, which may be about another payment.
    """

    async def _get(self, key: Any, traces: Any) -> Any:
        kept: Any = await super()._get(key, traces)
        while kept is not None and kept.protocol.should_close:
            kept.close()
            kept = await super()._get(key, traces)
        return kept


class _Told(aiohttp.ClientRequest):
    """Tells when it has left, which is later than when it was asked for: a connection may have to be made first."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        answer = await super().send(conn)
        if (left := LEFT.get()) is not None:
            # The body is written by a task of its own, which goes first.
            asyncio.get_running_loop().call_soon(left)
        return answer


class Sender:
    """Sends signed bytes to one partner's host, exactly as given, once. It has a pool of its own, so that one slow
    partner starves no other.

    Raises httpx's exceptions, `NEVER_SENT` only if true. Their texts name the fault's type alone: aiohttp's quote the
    URL and pieces of an unreadable reply.
    """

    def __init__(
        self, base_url: str, *, connect_timeout_s: float, pool_size: int, tls: ssl.SSLContext | None = None
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout_s)  # waiting for a free slot included
        self._pool_size = pool_size
        self._tls = tls or _trust()
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        content: bytes,
        timeout_s: float,
        limit_bytes: int = REPLY_LIMIT_BYTES,
    ) -> Reply:
        """One attempt, at most `timeout_s` from call to last byte; raises `httpx.TransportError`.

        A `target` (path and query) that HTTP libraries would rewrite on its way is refused with ValueError before
        anything is sent, because it has been signed as it is.
        """
        url = _address(self._base_url, target)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(method, url, headers, content, limit_bytes)
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole reply within {timeout_s} s") from None

    async def aclose(self) -> None:
        """Closes the kept connections."""
        if self._session is not None:
            await self._session.close()

    async def _exchange(
        self, method: str, url: yarl.URL, headers: Mapping[str, str], content: bytes, limit: int
    ) -> Reply:
        session = self._session or self._open()
        body, said = bytearray(), _ALWAYS.copy()
        said.update(headers)
        try:
            async with session.request(
                method,
                url,
                headers=said,
                data=content or None,
                allow_redirects=False,
                timeout=self._timeout,
            ) as reply:
                async for chunk in reply.content.iter_any():
                    body += chunk
                    if len(body) > limit:
                        raise httpx.RemoteProtocolError(f"reply larger than {limit} bytes")
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise _honest(exc) from None
        answered: dict[str, str] = {}
        for raw_name, raw_value in reply.raw_headers:
            name, value = _text(raw_name).lower(), _text(raw_value)
            answered[name] = f"{answered[name]}, {value}" if name in answered else value
        whole = bytes(body)
        if "content-encoding" in answered:
            whole = _plain(whole, answered["content-encoding"], limit)
            for name in _ENCODED:
                answered.pop(name, None)
        return Reply(reply.status, answered, whole)

    def _open(self) -> aiohttp.ClientSession:
        connector = _Kept(limit=self._pool_size, keepalive_timeout=KEEPALIVE_S, ssl=self._tls)
        session = aiohttp.ClientSession(
            connector=connector,
            request_class=_Told,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTO_HEADERS,
            max_line_size=HEADER_LIMIT_BYTES,
            max_field_size=HEADER_LIMIT_BYTES,
            auto_decompress=False,
        )
        if session._retry_connection is not True:  # an upgrade moved the switch: refuse rather than resend silently
            raise RuntimeError("this aiohttp has no known switch for its own retry of idempotent requests")
        session._retry_connection = False
        self._session = session
        return session


def _text(raw: bytes) -> str:
    """A header as a partner meant it: some write names in Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _plain(body: bytes, encoding: str, limit: int) -> bytes:
    """The reply as it was before its content encoding, which was not asked for: some servers say the charset there, or
    that there is none, some gateways press whatever passes, also what is pressed already, and some take the press off
    and leave its name. So the bytes tell how often and how they are pressed.
    """
    names = {name.strip().lower() for name in encoding.split(",")} - _NOT_ENCODED
    if names - _PRESSED:
        raise httpx.RemoteProtocolError("reply in a content encoding that was not asked for")
    for presses in range(MOST_PRESSES if names else 0):
        begins = next(each for each in _BITS if body.startswith(each))
        if not begins and (presses or "deflate" not in names or body[:1] in b"{["):
            break
        body = _unpacked(body, begins, limit)
    return body


def _unpacked(body: bytes, begins: bytes, limit: int) -> bytes:
    """One press taken off; members one behind the other are one text, whatever else stands behind them is none."""
    plain = b""
    while body and body.startswith(begins):
        unpack = zlib.decompressobj(wbits=_BITS[begins])
        try:
            plain += unpack.decompress(body, limit + 1 - len(plain))
        except zlib.error:
            raise httpx.RemoteProtocolError("reply that is not in the content encoding it names") from None
        if len(plain) > limit or not unpack.eof:
            raise httpx.RemoteProtocolError(f"reply larger than {limit} bytes, or cut")
        body = unpack.unused_data
    return plain


def _honest(exc: Exception) -> httpx.TransportError:
    """httpx's word for an aiohttp failure; 'connect' only for what is raised before a connection is handed out."""
    name = type(exc).__name__
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(name)
    if isinstance(exc, aiohttp.ClientConnectorError):
        return httpx.ConnectError(name)
    if isinstance(exc, TimeoutError):
        return httpx.ReadTimeout(name)
    if isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError):
        return httpx.RemoteProtocolError(name)
    return httpx.ReadError(name)
