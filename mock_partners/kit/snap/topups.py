"""A wallet's top-up (SNAP services 37 to 39) as OVO, GoPay and DANA serve it: payee, echoes, row of a history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mock_partners.kit.clock import JAKARTA, Clock
from mock_partners.kit.payouts import Payout
from mock_partners.kit.snap.fields import rupiah
from mock_partners.kit.snap.payments import active, latest, wallet
from mock_partners.kit.snap.refusals import Refusal
from mock_partners.kit.snap.signatures import timestamp
from mock_partners.kit.world import Account, Booking, Kind, World

SERVICE_CODE = "38"
ROW_TYPE: Mapping[Kind, str] = {
    Kind.CREDIT: "TOPUP", Kind.REVERSAL: "REVERSAL", Kind.FEE: "FEE", Kind.OTHER: "ADJUSTMENT",
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class Details:
    """What a top-up was asked with, echoed by its answers."""

    customer_number: str
    external_id: str


def payee(world: World, clock: Clock, number: str, amount_rupiah: int, most_rupiah: int | None = None) -> Account:
    """Whom a top-up is for, or why not: unknown 11, inactive 18, too much for one top-up or for the account 02."""
    account = active(wallet(world, number))
    check_caps(world, clock, account, amount_rupiah, most_rupiah)
    return account


def check_caps(
    world: World, clock: Clock, account: Account, amount_rupiah: int, most_rupiah: int | None = None
) -> None:
    """A top-up's own ceiling, the account's balance and its month share one code (decisions O8)."""
    too_much = most_rupiah is not None and amount_rupiah > most_rupiah
    if too_much or world.cap_hit(account, amount_rupiah, clock.now()) is not None:
        raise Refusal(403, "02", "Exceeds Transaction Amount Limit")


def topped_up(payout: Payout) -> dict[str, object]:
    """What the answer to a top-up tells, taken or told again."""
    details: Details = payout.details
    return {
        "referenceNo": payout.partner_reference, "partnerReferenceNo": payout.reference,
        "customerNumber": details.customer_number, "amount": rupiah(payout.amount_rupiah),
    }  # fmt: skip


def looked_up(payout: Payout) -> dict[str, object]:
    """What a status tells of a top-up that it knows."""
    details: Details = payout.details
    return {
        "originalPartnerReferenceNo": payout.reference, "originalReferenceNo": payout.partner_reference,
        "originalExternalId": details.external_id, "serviceCode": SERVICE_CODE,
        "amount": rupiah(payout.amount_rupiah), **latest(payout),
    }  # fmt: skip


def row(booking: Booking) -> dict[str, object]:
    """What each history tells of a booking."""
    return {
        "dateTime": timestamp(booking.booked_at.astimezone(JAKARTA)), "amount": rupiah(booking.amount_rupiah),
        "type": ROW_TYPE[booking.kind],
    }  # fmt: skip
