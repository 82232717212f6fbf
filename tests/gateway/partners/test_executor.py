"""Did the WRITE leave? The executor alone answers it, whatever a plan or the way to the partner does."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from contracts.errors import InvalidRequest, OutcomeUnknown, PartnerProtocolError, PartnerUnavailable
from contracts.plan import Effect, Plan, Request
from gateway.partners.executor import Exchange, Executor
from gateway.partners.transport import LEFT, Reply
from tests.gateway.payouts.fake import VirtualClock

FROZEN = hashlib.sha256(b"body").digest()


def request(effect: Effect, content: bytes = b"body", frozen: bytes | None = None) -> Request:
    return Request(
        operation="payout.transfer", effect=effect, host="api", method="POST", target="/transfer?account=1", headers={},
        content=content, timeout_s=1.0, frozen=frozen,
    )  # fmt: skip


class Far:
    """The way to the partner: `ends` says what becomes of each request in turn, an exception or an answer."""

    def __init__(self, *ends: BaseException | None) -> None:
        self.ends = list(ends)
        self.sent: list[bytes] = []
        self.journal: list[Exchange] = []

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, timeout_s: float, limit_bytes: int
    ) -> Reply:
        self.sent.append(content)
        if (left := LEFT.get()) is not None:
            left()
        end = self.ends.pop(0) if self.ends else None
        if end is not None:
            raise end
        return Reply(200, {}, b"{}")

    def write(self, exchange: Exchange) -> None:
        self.journal.append(exchange)

    async def run(self, plan: Plan[str], frozen_hash: bytes | None = None) -> str:
        clock = VirtualClock(datetime(2026, 1, 15, tzinfo=UTC))
        return await Executor("fake", {"api": self}, clock, self).run(plan, subject="1", frozen_hash=frozen_hash)


def asks(*effects: Effect, ends: Callable[[], str] = lambda: "done") -> Plan[str]:
    """A plan of these requests."""
    for effect in effects:
        yield request(effect)
    return ends()


def fails(error: Exception) -> Callable[[], str]:
    def end() -> str:
        raise error

    return end


class Turns:
    """A quota whose first turns come too late to be used."""

    def __init__(self, late: int) -> None:
        self.late, self.given, self.returned, self.used = late, 0, 0, 0

    def of(self, operation: str) -> Turns:
        assert operation == "payout.transfer"
        return self

    async def turn(self, *, first: bool) -> Turns:
        self.given += 1
        return self

    def good(self) -> bool:
        return self.given > self.late

    def give_back(self) -> None:
        self.returned += 1

    def gone(self) -> None:
        self.used += 1


@pytest.mark.parametrize(("late", "leaves"), [(0, True), (2, True), (10**6, False)])
async def test_a_write_leaves_on_a_turn_that_is_still_good_after_the_last_look(late: int, leaves: bool) -> None:
    far, turns, looks = Far(), Turns(late), 0

    async def look() -> None:
        nonlocal looks
        looks += 1

    clock = VirtualClock(datetime(2026, 1, 15, tzinfo=UTC))
    executor = Executor("fake", {"api": far}, clock, far, turns)  # type: ignore[arg-type]
    plan = executor.run(asks(W), subject="1", last_look=look)
    if leaves:
        assert await plan == "done"
        assert (len(far.sent), looks, turns.returned, turns.used) == (1, late + 1, late, 1)
        assert await executor.run(asks(W), subject="2") == "done" and turns.used == 2
        assert LEFT.get() is None, "what this task sends elsewhere is no use of the turn"
    else:
        with pytest.raises(PartnerUnavailable):
            await plan
        assert (far.sent, far.journal) == ([], [])
        assert (turns.returned, turns.used) == (turns.given, 0)


BUG = ZeroDivisionError("a bug of ours")
LOST = httpx.ReadTimeout("lost")
NOT_SENT = httpx.ConnectError("refused")
UNREADABLE = PartnerProtocolError("unreadable")
OUR_FAULT = InvalidRequest("too much")
R, W = Effect.READ, Effect.WRITE


@pytest.mark.parametrize(
    ("effects", "ends", "end", "wanted"),
    [
        ((R, W), (None, LOST), None, OutcomeUnknown),
        ((R, W), (None, httpx.ReadError("reset")), None, OutcomeUnknown),
        ((R, W), (None, BUG), None, OutcomeUnknown),
        ((R, W), (), UNREADABLE, OutcomeUnknown),
        ((R, W), (), PartnerUnavailable("503"), OutcomeUnknown),
        ((R, W), (), BUG, OutcomeUnknown),
        ((R, W), (), OUR_FAULT, OutcomeUnknown),
        ((R, W), (None, asyncio.CancelledError()), None, asyncio.CancelledError),
        ((R, W), (None, NOT_SENT), None, PartnerUnavailable),
        ((R, W), (LOST,), None, PartnerUnavailable),
        ((R,), (), UNREADABLE, PartnerProtocolError),
        ((R,), (), BUG, PartnerProtocolError),
        ((R,), (), OUR_FAULT, InvalidRequest),
    ],
)
async def test_a_write_that_left_is_unknown_whatever_happened_then(
    effects: tuple[Effect, ...], ends: tuple[Any, ...], end: Exception | None, wanted: type[BaseException]
) -> None:
    far = Far(*ends)
    with pytest.raises(wanted) as raised:
        await far.run(asks(*effects, ends=fails(end)) if end else asks(*effects))
    assert type(raised.value) is wanted


@pytest.mark.parametrize("effects", [(R,), (R, W)])
async def test_of_a_bug_its_kind_is_told_and_of_what_is_not_written_its_words(effects: tuple[Effect, ...]) -> None:
    """Any other exception's text may quote a person."""
    for error, told in (
        (ValueError("3171010101909901"), "ValueError"),
        (NotImplementedError("x"), "not written yet: x"),
    ):
        with pytest.raises((PartnerProtocolError, OutcomeUnknown)) as raised:
            await Far().run(asks(*effects, ends=fails(error)))
        assert str(raised.value) == told


async def test_nothing_follows_a_write() -> None:
    for after in (R, W):
        far = Far()
        with pytest.raises(OutcomeUnknown):
            await far.run(asks(R, W, after))
        assert len(far.sent) == 2, "the request after the WRITE never leaves"


async def test_a_write_with_another_body_than_the_stored_one_never_leaves() -> None:
    def plan(content: bytes, frozen: bytes | None = None) -> Plan[str]:
        yield request(R, b"anything")
        yield request(W, content, frozen)
        return "done"

    far = Far()
    with pytest.raises(PartnerProtocolError):
        await far.run(plan(b"other"), FROZEN)
    assert far.sent == [b"anything"]
    assert await Far().run(plan(b"body"), FROZEN) == "done"
    assert await Far().run(plan(b"body and session", b"body"), FROZEN) == "done"
    assert await Far().run(plan(b"other")) == "done"


async def test_the_journal_says_what_left_and_nothing_of_what_it_said() -> None:
    far = Far(None, NOT_SENT)
    with pytest.raises(PartnerUnavailable):
        await far.run(asks(R, W))
    assert [(one.effect, one.status, one.error, one.left_us) for one in far.journal] == [
        ("read", 200, None, True),
        ("write", None, "ConnectError", False),
    ]
    assert "account" not in repr(far.journal) and "body" not in repr(far.journal)
