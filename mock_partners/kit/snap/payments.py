"""A SNAP payout as every partner takes it: the payee, duplicates, the outcome's answer, the words of its status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mock_partners.kit.http import Abort, Reply
from mock_partners.kit.payouts import Answer, Duplicate, Payout, Payouts, State
from mock_partners.kit.snap.magic import refuse_if_magic
from mock_partners.kit.snap.refusals import Refusal
from mock_partners.kit.world import Account, World

STATUS = {
    State.BOOKED: ("00", "Success"),
    State.PENDING: ("03", "Pending"),
    State.REVERSED: ("04", "Refunded"),
    State.FAILED: ("06", "Failed"),
}
"""latestTransactionStatus (snap-bni.md 1.12)."""
Told = Callable[[int, str, Payout], Reply]
"""The answer to a payout that was taken: HTTP status, message, the payout."""


@dataclass(frozen=True, repr=False)
class Order:
    """One payout as it was asked for. `parameters` tell whether another of its reference is the same one."""

    reference: str
    amount_rupiah: int
    parameters: tuple[Any, ...]
    details: Any = None


async def pay(
    payouts: Payouts, order: Order, payee: Callable[[], Account], partner_reference: Callable[[], str], told: Told, *,
    done: str = "Successful",
) -> Reply:  # fmt: skip
    """Takes a payout or tells what became of it. Duplicates come before business rules (snap-bni.md 6.1, decisions X7).

    `payee` finds the account and refuses.
    """
    known = payouts.get(order.reference)
    match payouts.duplicate(order.reference, order.parameters):
        case Duplicate.DIFFERENT:
            raise Refusal(404, "18", "Inconsistent Request")
        case Duplicate.BOOKED:
            raise Refusal(409, "01", "Duplicate partnerReferenceNo")
        case Duplicate.PENDING if known is not None:
            return told(202, "Request In Progress", known)
    answer = await payouts.accept(
        order.reference, payee(), order.amount_rupiah, parameters=order.parameters,
        partner_reference=partner_reference(), details=order.details,
    )  # fmt: skip
    payout = payouts.get(order.reference)
    if answer is None or payout is None:
        raise Refusal(403, "14", "Insufficient Funds")
    match answer:
        case Answer.LOST:
            raise Abort
        case Answer.TIMEOUT:
            raise Refusal(504, "00", "Timeout")
        case Answer.PENDING:
            return told(202, "Request In Progress", payout)
        case Answer.DONE:
            return told(200, done, payout)


def latest(payout: Payout) -> dict[str, str]:
    """The two fields that tell a payout's state."""
    status, text = STATUS[payout.state]
    return {"latestTransactionStatus": status, "transactionStatusDesc": text}


def wallet(world: World, number: str) -> Account:
    """The account behind a phone number in any spelling, or the refusal that a magic number names, or case 11."""
    refuse_if_magic(number)
    account = world.wallet(number)
    if account is None:
        raise Refusal(404, "11", "Invalid Account")
    return account


def active(account: Account) -> Account:
    """The account if it is active, else case 18."""
    if not account.active:
        raise Refusal(403, "18", "Inactive Account")
    return account
