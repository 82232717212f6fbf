"""What to do about each class of difference between a partner's statement and our books, and who must."""

from __future__ import annotations

import msgspec

from contracts.incentive import Owner
from gateway.storage.reconciliation.reconciliation_rules import BreakClass


class NextStep(msgspec.Struct, frozen=True):
    """Who must act, and how."""

    owner: Owner
    text: str


_O, _P, _G = Owner.OPERATOR, Owner.PARTNER, Owner.GATEWAY
NEXT_STEPS: dict[BreakClass, NextStep] = {
    BreakClass.MISSING_HERE: NextStep(
        _O,
        "Pay this person nothing more until it is settled. A reference of ours without a payout: was the database"
        " restored? Run `gateway recover`. A payout we hold as refused: its case says what the partner said before.",
    ),
    BreakClass.MISSING_THERE: NextStep(
        _O,
        "Ask the partner where the payment is, by both references, and have it put the booking into its statement. If"
        " it was never made, get that in writing; never pay again by hand.",
    ),
    BreakClass.AMOUNT: NextStep(
        _O, "Settle the difference with the partner by both references; if more was paid, have it given back."
    ),
    BreakClass.DUPLICATE: NextStep(
        _O, "Pause the partner, have the second credit given back, and find out why its duplicate check let it pass."
    ),
    BreakClass.LATE: NextStep(
        _O,
        "The partner booked later than its absence time in `gateway partners`: agree on a longer one before a payout"
        " is called absent too early.",
    ),
    BreakClass.REVERSED: NextStep(
        _G,
        "A reversal that only the statement shows is applied at the next reading of it; one that only we hold: ask the"
        " partner for its booking.",
    ),
    BreakClass.WRONG_ACCOUNT: NextStep(
        _O, "Have the partner give the credit back from the account it went to, and pay after its written word."
    ),
    BreakClass.FEE: NextStep(_O, "The contract knows no fee per payout: have it given back, or book it and change it."),
    BreakClass.WRONG_DAY: NextStep(
        _P, "Have the partner correct the statement: a booking must stand under its own Jakarta day, after its order."
    ),
    BreakClass.UNKNOWN_REFERENCE: NextStep(
        _O, "Not a payout of this installation: find out who moved money through our account at the partner."
    ),
    BreakClass.PENDING_ON_ONE_SIDE: NextStep(
        _G, "The partner has booked it; look-ups or the next reading of the statement end the payout by themselves."
    ),
    BreakClass.FORMAT: NextStep(
        _P, "Have the partner correct the statement; what it says there can be neither matched nor trusted."
    ),
    BreakClass.NOT_INSTRUCTED: NextStep(
        _O, "Find out who let it be paid: it had been cancelled, or not approved, or was not due. Pause the partner."
    ),
    BreakClass.LEDGER: NextStep(
        _O, "The ledger lacks the movement: stop, and have the books examined before any more."
    ),
}
assert set(NEXT_STEPS) == set(BreakClass), "every class has its next step"
