"""The rules about a crowd of equal answers can be broken: each of them, by a store that nothing produced."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.clock import JAKARTA
from tests.sim import brake
from tests.sim.crowd import VERIFY, WRITE, drawn
from tests.sim.snapshot import Case, Held, Incentive, Link, Participant, Refusal, Snapshot

BEGAN_S, LENGTH_S = 1_000.0, 300.0
OVER_S = BEGAN_S + LENGTH_S


def town(
    now_s: float, *, clean: bool = False, ours: bool = False, token: bool = False, stage: str = VERIFY, **rows: Any
) -> Any:
    """A town in which BNI was wrong for five minutes, with these rows in its store; one participant, who is good."""
    crowd = drawn(1)
    crowd.partner, crowd.stage, crowd.clean, crowd.ours, crowd.around = "bni", stage, clean, ours, None
    crowd.token = token
    crowd.begun_s, crowd.length_s = BEGAN_S, LENGTH_S
    person = Participant(1, "P000", "bni", "L1", True, False, None, "nik_mismatch", "x")
    return SimpleNamespace(
        crowd=crowd,
        now_s=now_s,
        sides={"bni": SimpleNamespace(down_until_s=0.0)},
        resumed_s={},
        waits_s={"bni": BEGAN_S},
        local=lambda: datetime.fromtimestamp(now_s, JAKARTA),
        people=[SimpleNamespace(participant_id="P000", case="ok")],
        state=Snapshot(**{"participants": [person], **rows}),
    )


def hold(
    released_s: float | None = None, *, partner: str = "bni", stage: str = "verify", since_s: float = 1_100.0
) -> Held:
    return Held(1, partner, stage, "brake", since_s, None, released_s, None)


def waiting(blocker: str | None = None) -> Incentive:
    """Due, and nothing stands in its way but what is said."""
    return Incentive(
        1, 1, "bni", 600_000, "1970-01-01", "1970-02-01", True, False, False, True, True, blocker, None, None, 0,
        "scheduled", blocker, "P000",
    )  # fmt: skip


def refusal(
    asked_again_s: float | None = None, next_look_s: float | None = None, *, said_s: float = 1_050.0
) -> Refusal:
    return Refusal(1, "bni", "verify", 1, "nik_mismatch", said_s, asked_again_s, next_look_s)


@pytest.mark.parametrize(("stage", "minutes"), [("link", 480), ("verify", 7), ("payout", 12)])
def test_a_hold_ends_within_minutes_of_its_cause(stage: str, minutes: int) -> None:
    last_s, rows = OVER_S + 60.0 * minutes, {"incentives": [waiting()]}
    assert list(brake.broken(town(last_s, holds=[hold(stage=stage)], **rows))) == []
    assert len(list(brake.broken(town(last_s + 1.0, holds=[hold(stage=stage)], **rows)))) == 1
    assert list(brake.broken(town(last_s + 1.0, holds=[hold(OVER_S, stage=stage)], **rows))) == []


def test_where_nobody_is_left_to_be_paid_a_hold_of_payments_may_stand() -> None:
    refused = {"incentives": [waiting("account_not_found")], "holds": [hold(stage="payout")]}
    much_later = town(OVER_S + 80_000.0, **refused)
    assert list(brake.broken(much_later)) == []
    much_later.state.incentives.append(waiting())
    assert list(brake.broken(much_later)) == [], "somebody comes only now"
    much_later.now_s += 60.0 * 12 + 1.0
    assert len(list(brake.broken(much_later))) == 1


def test_our_own_limit_is_no_crowd_of_people_and_its_hold_ends_too() -> None:
    held = Held(1, "bni", "payout", "ours", 1_100.0, None, None, None)
    last_s, rows = OVER_S + 60.0 * 12 + brake.OURS_S, {"incentives": [waiting()]}
    assert list(brake.broken(town(last_s, ours=True, stage=WRITE, holds=[held], **rows))) == []
    assert len(list(brake.broken(town(last_s + 1.0, ours=True, stage=WRITE, holds=[held], **rows)))) == 1
    blamed = {"holds": [hold(stage="payout")], "refusals": [Refusal(1, "bni", "payout", 1, "x", 1_050.0, None, None)]}
    assert len(list(brake.broken(town(OVER_S, ours=True, stage=WRITE, **blamed)))) == 2
    assert list(brake.broken(town(OVER_S, stage=WRITE, **blamed))) == []


def test_our_own_token_refused_at_a_check_blames_nobody() -> None:
    blamed: dict[str, Any] = {"holds": [hold()], "refusals": [refusal()]}
    assert len(list(brake.broken(town(OVER_S, token=True, **blamed)))) == 2
    assert list(brake.broken(town(OVER_S, **blamed))) == []
    held = Held(1, "bni", "verify", "ours", 1_100.0, None, None, None)
    last_s = OVER_S + 60.0 * 7 + brake.OURS_S
    assert list(brake.broken(town(last_s, token=True, holds=[held]))) == []
    assert len(list(brake.broken(town(last_s + 1.0, token=True, holds=[held])))) == 1


def test_another_partner_is_not_held_for_it() -> None:
    assert len(list(brake.broken(town(OVER_S, holds=[hold(partner="ovo")])))) == 1


def test_nothing_is_held_or_told_where_nobody_was_answered_wrongly() -> None:
    told = Case(1, "partner_unavailable", "bni", None, True, "brake at verify")
    assert len(list(brake.broken(town(OVER_S, clean=True, holds=[hold(OVER_S)], cases=[told])))) == 2
    doubt = Case(1, "outcome_unknown", "bni", 1, True, "a process died")
    assert list(brake.broken(town(OVER_S, clean=True, cases=[doubt]))) == []


def test_whoever_was_in_the_run_is_asked_again() -> None:
    held = [hold(OVER_S)]
    assert len(list(brake.verdict(town(OVER_S, holds=held, refusals=[refusal()])))) == 1
    assert list(brake.verdict(town(OVER_S, holds=held, refusals=[refusal(asked_again_s=OVER_S)]))) == []
    long_before = refusal(said_s=1_100.0 - brake.RUN_S - 1.0)
    assert list(brake.verdict(town(OVER_S, holds=held, refusals=[long_before]))) == []


def test_a_run_rests_only_once_everything_was_looked_at() -> None:
    assert brake.restless(town(OVER_S - 1.0)) != []
    before = town(BEGAN_S - 1.0)
    before.crowd.begun_s = None
    assert brake.restless(before) == [], "else a crowd that waits for what will not come would never begin"
    assert brake.restless(town(OVER_S)) == []
    for rows in ({"holds": [hold()]}, {"refusals": [refusal(next_look_s=9_000.0)]}):
        assert brake.restless(town(OVER_S, **rows)) != [], rows


def test_a_document_comes_before_the_payment_that_ends_a_hold() -> None:
    held = town(OVER_S, holds=[hold(stage="payout")])
    assert brake.restless(held) != [] and brake.restless(held, documents=True) == []
    assert brake.restless(town(OVER_S, holds=[hold()]), documents=True) != [], "checks need no document"


def test_a_link_that_a_crowd_ended_is_hard() -> None:
    ended = Link("L1", 1, "bni", "unlinking", None, None, None, None, None, 0.0, [], "nik_mismatch")
    assert len(list(brake.broken(town(OVER_S, stage=WRITE, links=[ended])))) == 1
