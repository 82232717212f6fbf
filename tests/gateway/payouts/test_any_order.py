"""Property: up to seven words of a partner on one payout, in any order and however often, end it the same way.

The rules alone, without a database: `decide` is fed as storage feeds it, each word once, everything heard so far.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import permutations
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.registry import PARTNERS
from contracts.incentive import BlockerCode
from contracts.observation import Source
from contracts.partner import Manifest
from contracts.payout import (
    OPEN_STATES,
    Outcome,
    OutcomeKind,
    PayoutState,
    Refusal,
    not_found,
    pending,
    queued,
    rejected,
    reversed_,
    succeeded,
    unknown,
)
from gateway.partners.desk import pace
from gateway.services.payouts.ends import Standing, Terms
from gateway.services.payouts.rules import decide
from gateway.services.payouts.words import ABSENT, Word
from gateway.settings import Waits
from gateway.storage.payouts.observations import Heard
from gateway.storage.payouts.payouts import IncentiveFacts, PayoutRow
from tests.gateway.payouts.fake import NOON, manifest

MOST = 7
WALKS, SETS = 40_000, 20


def dated(outcome: Outcome, second: int | None) -> Outcome:
    at = None if second is None else NOON + timedelta(seconds=second)
    return msgspec.structs.replace(outcome, said_at=at)


SOURCE = (Source.REPLY, Source.LOOKUP, Source.NOTIFICATION, Source.STATEMENT)
SOURCES = st.sampled_from(SOURCE)
TIMES = (None, 0, 1, 2)
"""When a partner dates its word: not at all, or seconds after noon."""
TIMELESS = (
    pending(),
    queued("n1"),
    unknown(),
    not_found(),
    rejected(None, technical=True, partner_code=ABSENT),
)
DATED = (
    succeeded(),
    reversed_(),
    rejected(None, technical=True),
    rejected(None),
    rejected(None, reason_may_follow=True),
    rejected(BlockerCode.BALANCE_LIMIT),
    rejected(BlockerCode.ACCOUNT_BLOCKED),
    rejected(BlockerCode.PARTNER_REJECTED, refusal=Refusal.WITHDRAWN),
    rejected(None, technical=True, refusal=Refusal.STATEMENT_DECIDES),
    rejected(BlockerCode.PARTNER_REJECTED, refusal=Refusal.PERHAPS_PAID),
)
ALL = (*TIMELESS, *(dated(outcome, at) for outcome in DATED for at in TIMES))
OUTCOMES = st.sampled_from(ALL)
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


def terms(made: Manifest) -> Terms:
    return Terms(manifest=made, pace=pace(made, Waits()))


TERMS = {
    "one": terms(manifest()),
    "two": terms(manifest(two_step=True)),
    **{slug: terms(partner.manifest) for slug, partner in PARTNERS.items()},
}
RULES = st.sampled_from(sorted(TERMS))


def sent() -> Standing:
    """A payout whose first attempt has left."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in msgspec.structs.fields(PayoutRow))
    values |= {
        "id": 1, "incentive": 1, "state": PayoutState.SUBMITTING, "attempt": 1, "refusals": 0, "looks": 0,
        "technical": False, "first_sent_at": NOON, "sent_at": NOON, "sent_deadline": NOON, "amount_rupiah": 600_000,
    }  # fmt: skip
    incentive = IncentiveFacts(
        id=1, participant=1, payout="open", own=None, own_next_at=None, payouts=1, looks=0, deadline_on=date(2027, 1, 1)
    )
    return Standing(payout=PayoutRow(**values), incentive=incentive, others=[])


def end(words: Sequence[tuple[int, tuple[Source, Outcome]]], rules: str) -> End:
    """How a payout stands after numbered words; a number that comes again is the same word again."""
    standing, heard, seen = sent(), [], set()
    for number, (source, outcome) in words:
        if number not in seen:
            seen.add(number)
            heard.append(
                Heard(
                    id=len(heard) + 1, payout=1, source=source, attempt=1, kind=outcome.kind, reason=outcome.reason,
                    technical=outcome.technical, partner_code=outcome.partner_code,
                    refusal=outcome.refusal, said_at=outcome.said_at, at=NOON,
                )
            )  # fmt: skip
        word = Word(payout=1, source=source, outcome=outcome, attempt=1, event_key=f"{number}")
        decide(TERMS[rules], standing, heard, word, NOON)
    payout, incentive = standing.payout, standing.incentive
    ended, contradicted = payout.state not in OPEN_STATES, incentive.own is BlockerCode.CONTRADICTION
    return End(payout.state if ended else None, incentive.payout, contradicted, payout.reason,
               payout.released_at is not None)  # fmt: skip


@given(words=WORDS, rules=RULES, data=st.data())
def test_any_order_and_any_repeats_end_the_same(
    words: list[tuple[Source, Outcome]], rules: str, data: st.DataObject
) -> None:
    numbered = list(enumerate(words))
    repeated = data.draw(st.lists(st.sampled_from(numbered), max_size=MOST), label="said again")
    disorder = data.draw(st.permutations(numbered + repeated), label="as they came")
    straight, crooked = end(numbered, rules), end(disorder, rules)
    assert crooked == straight


@given(words=WORDS, data=st.data())
def test_no_order_ends_what_the_partner_has_not_ended(words: list[tuple[Source, Outcome]], data: st.DataObject) -> None:
    passing = {OutcomeKind.PENDING, OutcomeKind.UNKNOWN, OutcomeKind.NOT_FOUND, OutcomeKind.QUEUED}
    open_words = [(n, word) for n, word in enumerate(words) if word[1].kind in passing]
    assert end(data.draw(st.permutations(open_words)), data.draw(RULES)).state is None


@pytest.mark.parametrize("rules", sorted(TERMS))
def test_random_walks_converge_and_infer_no_end(rules: str, long: bool) -> None:
    """Six words and their repeats in two random orders; and what the end may be, told without `fold`."""
    rng = random.Random(rules)
    can_fail = TERMS[rules].manifest.completed_can_fail
    for _ in range(WALKS if long else WALKS // 100):
        words = [(n, (rng.choice(SOURCE), rng.choice(ALL))) for n in range(rng.randint(1, 6))]
        disorder = rng.sample(words, len(words)) + rng.choices(words, k=2)
        rng.shuffle(disorder)
        straight, crooked = end(words, rules), end(disorder, rules)
        assert straight == crooked, (words, disorder)
        assert straight.state in (may_be(words, can_fail), None), words
        assert (straight.state is None) == (may_be(words, can_fail) is None), words


@pytest.mark.parametrize("rules", sorted(TERMS))
def test_every_order_of_six_words_ends_the_same(rules: str, long: bool) -> None:
    """All 720 of them, of words that differ; one that says at once what the others take back or doubt is among them.
    Not `long`: all 120 of five.
    """
    rng = random.Random(f"every order {rules}")
    for _ in range(SETS if long else 1):
        chosen = [rng.choice(ALL[len(TIMELESS) :]), *rng.sample(ALL, 5 if long else 4)]
        words = [(n, (rng.choice(SOURCE), outcome)) for n, outcome in enumerate(chosen)]
        straight = end(words, rules)
        for disorder in permutations(words):
            assert end(disorder, rules) == straight, disorder


def may_be(words: Sequence[tuple[int, tuple[Source, Outcome]]], can_fail: bool) -> PayoutState | None:
    """The end, by pairs of words."""
    said = [word for _, word in words]
    paid = [word for word in said if word[1].kind is OutcomeKind.SUCCEEDED]
    failed = [outcome for _, outcome in said if outcome.kind is OutcomeKind.REJECTED]
    ordered = [outcome for outcome in failed if outcome.refusal is not Refusal.WITHDRAWN]
    back = any(outcome.kind is OutcomeKind.REVERSED for _, outcome in said) or any(
        can_fail and source is not Source.STATEMENT and p.said_at and f.said_at and p.said_at < f.said_at
        for source, p in paid
        for f in ordered
    )
    if back:
        return PayoutState.REVERSED
    if paid:
        return PayoutState.SUCCEEDED
    return PayoutState.REJECTED if failed else None
