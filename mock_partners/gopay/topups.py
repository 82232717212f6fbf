"""Midtrans' payouts over SNAP (wallets.md 2.7): name inquiry, one-step top-up, status, and Iris' notification of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from mock_partners.gopay.banks import PHONE
from mock_partners.gopay.payouts import (
    DECLINED,
    MESSAGES,
    NOTIFY_RETRIES_S,
    TECHNICAL,
    iris_notice,
    utc,
)
from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.http import Reply
from mock_partners.kit.notify import Notifier
from mock_partners.kit.payouts import Payout, Payouts, State
from mock_partners.kit.snap import topups
from mock_partners.kit.snap.fields import Fields, rupiah
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.payments import Order, active, pay, wallet
from mock_partners.kit.snap.refusals import Refusal, malformed
from mock_partners.kit.snap.topups import SERVICE_CODE, Details
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World

PROVIDERS = "gopay"
"""additionalInfo.beneficiaryProvider; its values are not public (assumed)."""
NOTES = "[A-Za-z0-9 _]{1,100}"
NOTIFIED = {
    State.BOOKED: ("completed", ""),
    State.FAILED: ("failed", TECHNICAL),
    State.REVERSED: ("failed", DECLINED),
}
"""Iris' words for an end, and the error code of a failure."""


@dataclass(frozen=True, repr=False)
class Named(Details):
    """GoPay wants the customer's name too, and echoes it."""

    customer_name: str


class Topups:
    """The handlers of SNAP payouts; the desk is kept in the world."""

    def __init__(
        self, world: World, clock: Clock, scheduler: Scheduler, waits: Waits, gate: Gate, notifier: Notifier
    ) -> None:  # fmt: skip
        self._world, self._clock, self._gate, self._notifier = world, clock, gate, notifier
        self._payouts = world.keep("gopay.snap_payouts", lambda: Payouts(world, clock, scheduler, waits))
        self._payouts.on_end = self._notify

    def unsettled(self) -> int:
        """Top-ups that wait for a look-up."""
        return self._payouts.unsettled()

    async def inquire(self, asked: Asked) -> Reply:
        """emoney/account-inquiry, service 37: the name behind a number; the amount is a dummy."""
        fields = _fields(asked)
        number, amount = _number(fields), fields.amount("amount")
        account = active(wallet(self._world, number))
        return self._gate.say(
            200, asked.service, referenceNo=self._reference(), customerNumber=number,
            customerName=account.holder_name, amount=rupiah(amount), feeAmount=rupiah(0), additionalInfo={},
        )  # fmt: skip

    async def top_up(self, asked: Asked) -> Reply:
        """emoney/topup, service 38. Duplicates come before business rules (snap-bni.md 6.1, decisions X7)."""
        fields = _fields(asked)
        reference, number, amount = fields.text("partnerReferenceNo", 64), _number(fields), fields.amount("amount")
        details = Named(number, asked.external_id, fields.text("customerName", 255))
        fields.text("notes", 100, pattern=NOTES)
        order = Order(reference, amount, (amount, "IDR", number), details)
        done = "Request has been processed successfully"
        return await pay(
            self._payouts, order, lambda: self._payee(number, amount), self._reference, self._topped_up, done=done
        )

    def _payee(self, number: str, amount_rupiah: int) -> Account:
        return topups.payee(self._world, self._clock, number, amount_rupiah)

    async def status(self, asked: Asked) -> Reply:
        """transfer/status, service 36, of a top-up; unknown is 4043601 as at the other partners (assumed)."""
        fields = Fields(asked.body)
        reference = fields.text("originalPartnerReferenceNo", 64)
        fields.text("serviceCode", 2, pattern=SERVICE_CODE)
        payout = self._payouts.look_up(reference)
        if payout is None:
            raise Refusal(404, "01", "Transaction Not Found")
        return self._gate.say(200, asked.service, **topups.looked_up(payout), additionalInfo={})

    def _topped_up(self, status: int, message: str, payout: Payout) -> Reply:
        details: Named = payout.details
        return self._gate.say(
            status, SERVICE_CODE, "00", message, **topups.topped_up(payout), customerName=details.customer_name,
            additionalInfo={},
        )  # fmt: skip

    def _reference(self) -> str:
        return f"{self._world.rng.getrandbits(32):08x}{self._world.number():08x}"

    def _notify(self, payout: Payout) -> None:
        """Iris' notification with partner_reference_no beside, under the same signature (wallets.md 2.7)."""
        status, error = NOTIFIED[payout.state]
        told = {
            "reference_no": payout.partner_reference,
            "partner_reference_no": payout.reference,
            "amount": f"{payout.amount_rupiah}.00",
            "status": status,
            "updated_at": utc(self._clock.now()),
        }
        if error:
            told |= {"error_code": error, "error_message": MESSAGES[error]}
        body = msgspec.json.encode(told)
        self._notifier.post(iris_notice(body), retries_s=NOTIFY_RETRIES_S)


def _fields(asked: Asked) -> Fields:
    """X-EXTERNAL-ID is numeric here, and the provider is always named (wallets.md 2.7)."""
    if not re.fullmatch("[0-9]+", asked.external_id):
        raise malformed("X-EXTERNAL-ID")
    fields = Fields(asked.body)
    info = fields.object("additionalInfo")
    info.text("beneficiaryProvider", 32, pattern=PROVIDERS)
    info.text("beneficiaryEmail", 254, required=False)
    return fields


def _number(fields: Fields) -> str:
    return fields.text("customerNumber", 20, pattern=PHONE.pattern)
