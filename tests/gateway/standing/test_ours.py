"""What a partner says of our own limit, account or credentials holds its stage at the first word and blames nobody."""

from __future__ import annotations

import asyncio

import pytest

from adapters.registry import PARTNERS
from contracts.errors import Hint, PartnerUnavailable
from contracts.hold import HoldKind, HoldStage, kind_of
from contracts.identity import IdentityAnswer, Verdict
from contracts.partner import Blame
from contracts.payout import not_accepted, unknown
from gateway.clock import SystemClock
from gateway.partners.watch import Seen, of_error, of_result
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
        of_result(not_accepted(Hint.NONE, partner_code=code), Seen(), manifest),
        of_result(unknown(partner_code=code), Seen(), manifest),
        of_result(IdentityAnswer(verdict=Verdict.UNSUPPORTED, partner_code=code), Seen(), manifest),
        of_error(refused, Seen(), manifest),
    ):
        assert told.fault is not None
        assert told.words == code
        outage = Outage(slug, HoldStage.PAYOUT, Unheld(), SystemClock(), asyncio.Event())  # type: ignore[arg-type]
        outage.told("payout", told)
        assert kind_of(told.fault) is HoldKind.OURS
        assert not outage.admit()
