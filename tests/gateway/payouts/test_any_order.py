"""Property: up to seven words of a partner on one payout, in any order and however often, end it the same way.

The rules alone, without a database: `decide` is fed as storage feeds it, each word once, everything heard so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.incentive import BlockerCode
from contracts.observation import Source, fold
from contracts.payout import (
    OPEN_STATES,
    Outcome,
    OutcomeKind,
    PayoutState,
    not_found,
    pending,
    rejected,
    reversed_,
    succeeded,
    unknown,
)
from gateway.partners.desk import pace
from gateway.services.payouts.ends import Standing, Terms
from gateway.services.payouts.rules import decide
from gateway.services.payouts.words import Word
from gateway.settings import Waits
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import IncentiveFacts, PayoutRow
from tests.gateway.payouts.fake import NOON, manifest

MOST = 7
SOURCES = st.sampled_from((Source.REPLY, Source.LOOKUP, Source.NOTIFICATION, Source.STATEMENT))
OUTCOMES = st.sampled_from(
    (
        succeeded(),
        reversed_(),
        pending(),
        unknown(),
        not_found(),
        rejected(None, technical=True),
        rejected(None),
        rejected(None, reason_may_follow=True),
        rejected(BlockerCode.BALANCE_LIMIT),
        rejected(BlockerCode.ACCOUNT_BLOCKED),
    )
)
WORDS = st.lists(st.tuples(SOURCES, OUTCOMES), min_size=1, max_size=MOST)


class End(NamedTuple):
    """What must not depend on the order."""

    state: PayoutState | None
    """None: the partner has not ended it."""
    incentive: str | None
    contradiction: bool
    """Whether the incentive waits for staff to see that the partner said both."""
    reason: BlockerCode | None
    released: bool


def terms(two_step: bool) -> Terms:
    made = manifest(two_step=two_step)
    return Terms(manifest=made, pace=pace(made, Waits()))


TERMS = {two_step: terms(two_step) for two_step in (False, True)}


def sent() -> Standing:
    """A payout whose first attempt has left."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in msgspec.structs.fields(PayoutRow))
    values |= {
        "id": 1, "incentive": 1, "state": PayoutState.SUBMITTING, "attempt": 1, "refusals": 0, "looks": 0,
        "technical": False, "first_sent_at": NOON, "sent_at": NOON, "sent_deadline": NOON, "amount_rupiah": 600_000,
    }  # fmt: skip
    incentive = IncentiveFacts(id=1, participant=1, payout="open", own=None, own_next_at=None, payouts=1)
    return Standing(payout=PayoutRow(**values), incentive=incentive, others=[])


def end(words: Sequence[tuple[int, tuple[Source, Outcome]]], *, two_step: bool) -> End:
    """How a payout stands after numbered words; a number that comes again is the same word again."""
    standing, heard, seen = sent(), [], set()
    for number, (source, outcome) in words:
        if number not in seen:
            seen.add(number)
            heard.append(
                Heard(
                    id=len(heard) + 1, payout=1, source=source, attempt=1, kind=outcome.kind, reason=outcome.reason,
                    technical=outcome.technical, partner_code=outcome.partner_code, at=NOON,
                )
            )  # fmt: skip
        word = Word(payout=1, source=source, outcome=outcome, attempt=1, event_key=f"{number}")
        decide(TERMS[two_step], standing, heard, word, NOON)
    payout, incentive = standing.payout, standing.incentive
    ended, contradicted = payout.state not in OPEN_STATES, incentive.own is BlockerCode.CONTRADICTION
    return End(payout.state if ended else None, incentive.payout, contradicted, payout.reason,
               payout.released_at is not None)  # fmt: skip


@settings(max_examples=400)
@given(words=WORDS, two_step=st.booleans(), data=st.data())
def test_any_order_and_any_repeats_end_the_same(
    words: list[tuple[Source, Outcome]], two_step: bool, data: st.DataObject
) -> None:
    numbered = list(enumerate(words))
    repeated = data.draw(st.lists(st.sampled_from(numbered), max_size=MOST), label="said again")
    disorder = data.draw(st.permutations(numbered + repeated), label="as they came")
    straight, crooked = end(numbered, two_step=two_step), end(disorder, two_step=two_step)
    assert crooked == straight
    assert straight.state is fold((w.kind for _, w in words), completed_can_fail=two_step).state


@given(words=WORDS, data=st.data())
def test_no_order_ends_what_the_partner_has_not_ended(words: list[tuple[Source, Outcome]], data: st.DataObject) -> None:
    passing = {OutcomeKind.PENDING, OutcomeKind.UNKNOWN, OutcomeKind.NOT_FOUND}
    open_words = [(n, word) for n, word in enumerate(words) if word[1].kind in passing]
    assert end(data.draw(st.permutations(open_words)), two_step=False).state is None
