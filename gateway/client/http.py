"""`Gateway` and `AsyncGateway`: send calls, with a token that is fetched and renewed, and again where that is safe."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx
import msgspec

from gateway.client.call import Call, Pages

T = TypeVar("T")
TRIES = 4
_ASKING_S = 60.0
_LONGEST_WAIT_S = 30.0
_EARLY_S = 30.0
_AGAIN = (429, 502, 503, 504)
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_MOST_PAGES = 10_000_000


class Refused(Exception):
    """The API said no. `code` is stable, `remedy` says what to do, `field` names what is wrong where that is known."""

    def __init__(self, status: int, problem: dict[str, Any], request_id: str | None) -> None:
        self.status = status
        self.code = str(problem.get("code", "unreadable"))
        self.detail = str(problem.get("detail") or problem.get("error_description") or f"HTTP {status}")
        self.remedy = str(problem.get("remedy", ""))
        self.field: str | None = problem.get("field")
        self.request_id = request_id
        super().__init__(f"{self.code}: {self.detail} {self.remedy}".strip())


class NoAnswer(Exception):
    """No answer of the API came, or none that can be read; a 504 of a proxy is none. What was asked may have been
    done, unless it is a READ.
    """


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float

    def __repr__(self) -> str:
        return "_Token(***)"


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

    def _keep(self, reply: httpx.Response) -> bool:
        """Whether the answer to a request for a token has one."""
        if not reply.is_success:
            return False
        found = _read(reply, _Token)
        self._token, self._ends_s = found.access_token, time.monotonic() + found.expires_in - _EARLY_S
        return True

    def _options(self, call: Call[Any], after: dict[str, str] | None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if call.content_type is not None:
            headers["Content-Type"] = call.content_type
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        timeout = httpx.Timeout(_ASKING_S, read=call.patience_s)
        return {"params": {**call.query, **(after or {})}, "headers": headers, "content": call.body, "timeout": timeout}

    def _wait_s(
        self, call: Call[Any], tries: int, outcome: httpx.Response | Exception, *, left: bool, renewed: bool | None
    ) -> float | None:
        """How long to wait before the next try; None: this is it. `left`: the call was sent, so that the outcome is of
        it and not of the request for a token; `renewed`: a token was fetched for it (None: there was one).
        """
        if tries >= TRIES:
            return None
        safe = call.repeatable or not left
        if isinstance(outcome, httpx.Response):
            if outcome.status_code == 401 and left and (tries == 1 or renewed is None):
                # The token was taken back, and nothing was done under it: a fresh one, unless somebody has it already.
                if outcome.request.headers["Authorization"] == f"Bearer {self._token}":
                    self._ends_s = 0.0
                return 0.0
            running = outcome.status_code == 409 and call.key is not None and b"request_in_progress" in outcome.content
            if not running and (outcome.status_code not in _AGAIN or not safe):
                return None
            if (told_s := _retry_after_s(outcome)) is not None:
                return min(told_s, _LONGEST_WAIT_S)
        elif not (safe or isinstance(outcome, _NEVER_LEFT)):
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
        self._http = httpx.Client(base_url=self._url, timeout=_ASKING_S, transport=transport)

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
            items, after = _page(pages, after, self._sent(pages.first, after))
            yield from items
            if after is None:
                return

    def _sent(self, call: Call[Any], after: dict[str, str] | None) -> httpx.Response:
        for tries in range(1, TRIES + 1):
            outcome: httpx.Response | Exception
            left = False
            renewed: bool | None = None
            try:
                if self._stale():
                    outcome = self._http.post("/oauth/token", data=self._form, auth=self._auth)
                    renewed = self._keep(outcome)
                if renewed is not False:
                    left = True
                    outcome = self._http.request(call.method, call.path, **self._options(call, after))
            except httpx.RequestError as error:
                outcome = error
            wait_s = self._wait_s(call, tries, outcome, left=left, renewed=renewed)
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
        self._http = httpx.AsyncClient(base_url=self._url, timeout=_ASKING_S, transport=transport)
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
            items, after = _page(pages, after, await self._sent(pages.first, after))
            for item in items:
                yield item
            if after is None:
                return

    async def _sent(self, call: Call[Any], after: dict[str, str] | None) -> httpx.Response:
        for tries in range(1, TRIES + 1):
            outcome: httpx.Response | Exception
            left = False
            renewed: bool | None = None
            try:
                async with self._renewing:
                    if self._stale():
                        outcome = await self._http.post("/oauth/token", data=self._form, auth=self._auth)
                        renewed = self._keep(outcome)
                if renewed is not False:
                    left = True
                    outcome = await self._http.request(call.method, call.path, **self._options(call, after))
            except httpx.RequestError as error:
                outcome = error
            wait_s = self._wait_s(call, tries, outcome, left=left, renewed=renewed)
            if wait_s is None:
                return _settled(outcome)
            await asyncio.sleep(wait_s)
        raise AssertionError("the last try settles it")


def _settled(outcome: httpx.Response | Exception) -> httpx.Response:
    if isinstance(outcome, Exception):
        raise NoAnswer(type(outcome).__name__) from outcome
    return outcome


def _retry_after_s(reply: httpx.Response) -> float | None:
    """`Retry-After`, in seconds or as a date; None where it says nothing of the time to come."""
    told = reply.headers.get("Retry-After", "")
    if told.isascii() and told.isdigit():
        return float(told)
    try:
        left_s = (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):  # no date, or one without an offset
        return None
    return left_s if left_s > 0.0 else None


def _page(
    pages: Pages[T], asked: dict[str, str] | None, reply: httpx.Response
) -> tuple[list[T], dict[str, str] | None]:
    """A page's items, and what the next one is asked for with; None: this was the last one. An empty page that leads on
    is not: many events of others may stand before the next of one's own.
    """
    found = _read(reply, dict)
    try:
        items = msgspec.convert(found[pages.items], list[pages.item])  # type: ignore[name-defined]
        cursor = found["next_cursor"]
    except (KeyError, msgspec.MsgspecError) as error:
        raise NoAnswer(f"a page that cannot be read: {error}") from None
    ended = not cursor or (not items and cursor == (asked or pages.first.query).get("cursor"))
    return items, None if ended else {"cursor": cursor}


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
    if reply.status_code >= 500 and "code" not in problem:
        raise NoAnswer(f"HTTP {reply.status_code} of what stands in front of the API")
    raise Refused(reply.status_code, problem, reply.headers.get("X-Request-Id"))
