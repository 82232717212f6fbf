"""Streams in which nobody is answered wrongly: how long the rules of the brake would hold them by mistake."""

from __future__ import annotations

import random

import pytest

from contracts.brake import RING, Level, Table, weigh
from gateway.services.brake.brake import FIRST_TRY_S, GOOD_ENOUGH
from gateway.worker.outage import BRAKE_CANARY_MAX_S, BRAKE_CANARY_S
from gateway.worker.runner import SLOWEST_S

ANSWERS = 100_000
ANSWER_S, PAUSE_S, LOOK_S = 0.05, 300.0, SLOWEST_S
"""Between two answers, two batches on average, and two rounds of the brake at most."""
CLUSTERED = {
    "known good": (Table.KNOWN, 0.005, 0.0, 0.0),
    "new, 5 %": (Table.USUAL, 0.05, 0.03, 0.30),
    "new, 12 %": (Table.USUAL, 0.12, 0.10, 0.35),
}
"""Mean rate of refusals; share of bad batches, and theirs."""


def held_s(stale: float, rolls: random.Random) -> float:
    """How long a hold stands that canaries end who are refused by right as seldom as `stale`."""
    at_s, wait_s, good = FIRST_TRY_S, BRAKE_CANARY_S, 0
    while True:
        good += rolls.random() >= stale
        if good == GOOD_ENOUGH:
            return at_s + LOOK_S
        at_s, wait_s = at_s + wait_s, min(2.0 * wait_s, BRAKE_CANARY_MAX_S)


@pytest.mark.parametrize("name", CLUSTERED)
def test_nobody_answered_wrongly_is_held_for_two_thousandths_of_the_time_at_most(name: str) -> None:
    table, mean, bad, bad_rate = CLUSTERED[name]
    rolls = random.Random(f"{name} 1")
    usual = (mean - bad * bad_rate) / (1.0 - bad)
    ring: list[bool] = []
    at_s = held = 0.0
    answers = 0
    while answers < ANSWERS:
        at_s += rolls.expovariate(1.0 / PAUSE_S)
        rate = bad_rate if rolls.random() < bad else rolls.betavariate(usual * 100.0, (1.0 - usual) * 100.0)
        for _ in range(min(5_000, int(rolls.lognormvariate(4.1, 1.2)) + 1)):
            at_s, answers = at_s + ANSWER_S, answers + 1
            ring = [*ring[1 - RING :], rolls.random() < rate]
            if ring[-1] and weigh(ring, table) is Level.HOLD:
                lasts_s = held_s(0.02, rolls)
                held, at_s, ring = held + lasts_s, at_s + lasts_s, []
    assert held <= 0.002 * at_s, f"{held / at_s:.4f} of the time"
    assert at_s > ANSWERS * ANSWER_S
