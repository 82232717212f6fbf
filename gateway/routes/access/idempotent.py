"""`Idempotency-Key`: the same request gets the same answer, another one under the same key is refused.

A handler does its work through `once`:

    return await once(request, core, lambda: core.linking.start(caller, data))

Where an answer must not be lost between the work and its storing, the work stores it in its transaction (`InWork`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType

from contracts.errors import Conflict, IdempotencyConflict, InvalidRequest
from gateway.core import Core
from gateway.security import personal, places
from gateway.storage.access import idempotency
from gateway.storage.base.database import Connection

T = TypeVar("T")

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,128}", re.ASCII)


async def once(
    request: Request[Any, Any, Any],
    core: Core,
    work: Callable[[], Awaitable[T]],
    *,
    status: int = 201,
    required: bool = True,
) -> Response[T]:
    """Run `work` unless this very request was answered before; then give that answer again.

    Where the key is not `required`, a request without one is simply run: its operation is idempotent by itself. A
    refusal (any exception) frees the key, as it changed nothing.
    """
    if not required and HEADER not in request.headers:
        return Response(await work(), status_code=status)
    key, client_id = key_of(request), request.auth.client_id
    resources = core.resources
    sha = hashlib.sha256(await request.body()).hexdigest()
    fingerprint = fingerprint_of(core, request, sha)
    async with resources.database.transaction() as connection:
        claim = await idempotency.claim(connection, client_id, key, fingerprint, resources.clock.now())
    if not claim.mine:
        return replay(core, client_id, key, claim, fingerprint)
    try:
        answer = msgspec.json.encode(await work())
    except Exception:
        async with resources.database.connection() as connection:
            await idempotency.free(connection, client_id, key)
        raise
    async with resources.database.connection() as connection:
        sealed = seal_answer(core, client_id, key, answer)
        await idempotency.keep(connection, client_id, key, fingerprint, status, sealed, resources.clock.now())
    return as_stored(answer, status)


def key_of(request: Request[Any, Any, Any]) -> str:
    """The request's key; raises `InvalidRequest` when it is missing or malformed."""
    key = request.headers.get(HEADER)
    if key is None:
        raise InvalidRequest(
            f"This operation needs the header {HEADER}.",
            field=HEADER,
            code="idempotency_key_missing",
            remedy="Send a key of your own, new for each new request and the same when you repeat one.",
        )
    if _KEY.fullmatch(key) is None:
        raise InvalidRequest(f"{HEADER} has 1 to 128 visible ASCII characters.", field=HEADER)
    now: datetime = request.app.state.core.resources.clock.now()
    personal.refuse(personal.without_time(key, now), HEADER)
    return key


def fingerprint_of(core: Core, request: Request[Any, Any, Any], body_sha256: str) -> bytes:
    """What tells one request from another: method, path, query and body; keyed, as a body holds personal data."""
    scope = request.scope
    target = f"{scope['method']} {scope['path']}?{scope['query_string'].decode('latin-1')}"
    return core.resources.vault.index(places.REQUEST_INDEX, f"{target}\n{body_sha256}")


def seal_answer(core: Core, client_id: str, key: str, answer: bytes) -> bytes:
    """The answer as it is stored: sealed, as it may hold a one-time address."""
    return core.resources.vault.seal(places.idempotency_answer(client_id, key), answer.decode())


def replay(core: Core, client_id: str, key: str, claim: idempotency.UnderKey, fingerprint: bytes) -> Response[Any]:
    """The stored answer; raises `IdempotencyConflict` for another request, `Conflict` while the first is running."""
    if claim.fingerprint != fingerprint:
        raise IdempotencyConflict
    if claim.status is None or claim.answer is None:
        raise Conflict(
            "The first request with this key is still running.",
            code="request_in_progress",
            remedy="Send the same request again in a few seconds.",
        )
    answer = core.resources.vault.open(places.idempotency_answer(client_id, key), claim.answer)
    response = as_stored(answer.encode(), claim.status)
    response.headers["Idempotent-Replayed"] = "true"
    return response


class AnsweredMeanwhile(Exception):
    """Another request has answered under the key: undo this one and give that answer."""


class InWork:
    """One request whose answer is stored in the transaction of its work, so that a crash keeps both or neither."""

    def __init__(self, request: Request[Any, Any, Any], core: Core) -> None:
        self._request = request
        self._core = core
        self._key = key_of(request)
        self._client_id: str = request.auth.client_id
        self.body_sha256 = ""
        """Set before anything else but `earlier` is called."""

    async def earlier(self) -> bool:
        """Whether the key has been used before."""
        async with self._core.resources.database.connection() as connection:
            return await idempotency.find(connection, self._client_id, self._key) is not None

    @property
    def key(self) -> str:
        """The request's key."""
        return self._key

    def fingerprint(self) -> bytes:
        """What tells the request from another one under its key."""
        return fingerprint_of(self._core, self._request, self.body_sha256)

    def seal(self, answer: bytes) -> bytes:
        """The answer as it is stored."""
        return seal_answer(self._core, self._client_id, self._key, answer)

    async def keep(self, connection: Connection, status: int, answer: msgspec.Struct, now: datetime) -> None:
        """Store the answer; raises `AnsweredMeanwhile`."""
        sealed = self.seal(msgspec.json.encode(answer))
        if not await idempotency.keep(connection, self._client_id, self._key, self.fingerprint(), status, sealed, now):
            raise AnsweredMeanwhile

    async def replayed(self, located: Callable[[Any], str]) -> Response[Any]:
        """The answer given under the key, with its `Location`, which the body says; raises `IdempotencyConflict` if
        that was another request.
        """
        async with self._core.resources.database.connection() as connection:
            claim = await idempotency.find(connection, self._client_id, self._key)
        if claim is None:
            raise Conflict("The request under this key has just expired.", code="request_in_progress")
        response = replay(self._core, self._client_id, self._key, claim, self.fingerprint())
        response.headers["Location"] = located(msgspec.json.decode(response.content))
        return response


def as_stored(answer: bytes, status: int) -> Response[Any]:
    """An answer that is encoded already."""
    return Response(answer, status_code=status, media_type=MediaType.JSON)
