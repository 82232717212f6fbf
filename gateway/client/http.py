"""`Gateway` and `AsyncGateway`: send calls, with a token that is fetched and renewed, and again where that is safe."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from gateway.client.calls import Call, Pages

T = TypeVar("T")
TRIES = 4
_TIMEOUT_S = 60.0
_LONGEST_WAIT_S = 30.0
_EARLY_S = 30.0
_AGAIN = (429, 502, 503, 504)
_MOST_PAGES = 10_000_000


class Refused(Exception):
    """The API said no. `code` is stable, `remedy` says what to do, `field` names what is wrong where that is known."""

    def __init__(self, status: int, problem: dict[str, Any], request_id: str | None) -> None:
        self.status = status
        self.code = str(problem.get("code", "unreadable"))
        self.detail = str(problem.get("detail", f"HTTP {status}"))
        self.remedy = str(problem.get("remedy", ""))
        self.field: str | None = problem.get("field")
        self.request_id = request_id
        super().__init__(f"{self.code}: {self.detail} {self.remedy}".strip())


class NoAnswer(Exception):
    """No answer came, or none that can be read. What was asked may have been done, unless it is a READ."""


class _Base(Generic[T]):
    """What both clients decide alike."""

    def __init__(self, url: str, client_id: str, client_secret: str, *, scope: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._auth = httpx.BasicAuth(client_id, client_secret)
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._token, self._ends_s = "", 0.0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url})"

    def _stale(self) -> bool:
        return time.monotonic() > self._ends_s

    def _keep(self, reply: httpx.Response) -> None:
        found = _read(reply, dict)
        self._token = str(found["access_token"])
        self._ends_s = time.monotonic() + float(found["expires_in"]) - _EARLY_S

    def _options(self, call: Call[Any], after: dict[str, str] | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if call.content_type is not None:
            headers["Content-Type"] = call.content_type
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        return {"params": call.query | (after or {}), "headers": headers, "content": call.body}

    def _wait_s(self, call: Call[Any], tries: int, outcome: httpx.Response | Exception) -> float | None:
        """How long to wait before the next try; None: this is it."""
        if tries >= TRIES:
            return None
        if isinstance(outcome, httpx.Response):
            if outcome.status_code == 401 and tries == 1:
                self._ends_s = 0.0  # the token was taken back: a fresh one, and nothing was done under the old one
                return 0.0
            running = outcome.status_code == 409 and call.key is not None and b"request_in_progress" in outcome.content
            if not running and (outcome.status_code not in _AGAIN or not call.repeatable):
                return None
            told = outcome.headers.get("Retry-After", "")
            if told.isascii() and told.isdigit():
                return min(float(told), _LONGEST_WAIT_S)
        elif not (call.repeatable or isinstance(outcome, httpx.ConnectError | httpx.PoolTimeout)):
            return None
        return min(0.5 * 2.0**tries, _LONGEST_WAIT_S) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class Gateway(_Base[Any]):
    """The synchronous client; `with Gateway(...) as gateway`. Not for several threads at once."""

    def __init__(
        self, url: str, client_id: str, client_secret: str, *, scope: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        """`transport`: another way to the API than the network, as tests have."""
        super().__init__(url, client_id, client_secret, scope=scope)
        self._http = httpx.Client(base_url=self._url, timeout=_TIMEOUT_S, transport=transport)

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """The answer; raises `Refused` or `NoAnswer`."""
        return _read(self._sent(call, None), call.answer)

    def pages(self, pages: Pages[T]) -> Iterator[T]:
        """Every item of a list, fetched page by page."""
        after: dict[str, str] | None = None
        for _ in range(_MOST_PAGES):
            page = _read(self._sent(pages.first, after), dict)
            yield from msgspec.convert(page[pages.items], list[pages.item])  # type: ignore[name-defined]
            if not page["next_cursor"] or not page[pages.items]:
                return
            after = {"cursor": page["next_cursor"]}

    def _sent(self, call: Call[Any], after: dict[str, str] | None) -> httpx.Response:
        for tries in range(1, TRIES + 1):
            outcome: httpx.Response | Exception
            try:
                if self._stale():
                    self._keep(self._http.post("/oauth/token", data=self._form, auth=self._auth))
                outcome = self._http.request(call.method, call.path, **self._options(call, after))
            except httpx.TransportError as error:
                outcome = error
            wait_s = self._wait_s(call, tries, outcome)
            if wait_s is None:
                return _settled(outcome)
            time.sleep(wait_s)
        raise AssertionError("the last try settles it")


class AsyncGateway(_Base[Any]):
    """The same for asyncio; `async with AsyncGateway(...) as gateway`."""

    def __init__(
        self, url: str, client_id: str, client_secret: str, *, scope: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        """`transport`: another way to the API than the network, as tests have."""
        super().__init__(url, client_id, client_secret, scope=scope)
        self._http = httpx.AsyncClient(base_url=self._url, timeout=_TIMEOUT_S, transport=transport)
        self._renewing = asyncio.Lock()

    async def __aenter__(self) -> AsyncGateway:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """The answer; raises `Refused` or `NoAnswer`."""
        return _read(await self._sent(call, None), call.answer)

    async def pages(self, pages: Pages[T]) -> AsyncIterator[T]:
        """Every item of a list, fetched page by page."""
        after: dict[str, str] | None = None
        for _ in range(_MOST_PAGES):
            page = _read(await self._sent(pages.first, after), dict)
            for item in msgspec.convert(page[pages.items], list[pages.item]):  # type: ignore[name-defined]
                yield item
            if not page["next_cursor"] or not page[pages.items]:
                return
            after = {"cursor": page["next_cursor"]}

    async def _sent(self, call: Call[Any], after: dict[str, str] | None) -> httpx.Response:
        for tries in range(1, TRIES + 1):
            outcome: httpx.Response | Exception
            try:
                async with self._renewing:
                    if self._stale():
                        self._keep(await self._http.post("/oauth/token", data=self._form, auth=self._auth))
                outcome = await self._http.request(call.method, call.path, **self._options(call, after))
            except httpx.TransportError as error:
                outcome = error
            wait_s = self._wait_s(call, tries, outcome)
            if wait_s is None:
                return _settled(outcome)
            await asyncio.sleep(wait_s)
        raise AssertionError("the last try settles it")


def _settled(outcome: httpx.Response | Exception) -> httpx.Response:
    if isinstance(outcome, Exception):
        raise NoAnswer(type(outcome).__name__) from outcome
    return outcome


def _read(reply: httpx.Response, answer: type[T]) -> T:
    if reply.is_success:
        if answer is type(None):
            return None
        try:
            return msgspec.json.decode(reply.content, type=answer)
        except msgspec.MsgspecError as error:
            raise NoAnswer(f"an answer that cannot be read: {error}") from None
    try:
        problem = msgspec.json.decode(reply.content, type=dict)
    except msgspec.MsgspecError:
        problem = {}
    raise Refused(reply.status_code, problem, reply.headers.get("X-Request-Id"))
