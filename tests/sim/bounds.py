"""How long a seed may take, and the time that nobody needs to live through."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

from gateway.clock import start_of_jakarta_day
from tests.sim import brake, rules
from tests.sim.booked import credits_of
from tests.sim.crowd import STALE_S
from tests.sim.manners import SPARSE

if TYPE_CHECKING:
    from tests.sim.snapshot import Incentive
    from tests.sim.town import Town

FAULTS_UNTIL = 1_400
"""After so many events the faults are over, whatever is still planned."""
FAULTY_DAYS, DAYS, SPARSE_DAYS, CROWD_DAYS = 5, 14, (70, 160), (45, 45)
"""Virtual days that a run may take, its faults and all of it; one of two months; and one of a crowd, whose last looks
come a month later. What is slept through does not count.
"""
EVENTS, EVENTS_A_DAY, EVENTS_A_PERSON = 4_000, 60, 400
"""A run may have so many events, and so many more for each day of it and for each of its people: what comes by itself
(statements, looks, tries) comes daily, and to everyone.
"""


def days(town: Town) -> tuple[int, int]:
    """How many days the faults may last, and the run."""
    if town.crowd is not None:
        more = STALE_S // 86_400 if town.crowd.stale else 0
        return CROWD_DAYS[0] + int(more), CROWD_DAYS[1] + int(more)
    return SPARSE_DAYS if SPARSE in town.manners else (FAULTY_DAYS, DAYS)


def most_events(town: Town, lived_s: float) -> int:
    """How many events a run may have had by now: a run that goes round in circles has more."""
    return int(EVENTS + EVENTS_A_PERSON * len(town.people) + EVENTS_A_DAY * lived_s / 86_400)


def sleep_till_due(town: Town) -> float:
    """Where nothing but due dates, looks and the partners' own later work is waited for, the time until the first of
    them passes at once; how much of it.
    """
    state, net = town.state, credits_of(town)
    if brake.restless(town) or any(batch.state == "awaiting_approval" for batch in state.batches):
        return 0.0  # a look, a hold or somebody's decision is due before
    waiting = {incentive.id: incentive for incentive in rules.restless(town)}
    found = [_wakes_s(town, incentive, net) for incentive in waiting.values()]
    found += [side.scheduler.next_due_s() for side in town.sides.values()]
    found += [one.next_s for one in state.notes] + [one.next_s for one in state.checks]
    found += [payout.next_s for payout in state.payouts if payout.incentive in waiting]
    slept_s = min((at_s for at_s in found if at_s is not None), default=town.now_s) - town.now_s
    if slept_s <= 0.0:
        return 0.0
    town.pass_s(slept_s)
    town.trace("everyone sleeps until the next incentive or look is due, or a partner does something")
    return slept_s


def _wakes_s(town: Town, incentive: Incentive, net: Counter[int]) -> float | None:
    """When something will happen to an incentive that waits for nothing else; now, where it waits for more."""
    if incentive.stage != "scheduled":
        return town.now_s
    if incentive.blocker is None:
        return start_of_jakarta_day(date.fromisoformat(incentive.due_on)).timestamp()
    looked_at = incentive.own in rules.LOOKED_AT and incentive.own == incentive.blocker and incentive.payout is None
    if not looked_at or rules.shown_later(town, incentive, net):
        return town.now_s
    return incentive.own_next_s
