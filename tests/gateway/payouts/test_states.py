"""What holds for every way that a payout can go, whichever states there are: said as rules, checked on all paths."""

from __future__ import annotations

import pytest

from contracts.payout import IN_DOUBT, OPEN_STATES, TRANSITIONS, IllegalTransition, PayoutState, check_transition

S = PayoutState
ENDED = set(S) - OPEN_STATES
MAY_SEND = {S.RESERVED, S.PREPARED, S.UNKNOWN}
"""From where a WRITE that moves money may leave: nothing has left, only an instruction stands, or absence is proved."""
MAY_HAVE_MOVED = {S.SUBMITTING, S.UNKNOWN, S.PENDING, S.SUCCEEDED}


def reachable(start: PayoutState) -> set[PayoutState]:
    """Every state that some way leads to."""
    found: set[PayoutState] = set()
    waiting = [start]
    while waiting:
        for after in TRANSITIONS[waiting.pop()]:
            if after not in found:
                found.add(after)
                waiting.append(after)
    return found


def test_what_has_ended_is_never_on_its_way_again() -> None:
    for state in ENDED:
        assert reachable(state) <= ENDED, state


def test_money_leaves_only_where_nothing_is_on_its_way() -> None:
    assert {state for state in S if S.SUBMITTING in TRANSITIONS[state]} == MAY_SEND


def test_what_may_have_moved_money_is_never_called_withdrawn() -> None:
    for state in MAY_HAVE_MOVED:
        assert S.CANCELLED not in TRANSITIONS[state], state


def test_paid_ends_as_paid_or_given_back() -> None:
    assert reachable(S.SUCCEEDED) == {S.REVERSED}
    assert not TRANSITIONS[S.REVERSED]


def test_refused_or_withdrawn_is_final_but_for_a_partner_that_contradicts_itself() -> None:
    assert reachable(S.REJECTED) == reachable(S.CANCELLED) == {S.SUCCEEDED, S.REVERSED}


def test_whatever_is_in_doubt_can_still_be_settled_either_way() -> None:
    for state in IN_DOUBT:
        assert {S.SUCCEEDED, S.REJECTED} <= reachable(state), state


@pytest.mark.parametrize(("before", "after"), [(S.SUCCEEDED, S.REJECTED), (S.CANCELLED, S.SUBMITTING)])
def test_an_edge_that_is_not_there_raises(before: PayoutState, after: PayoutState) -> None:
    with pytest.raises(IllegalTransition):
        check_transition(before, after)
