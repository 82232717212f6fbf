"""Paid, given back and paid once more, when another payment was made in its place meanwhile: the rules alone."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.payout import Outcome, PayoutState, rejected, reversed_, succeeded
from gateway.services.payouts.ends import Effects, Standing
from gateway.services.payouts.rules import decide
from gateway.services.payouts.words import Finding, What, Word
from gateway.storage.payouts.observations import Heard
from tests.gateway.payouts.fake import NOON
from tests.gateway.payouts.test_any_order import TERMS, dated, sent

S = PayoutState
FAILED = rejected(None, technical=True)
LATER = NOON + timedelta(hours=1)


class Story:
    """One payout, what was said of it, and what was made in its place."""

    def __init__(self, rules: str) -> None:
        self.rules, self.standing, self.heard = rules, sent(), list[Heard]()
        self.standing.payout.partner = "first"

    def says(self, outcome: Outcome, source: Source = Source.NOTIFICATION) -> Effects:
        self.heard.append(
            Heard(
                id=len(self.heard) + 1, payout=1, source=source, attempt=1, kind=outcome.kind, reason=outcome.reason,
                technical=outcome.technical, partner_code=None, said_at=outcome.said_at, at=NOON,
            )
        )  # fmt: skip
        word = Word(payout=1, source=source, outcome=outcome, attempt=1, event_key=f"{len(self.heard)}")
        return decide(TERMS[self.rules], self.standing, self.heard, word, LATER)

    def is_replaced(self, state: PayoutState) -> Standing:
        s = self.standing
        decide(TERMS[self.rules], s, self.heard, Finding(payout=1, what=What.RELEASED), LATER)
        assert s.payout.released_at is not None
        s.others = [msgspec.structs.replace(sent().payout, id=2, state=state, partner="second")]
        s.incentive.payout, s.incentive.payouts = "open", 2
        return s


BACK = {"two": FAILED, "gopay": FAILED, "one": reversed_(), "ovo": reversed_()}


@pytest.mark.parametrize("rules", BACK)
@pytest.mark.parametrize("state", [S.RESERVED, S.PREPARING, S.PREPARED])
def test_what_was_made_in_its_place_does_not_leave(rules: str, state: PayoutState) -> None:
    story = Story(rules)
    story.says(dated(succeeded(), 0))
    story.says(dated(BACK[rules], 1))
    s = story.is_replaced(state)
    effects = story.says(dated(succeeded(), 2))
    assert s.others[0].state is (S.CANCELLED if state is S.RESERVED else state)
    assert s.incentive.payout == "reversed", "the compare-and-set lets nothing leave, and what stands is withdrawn"
    assert s.incentive.own is BlockerCode.CONTRADICTION
    assert [case.code for case in effects.cases] == [BlockerCode.CONTRADICTION]
    assert effects.pauses == {}


@pytest.mark.parametrize("rules", BACK)
@pytest.mark.parametrize("state", [S.SUBMITTING, S.UNKNOWN, S.PENDING, S.SUCCEEDED])
def test_one_that_has_left_pauses_both_partners(rules: str, state: PayoutState) -> None:
    story = Story(rules)
    story.says(dated(succeeded(), 0))
    story.says(dated(BACK[rules], 1))
    s = story.is_replaced(state)
    effects = story.says(dated(succeeded(), 2))
    assert effects.pauses.keys() == {"first", "second"}
    assert s.others[0].state is state
    assert s.incentive.payout == ("succeeded" if state is S.SUCCEEDED else "open")
    assert story.says(dated(succeeded(), 3)).pauses == {}, "once: an operator may have resumed since"


@pytest.mark.parametrize("rules", BACK)
def test_a_payment_said_late_but_made_before_it_came_back_changes_nothing(rules: str) -> None:
    story = Story(rules)
    story.says(dated(succeeded(), 0))
    story.says(dated(BACK[rules], 2))
    s = story.is_replaced(S.RESERVED)
    effects = story.says(dated(succeeded(), 1))
    assert (s.others[0].state, s.incentive.payout, effects.cases) == (S.RESERVED, "open", [])


@pytest.mark.parametrize("rules", BACK)
@pytest.mark.parametrize("state", [S.RESERVED, S.PREPARING, S.PREPARED])
def test_nor_does_it_where_the_partner_had_contradicted_itself_before(rules: str, state: PayoutState) -> None:
    """An answer about another amount, say: told of, and no reason to withdraw anything."""
    story = Story(rules)
    story.says(dated(succeeded(), 0))
    story.says(dated(BACK[rules], 1))
    s = story.is_replaced(state)
    s.incentive.own = BlockerCode.CONTRADICTION
    story.says(dated(succeeded(), 2))
    assert s.others[0].state is (S.CANCELLED if state is S.RESERVED else state)
    assert s.incentive.payout == "reversed"
