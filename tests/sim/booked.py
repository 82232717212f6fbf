"""What the partners' books say of our payouts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.services.payouts.absence import MOST_DAYS
from mock_partners.kit.world import Kind
from tests.sim.snapshot import Incentive, Payout

if TYPE_CHECKING:
    from tests.sim.town import Town


def credits_of(town: Town) -> Counter[int]:
    """How often each incentive is paid, net, in the partners' books."""
    owner = owners(town)
    net: Counter[int] = Counter()
    for slug, reference, _, kind, _ in town.books():
        if kind in ("credit", "reversal") and (slug, reference) in owner:
            net[owner[slug, reference]] += 1 if kind == "credit" else -1
    return net


def owners(town: Town) -> dict[tuple[str, str], int]:
    """By partner and reference the incentive, of payouts that the store has forgotten too."""
    owner = {key: one.incentive for key, one in town.forgotten.items()}
    return owner | {(p.partner, p.reference): p.incentive for p in town.state.payouts}


def given_back(town: Town, payout: Payout) -> bool:
    """Whether it was given back."""
    return any(ref == payout.reference and kind == "reversal" for _, ref, _, kind, _ in town.books())


def given_back_unseen(town: Town, incentive: Incentive) -> bool:
    """Reversed on a day that no statement is asked for any more. The comparison of days, which is not played, tells of
    those that nobody has compared.
    """
    ours = {p.reference for p in town.state.payouts if p.incentive == incentive.id}
    booked = [one for one in town.sides[incentive.partner].world.books if one.reference in ours]
    oldest_s = town.now_s - MOST_DAYS * 86_400
    return any(one.kind is Kind.REVERSAL and one.booked_at.timestamp() < oldest_s for one in booked)
