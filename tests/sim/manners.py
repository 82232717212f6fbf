"""How the partners of one seed behave unlike their documents: clocks of their own, lists that move, late or have holes,
and words that contradict one another (decisions X12, X13, G8). Drawn beside everything else, so that each can be left
out.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from mock_partners.gopay.payouts import NOTIFY_PATH, Status, notice_signature
from mock_partners.gopay.payouts import Payout as Instruction
from mock_partners.kit.clock import Clock, Kind, Scheduler
from mock_partners.kit.payouts import Duplicate, Payout, Payouts, State
from mock_partners.kit.scenario.statements import statement
from mock_partners.kit.turn import CURRENT, Turn
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World

if TYPE_CHECKING:
    from tests.sim.chance import Chance
    from tests.sim.partners import PartnerSide

MOST_SKEW_S = 890.0
"""A partner's clock is nowhere further from ours (decisions X12: 900 s)."""
CLOCKS, PAGES, LATE, UNDER_YESTERDAY, DATELESS, CONTRADICTS, SPARSE = (
    "clocks of their own", "pages that move", "posted late", "posted under yesterday", "no times", "contradictions",
    "sixty days",
)  # fmt: skip
TRAITS = {
    CLOCKS: 0.35, PAGES: 0.4, LATE: 0.2, UNDER_YESTERDAY: 0.15, DATELESS: 0.1, CONTRADICTS: 0.25, SPARSE: 0.06
}  # fmt: skip
"""What the partners of a seed may be like, and how often they are; `SPARSE`: everything takes two months."""
BEHIND, BEHIND_HOURS = "look-ups behind", "look-ups hours behind"
BEHIND_OFTEN = 0.3
SETTLES_S = 120.0
"""What is pending is booked so long after, where look-ups are behind: a payment that they and the statement keep quiet
about for longer than absence takes is more than the decisions allow, and look-ups that see nothing settle nothing.
"""
BEHIND_S: dict[str, tuple[float, ...]] = {
    BEHIND: (3.0, 60.0, 600.0, 2_400.0), BEHIND_HOURS: (10_000.0, 33_000.0, 75_000.0)
}  # fmt: skip
"""So long after it a partner's look-ups do not know yet what the partner did. For less than absence takes not even its
own check for a repeated reference knows; behind by hours are look-ups alone.
"""
BUSY = 0.4
"""How often a partner like that pays and its answer is lost: copies are behind while there is much to do."""
FRESH = 0.2
"""How often a look-up is answered by a copy that is up to date, so that *found* comes before *not found*."""
HOLES_S = 20.0
"""For so long a list has holes, at each partner once: less than lies between the two readings that prove absence."""
THEN_S = (120.0, 1_200.0, 10_000.0, 60_000.0)
"""How long after its *failed* a partner that contradicts itself pays all the same."""
IRIS_CODES = {"018": 3, "005": 3, "007": 2, "012": 1, "025": 1}
"""Iris' codes of failures that were none; after some a new payout is made, which is then the second one."""
REPLACED_AFTER = frozenset({"018"})
BLOCKERS = {"012": "account_blocked", "025": "partner_rejected"}
"""What a failure of a code means for the incentive, and nothing lifts by itself."""


class DriftingClock(Clock):
    """A partner's own clock, which its bookings, days and lives go by; time stamps of ours it judges generously."""

    def __init__(self, now_s: Any) -> None:
        super().__init__(source=now_s)
        self._real = now_s
        self._skew_s = self._rate = self._since_s = 0.0

    def real_seconds(self) -> float:
        return float(self._real())

    def seconds(self) -> float:
        return super().seconds() + self.skew_s()

    def skew_s(self) -> float:
        """How far it is from ours now, within what decisions allow."""
        skew_s = self._skew_s + self._rate * (self.real_seconds() - self._since_s)
        return min(max(skew_s, -MOST_SKEW_S), MOST_SKEW_S)

    def jumps(self, skew_s: float, rate: float) -> None:
        """It is set, and runs on at another rate."""
        self._skew_s, self._rate, self._since_s = skew_s, rate, self.real_seconds()


class Manners:
    """Of all partners of one seed."""

    def __init__(self, chance: Chance) -> None:
        rng = chance.stream("manners")
        rough = chance.profile.events > 1  # calm seeds keep to the documents
        drawn = [name for name, often in TRAITS.items() if rng.random() < often and rough]
        self.traits = frozenset(name for name in drawn if chance.happens(f"partners: {name}"))
        late = chance.stream("look-ups")
        behind = late.choices([BEHIND, BEHIND_HOURS], [3, 2])[0] if late.random() < BEHIND_OFTEN and rough else None
        if behind is not None and chance.happens(f"partners: {behind}"):
            self.traits |= {behind}
        self.chance = chance
        self.rng = rng
        self.contradicted: dict[str, bool] = {}
        """References that a partner called failed and paid all the same: whether a second payout may have been made."""
        self.refused: dict[str, str] = {}
        """By reference, the blocker that a failure of Iris' leaves."""

    def __contains__(self, trait: str) -> bool:
        return trait in self.traits

    def clock(self, now_s: Any) -> DriftingClock:
        """One for each partner; with `CLOCKS` wrong by minutes, and going wrong by up to a second a minute."""
        clock, skew_s = DriftingClock(now_s), self.rng.uniform(-MOST_SKEW_S, MOST_SKEW_S)
        rate = self.rng.uniform(-0.015, 0.015)
        if CLOCKS in self:
            clock.jumps(skew_s, rate)
        return clock

    def behind(self, slug: str) -> Behind:
        """How far behind one partner's look-ups are."""
        rng = self.chance.stream(f"look-ups of {slug}")
        traits = [trait for trait in BEHIND_S if trait in self]
        return Behind(self.chance, rng, rng.choice(BEHIND_S[traits[0]]) if traits else 0.0, BEHIND in self)

    def of_list(self, side: PartnerSide) -> dict[str, Any]:
        """What the mock makes of a day's bookings in the call under way."""
        do: dict[str, Any] = {}
        if LATE in self:
            do["late_rows_s"] = 1_500.0  # less than absence takes
        if UNDER_YESTERDAY in self and CLOCKS not in self:  # both together are more than the decisions allow
            do["post_under_yesterday_s"] = 890.0
        if side.clock.real_seconds() < side.holes_until_s:
            do["omit_rows"] = 1 + side.holes_n
        return do

    def effects(self, side: PartnerSide, reference: str | None) -> Mapping[str, Any]:
        """All that the call under way meets; `reference`: of the payout that it moves money for."""
        found: dict[str, Any] = {"page_rows": 2} if PAGES in self else {}
        change = statement(self.of_list(side), side.clock.now(), side.world.seed)
        if change is not None:
            found["statement"] = change
        if reference is not None and CONTRADICTS in self and not self.chance.over:
            found |= self._contradiction(side, reference)
        return found

    def _contradiction(self, side: PartnerSide, reference: str) -> dict[str, Any]:
        fault = self.chance.fault(f"contradicts {side.slug}", 0.2, {"failed, then paid": 3, "failed": 1})
        if fault is None:
            return {}
        kind, rng = fault
        paid = kind == "failed, then paid"
        if side.slug == "gopay":
            code = rng.choices(list(IRIS_CODES), weights=list(IRIS_CODES.values()))[0]
            if paid:
                self.contradicted[reference] = code in REPLACED_AFTER
            if code in BLOCKERS:
                self.refused[reference] = BLOCKERS[code]
            return {"fail_code": code} | ({"then_completes_s": rng.choice(THEN_S)} if paid else {})
        if paid:
            self.contradicted[reference] = True
            side.then_pays[reference] = rng.choice(THEN_S)
        return {"fail": True, "pending_lookups": 1}


class Behind:
    """Look-ups that are answered from copies of the partner's books."""

    def __init__(self, chance: Chance, rng: random.Random, by_s: float, duplicates: bool) -> None:
        self._chance, self._rng, self._by_s = chance, rng, by_s
        self._duplicates = duplicates

    @property
    def busy(self) -> float:
        """How often an answer to a payment is lost."""
        return BUSY if self._by_s else 0.0

    def looks_s(self) -> float:
        """How old what the look-up under way sees is."""
        if self._by_s == 0.0 or self._chance.over:
            return 0.0
        return 0.0 if self._rng.random() < FRESH else self._by_s

    def duplicates_s(self) -> float:
        """How old what a repeated reference is compared with is."""
        return self._by_s if self._duplicates and not self._chance.over else 0.0


class in_turn:  # noqa: N801 - a context, used as one
    """Let the mock answer a call under some effects."""

    def __init__(self, effects: Mapping[str, Any]) -> None:
        self._turn = Turn()
        self._turn.effects = effects

    def __enter__(self) -> Turn:
        self._token = CURRENT.set(self._turn)
        return self._turn

    def __exit__(self, *_: object) -> None:
        CURRENT.reset(self._token)


class OddPayouts(Payouts):
    """A polled partner's desk that may forget at 00:00 Jakarta which references it has booked, but for look-ups (such
    exist), whose look-ups may be behind, and that may pay what it called failed.
    """

    def __init__(
        self,
        world: World,
        clock: DriftingClock,
        scheduler: Scheduler,
        waits: Waits,
        *,
        forgets: bool,
        then: dict[str, float],
        behind: Behind,
    ) -> None:
        super().__init__(world, clock, scheduler, waits)
        self._forgets, self._then, self._behind = forgets, then, behind
        self._real = clock
        self._been: dict[str, list[tuple[float, State]]] = {}
        """Since when each payout has been in which state."""

    def duplicate(self, reference: str, parameters: tuple[Any, ...]) -> Duplicate:
        known = self._payouts.get(reference)
        if self._forgets and known is not None and known.accepted_at.date() != self._clock.today():
            return Duplicate.NEW
        if known is not None and self._was(known, self._behind.duplicates_s()) is None:
            return Duplicate.NEW
        return super().duplicate(reference, parameters)

    async def accept(self, reference: str, *given: Any, **named: Any) -> Any:
        answer = await super().accept(reference, *given, **named)
        payout = self._payouts.get(reference)
        self._note(payout)
        if payout is not None and self._behind.busy:
            self._scheduler.after(SETTLES_S, Kind.SCHEDULED, lambda: self._settle(payout))
        return answer

    def look_up(self, reference: str) -> Payout | None:
        payout = super().look_up(reference)
        state = None if payout is None else self._was(payout, self._behind.looks_s())
        return None if payout is None or state is None else replace(payout, state=state)

    def _note(self, payout: Payout | None) -> None:
        if payout is not None:
            been = self._been.setdefault(payout.reference, [])
            if not been or been[-1][1] is not payout.state:
                been.append((self._real.real_seconds(), payout.state))

    def _was(self, payout: Payout, behind_s: float) -> State | None:
        """Its state so long ago; None: it was none."""
        until_s, been = self._real.real_seconds() - behind_s, reversed(self._been.get(payout.reference, []))
        state = next((state for at_s, state in been if at_s <= until_s), None) if behind_s else payout.state
        return None if state is State.VOID else state

    def _settle(self, payout: Payout) -> None:
        super()._settle(payout)
        self._note(payout)
        then_s = self._then.pop(payout.reference, None) if payout.state is State.FAILED else None
        if then_s is not None:
            self._scheduler.after(then_s, Kind.SCHEDULED, lambda: self._pay_after_all(payout))

    def _reverse(self, payout: Payout) -> None:
        super()._reverse(payout)
        self._note(payout)

    def _pay_after_all(self, payout: Payout) -> None:
        if payout.state is State.FAILED and self._world.withdraw(payout.amount_rupiah):
            self._book(payout)
            self._note(payout)


def instruction_as_it_was(payout: Instruction | None, body: bytes, now: datetime, behind_s: float) -> bytes | None:
    """What a copy so far behind says of an instruction at Iris, where that is less; None: nothing."""
    since = now - timedelta(seconds=behind_s)
    if payout is None or payout.created_at > since:
        return None
    if payout.approved_at is None or payout.approved_at <= since:
        return body
    said = msgspec.json.decode(body)
    return msgspec.json.encode({**said, "status": Status.QUEUED.value, "updated_at": said["created_at"]})


def without_times(body: bytes) -> bytes:
    """Iris' words without the time at which they hold."""
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    if not isinstance(said, dict) or "updated_at" not in said:
        return body
    return msgspec.json.encode({name: value for name, value in said.items() if name != "updated_at"})


def signed_anew(path: str, body: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers of a notification whose body was changed by the partner itself."""
    return {**headers, "Iris-Signature": notice_signature(body)} if path == NOTIFY_PATH else headers


def drawn_skew(rng: random.Random) -> tuple[float, float]:
    """Where a clock jumps to, and how it goes on."""
    return rng.choice([0.0, -MOST_SKEW_S, MOST_SKEW_S, rng.uniform(-600, 600)]), rng.uniform(-0.015, 0.015)
