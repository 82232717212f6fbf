"""What a partner says of our own limit, account or credentials holds its stage at the first word and blames nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.registry import PARTNERS
from contracts.errors import Hint, PartnerUnavailable
from contracts.hold import HoldKind, HoldStage, kind_of
from contracts.identity import IdentityAnswer, Verdict
from contracts.incentive import BlockerCode
from contracts.partner import Blame
from contracts.payout import Outcome, not_accepted, rejected, unknown
from gateway.clock import SystemClock
from gateway.partners.watch import LastAnswer, of_error, of_result
from gateway.worker.outage import Outage


class Unheld:
    """Holds, of which none is open."""

    def stopping(self, partner: str, stages: object) -> None:
        return None


@pytest.mark.parametrize(
    ("slug", "code"),
    [
        (slug, code)
        for slug, partner in PARTNERS.items()
        for code, said in partner.manifest.codes.items()
        if said.blames is Blame.OURS
    ],
)
def test_the_first_word_that_a_partner_refuses_us_holds_and_touches_nobody(slug: str, code: str) -> None:
    """Every code that a manifest lists as ours, as the answer to a WRITE, a check and an error."""
    manifest, code = PARTNERS[slug].manifest, code.replace("xx", "17")
    refused = PartnerUnavailable("refused", partner_code=code)
    for told in (
        of_result(not_accepted(Hint.NONE, partner_code=code), LastAnswer(), manifest),
        of_result(unknown(partner_code=code), LastAnswer(), manifest),
        of_result(IdentityAnswer(verdict=Verdict.UNSUPPORTED, partner_code=code), LastAnswer(), manifest),
        of_error(refused, LastAnswer(), manifest),
    ):
        assert told.fault is not None
        assert told.words == code
        outage = Outage(slug, HoldStage.PAYOUT, Unheld(), SystemClock(), asyncio.Event())  # type: ignore[arg-type]
        outage.told("payout", told)
        assert kind_of(told.fault) is HoldKind.OURS
        assert not outage.admit()


class Held:
    """Holds, of which one is open until it is released."""

    def __init__(self, kind: HoldKind) -> None:
        self.open: Any = SimpleNamespace(kind=kind, next_canary_at=None)

    def stopping(self, partner: str, stages: object) -> Any:
        return self.open

    def throttled(self, partner: str, stage: HoldStage) -> None:
        return None

    async def release(self, partner: str, stage: HoldStage, kinds: Sequence[HoldKind]) -> None:
        if self.open.kind in kinds:
            self.open = None


@pytest.mark.parametrize(
    ("kind", "stage", "ends"),
    [
        (HoldKind.OURS, HoldStage.VERIFY, True),
        (HoldKind.OURS, HoldStage.PAYOUT, False),
        (HoldKind.OUTAGE, HoldStage.VERIFY, False),
        (HoldKind.BRAKE, HoldStage.VERIFY, False),
    ],
)
async def test_who_refuses_a_person_at_a_check_has_let_us_in(kind: HoldKind, stage: HoldStage, ends: bool) -> None:
    """Tries are an hour apart in the end, and may all meet people who are refused by right."""
    slug, manifest = next((slug, one.manifest) for slug, one in PARTNERS.items())
    word: IdentityAnswer | Outcome = IdentityAnswer(verdict=Verdict.MISMATCH)
    operation = "verify_nik"
    if stage is HoldStage.PAYOUT:
        word, operation = rejected(BlockerCode.ACCOUNT_NOT_FOUND), "payout"
    held = Held(kind)
    outage = Outage(slug, stage, held, SystemClock(), asyncio.Event())  # type: ignore[arg-type]
    outage.told(operation, of_result(word, LastAnswer(), manifest))
    await outage.settle()
    assert (held.open is None) is ends
