"""The only HTTP to partners: one attempt a request, aware of effects, journalled. It never retries.

"Did the bytes leave?" is answered here and nowhere else: a plan whose WRITE left and that brought no outcome back ends
as `OutcomeUnknown`, whatever went wrong; one whose WRITE did not leave ends as `PartnerUnavailable`: nothing was done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol, TypeVar

import httpx
import msgspec

from contracts.errors import CallerError, OutcomeUnknown, PartnerProtocolError, PartnerUnavailable
from contracts.plan import Effect, Plan, Request, Response
from gateway.clock import Clock
from gateway.partners.quota import PIECE, NoTurn, Quotas, Turn
from gateway.partners.transport import LEFT, NEVER_SENT, Reply

T = TypeVar("T")
_TURNS = 20
"""So many turns may pass while this process is too slow to use them."""
Look = Callable[[], Awaitable[None]]
"""A last look before a WRITE; raises `HeldBack` where it must not leave."""


class HeldBack(PartnerUnavailable):
    """The WRITE was about to leave and must not: nothing left, and the partner has nothing to do with it."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the journal: no body, header or query."""

    at: datetime
    partner: str
    operation: str
    effect: str
    subject: str
    status: int | None
    error: str | None
    left_us: bool
    took_ms: int


class Journal(Protocol):
    """Where exchanges are written down."""

    def write(self, exchange: Exchange) -> None:
        """Keep it; never blocks, never raises."""


class Transport(Protocol):
    """One host's transport: `gateway.partners.transport.Sender`, or a mock application in process."""

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        """One attempt; raises `httpx.TransportError`, `NEVER_SENT` only where no byte left."""


class Executor:
    """Runs one partner's plans. Each request waits for its turn (`quotas`) right before it leaves; None: none waits."""

    def __init__(
        self, partner: str, hosts: Mapping[str, Transport], clock: Clock, journal: Journal, quotas: Quotas | None = None
    ) -> None:
        self._partner = partner
        self._quotas = quotas
        self._hosts = hosts
        self._clock = clock
        self._journal = journal

    async def run(
        self, plan: Plan[T], *, subject: str, frozen_hash: bytes | None = None, last_look: Look | None = None
    ) -> T:
        """The plan's outcome.

        `frozen_hash`: the stored hash of what a payout's WRITE must carry; a WRITE with other content is not sent.
        `last_look` is called when a WRITE is about to leave, and has its turn.
        Raises `PartnerUnavailable` or `PartnerProtocolError` when no WRITE left, `OutcomeUnknown` when one did.
        """
        wrote = False
        try:
            request = next(plan)
            while True:
                if wrote:
                    raise PartnerProtocolError("a plan's WRITE must be its last request")
                if request.effect is Effect.WRITE and frozen_hash is not None:
                    _check_frozen(request, frozen_hash)
                turn = await self._clear(request, last_look if request.effect is Effect.WRITE else None)
                try:
                    reply = await self._send(request, subject, turn)
                except NEVER_SENT as error:
                    raise PartnerUnavailable(type(error).__name__) from error
                except httpx.TransportError as error:
                    wrote = request.effect is Effect.WRITE
                    raise PartnerUnavailable(type(error).__name__) from error
                except BaseException:
                    wrote = request.effect is Effect.WRITE
                    raise
                wrote = request.effect is Effect.WRITE
                request = plan.send(
                    Response(status=reply.status, headers=self._dated(reply.headers), content=reply.content)
                )
        except StopIteration as stop:
            result: T = stop.value
            return result
        except (PartnerUnavailable, PartnerProtocolError) as error:
            if wrote:
                raise OutcomeUnknown(
                    str(error), hint=error.hint, partner_code=error.partner_code, retry_after_s=error.retry_after_s
                ) from error
            raise
        except Exception as error:
            # A bug of ours, in a plan or below: the WRITE may have left all the same.
            if wrote:
                raise OutcomeUnknown(_bug(error)) from error
            if isinstance(error, CallerError):
                raise
            raise PartnerProtocolError(_bug(error)) from error
        finally:
            plan.close()

    async def refused(self, operation: str, retry_after_s: float | None) -> float | None:
        """The partner refused a request because there were too many; returns the calls a second from now on."""
        return None if self._quotas is None else await self._quotas.of(operation).refused(retry_after_s)

    async def _clear(self, request: Request, last_look: Look | None) -> Turn | None:
        """Wait until this request may leave, now; returns its turn. Raises `HeldBack`."""
        for _ in range(_TURNS):
            turn = None
            if self._quotas is not None:
                try:
                    turn = await self._quotas.of(request.operation).turn(first=request.effect is Effect.WRITE)
                except NoTurn as error:
                    raise HeldBack(str(error)) from error
            try:
                if last_look is not None:
                    await last_look()
            except BaseException:
                if turn is not None:
                    turn.give_back()
                raise
            if turn is None or turn.good():
                piece = PIECE.get()
                if piece is not None:
                    piece.gone()
                return turn
            turn.give_back()
        raise HeldBack("this process is too slow to use its turns")

    def _dated(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """With a date, so that a plan can tell how far away a time in another header is (`Retry-After`)."""
        if "retry-after" not in headers or "date" in headers:
            return headers
        return {**headers, "date": format_datetime(self._clock.now().astimezone(UTC), usegmt=True)}

    async def _send(self, request: Request, subject: str, turn: Turn | None) -> Reply:
        at, began = self._clock.now(), self._clock.monotonic()
        status: int | None = None
        error: str | None = None
        left = True
        told = LEFT.set(None if turn is None else turn.gone)
        try:
            reply = await self._hosts[request.host].send(
                request.method,
                request.target,
                request.headers,
                request.content,
                request.timeout_s,
                request.max_response_bytes,
            )
            status = reply.status
            return reply
        except BaseException as problem:
            error = type(problem).__name__
            left = not isinstance(problem, NEVER_SENT)
            raise
        finally:
            LEFT.reset(told)
            self._journal.write(
                Exchange(
                    at=at,
                    partner=self._partner,
                    operation=request.operation,
                    effect=request.effect.value,
                    subject=subject,
                    status=status,
                    error=error,
                    left_us=left,
                    took_ms=round((self._clock.monotonic() - began) * 1000),
                )
            )


def _bug(error: Exception) -> str:
    """What may be told of an exception that is none of the documented ones: its kind, as its text may quote a person.
    What says "not written yet" quotes the code alone, and is what whoever writes an adapter looks for.
    """
    return f"not written yet: {error}" if isinstance(error, NotImplementedError) else type(error).__name__


def _check_frozen(request: Request, frozen_hash: bytes) -> None:
    frozen = request.content if request.frozen is None else request.frozen
    if hashlib.sha256(frozen).digest() != frozen_hash:
        raise PartnerProtocolError("the WRITE's body is not the one that was stored for this payout")
