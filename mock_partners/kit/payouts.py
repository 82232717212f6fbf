"""Payouts of partners that are polled, or tell of each end: duplicates, scripts, look-ups, settlement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto
from typing import Any

from mock_partners.kit.behaviour import NOT_FOUND_LOOKUPS, PENDING_LOOKUPS, SLOW_S, Behaviour
from mock_partners.kit.clock import Clock, Kind, Scheduler
from mock_partners.kit.turn import effect, effects
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, Booking, World

NEVER = 1 << 30
"""More look-ups than anyone makes."""
PENDING_ATOMS = frozenset({"pending_lookups", "pending_s", "settle_after_s"})
"""A scenario's ways of leaving a payout pending."""


class State(StrEnum):
    """`VOID`: the time-out was answered and nothing is booked under that attempt, ever."""

    PENDING = auto()
    BOOKED = auto()
    FAILED = auto()
    REVERSED = auto()
    VOID = auto()


class Duplicate(StrEnum):
    """What a repeated reference means (decisions X7)."""

    NEW = auto()
    BOOKED = auto()
    PENDING = auto()
    DIFFERENT = auto()


class Answer(StrEnum):
    """What the mock has to say to a payout that it took: done, pending, its time-out error, or nothing (`Abort`)."""

    DONE = auto()
    PENDING = auto()
    TIMEOUT = auto()
    LOST = auto()


@dataclass(repr=False)
class Payout:
    """One payout as the partner remembers it, under the gateway's reference. `details` is the partner's own."""

    reference: str
    partner_reference: str
    account: Account
    amount_rupiah: int
    parameters: tuple[Any, ...]
    details: Any
    behaviour: Behaviour
    state: State
    accepted_at: datetime
    lookups: int = 0
    credit: Booking | None = None
    hidden_lookups: int = 0
    pending_lookups: int = 0
    pending_s: float = 0.0
    reverse_after_s: float | None = None


class Payouts:
    """The payout desk of one partner; keep it in the world, so that it outlives a restarted app."""

    def __init__(self, world: World, clock: Clock, scheduler: Scheduler, waits: Waits) -> None:
        self._world, self._clock, self._scheduler, self._waits = world, clock, scheduler, waits
        self.on_end: Callable[[Payout], None] = lambda payout: None
        """Hears of each payout as it is booked, fails or is given back, whatever the caller hears: what a partner that
        notifies sets, in each app that goes on with the desk.
        """
        self._payouts: dict[str, Payout] = {}
        self._pending: set[str] = set()

    def unsettled(self) -> int:
        """Payouts that said pending and are neither booked nor failed yet."""
        return len(self._pending)

    def get(self, reference: str) -> Payout | None:
        """The payout without counting as a look-up, for statements."""
        return self._payouts.get(reference)

    def duplicate(self, reference: str, parameters: tuple[Any, ...]) -> Duplicate:
        """Judges a reference before it is accepted: failed or never booked is new (decisions X7)."""
        known = self._payouts.get(reference)
        if known is None or known.state in (State.FAILED, State.VOID):
            return Duplicate.NEW
        if known.parameters != parameters:
            return Duplicate.DIFFERENT
        return Duplicate.PENDING if known.state is State.PENDING else Duplicate.BOOKED

    async def accept(
        self, reference: str, account: Account, amount_rupiah: int, *, parameters: tuple[Any, ...],
        partner_reference: str, details: Any = None,
    ) -> Answer | None:  # fmt: skip
        """Takes a new payout and does what the account's behaviour says; None if the deposit is short."""
        known = self._payouts.get(reference)
        retried = known is not None and known.state is State.VOID
        if not self._world.withdraw(amount_rupiah):
            return None
        script = Behaviour.NONE if retried else pay_behaviour(account, reference)
        now = self._clock.now()
        payout = Payout(
            reference, partner_reference, account, amount_rupiah, parameters, details, script, State.PENDING, now
        )
        self._payouts[reference] = payout
        self._plan(payout)
        match script:
            case Behaviour.TIMEOUT_NO_CREDIT:
                self._world.refund(amount_rupiah)
                payout.state = State.VOID
                return Answer.TIMEOUT
            case Behaviour.PENDING_THEN_SUCCESS | Behaviour.PENDING_THEN_FAILED:
                self._pending.add(reference)
                if (settle_after_s := effect("settle_after_s")) is not None:
                    self._scheduler.after(settle_after_s, Kind.SCHEDULED, lambda: self._settle(payout))
                return Answer.PENDING
        self._book(payout)
        match script:
            case Behaviour.LOST_ANSWER:
                return Answer.LOST
            case Behaviour.FALSE_NOT_FOUND:
                return Answer.TIMEOUT
            case Behaviour.SLOW:
                await self._scheduler.sleep(SLOW_S)
        return Answer.DONE

    def _plan(self, payout: Payout) -> None:
        """How the payout goes on: by its behaviour's fixed numbers, or by a scenario's."""
        script, staged = payout.behaviour, effects()
        payout.pending_lookups, payout.pending_s = PENDING_LOOKUPS, self._waits.settlement_s
        payout.hidden_lookups = NOT_FOUND_LOOKUPS if script is Behaviour.FALSE_NOT_FOUND else 0
        payout.reverse_after_s = self._waits.reversal_s if script is Behaviour.REVERSED_LATER else None
        if not staged:
            return
        if "fail" in staged or PENDING_ATOMS & staged.keys():
            by_itself = "settle_after_s" in staged and not {"pending_lookups", "pending_s"} & staged.keys()
            payout.pending_lookups = NEVER if by_itself else staged.get("pending_lookups", 0)
            payout.pending_s = staged.get("pending_s", 0.0)
        payout.hidden_lookups = staged.get("not_found_lookups", payout.hidden_lookups)
        payout.reverse_after_s = staged.get("reverse_after_s", payout.reverse_after_s)

    def look_up(self, reference: str) -> Payout | None:
        """What a status call sees, and counts: None for unknown, void, or still hidden by `false_not_found`.

        A pending payout settles at a look-up: after two that said pending, and `settlement_s` after its acceptance.
        """
        payout = self._payouts.get(reference)
        if payout is None or payout.state is State.VOID:
            return None
        payout.lookups += 1
        if payout.lookups <= payout.hidden_lookups:
            return None
        age_s = (self._clock.now() - payout.accepted_at).total_seconds()
        if payout.lookups > payout.hidden_lookups + payout.pending_lookups and age_s >= payout.pending_s:
            self._settle(payout)
        return payout

    def forget(self, references: list[str] | None = None) -> None:
        """Loses the memory of some payouts, or of all, as a scenario can want it; the books stay (decisions X7)."""
        for name in references or list(self._payouts):
            self._payouts.pop(name, None)
            self._pending.discard(name)

    def _settle(self, payout: Payout) -> None:
        if payout.state is not State.PENDING:
            return
        self._pending.discard(payout.reference)
        if payout.behaviour is Behaviour.PENDING_THEN_FAILED:
            self._world.refund(payout.amount_rupiah)
            payout.state = State.FAILED
            self.on_end(payout)
        else:
            self._book(payout)

    def _book(self, payout: Payout) -> None:
        payout.credit = self._world.credit(
            payout.account, payout.amount_rupiah, reference=payout.reference,
            partner_reference=payout.partner_reference, at=self._clock.now(),
        )  # fmt: skip
        payout.state = State.BOOKED
        self.on_end(payout)
        if payout.reverse_after_s is not None:
            self._scheduler.after(payout.reverse_after_s, Kind.SCHEDULED, lambda: self._reverse(payout))

    def _reverse(self, payout: Payout) -> None:
        assert payout.credit is not None
        self._world.reverse(payout.account, payout.credit, self._clock.now())
        payout.state = State.REVERSED
        self.on_end(payout)


def pay_behaviour(account: Account, reference: str) -> Behaviour:
    """The script for this payout WRITE, to be asked only for one that the mock accepts.

    A `pay:` behaviour belongs to the account's first accepted payout and to resends of its reference. A scenario's
    word for this call comes before it.
    """
    staged = _staged_payout()
    if staged is not None:
        return staged
    if not account.behaviour.startswith("pay:"):
        return Behaviour.NONE
    if account.scripted_reference is None:
        account.scripted_reference = reference
    return account.behaviour if account.scripted_reference == reference else Behaviour.NONE


def _staged_payout() -> Behaviour | None:
    """What a scenario wants of the payout call in progress, in the nearest word that every partner knows."""
    staged = effects()
    if not staged:
        return None
    if "behave" in staged:
        return Behaviour(staged["behave"])
    if "fail" in staged:
        return Behaviour.PENDING_THEN_FAILED
    if PENDING_ATOMS & staged.keys():
        return Behaviour.PENDING_THEN_SUCCESS
    if staged.get("not_found_lookups"):
        return Behaviour.FALSE_NOT_FOUND
    return Behaviour.REVERSED_LATER if "reverse_after_s" in staged else None
