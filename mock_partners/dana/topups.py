"""Payouts to DANA balances (dana.md, decisions D11-D14): inquiry, top-up, status, and the day's history."""

from __future__ import annotations

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Reply
from mock_partners.kit.payouts import Payout, Payouts, State
from mock_partners.kit.snap import topups
from mock_partners.kit.snap.fields import Fields, rupiah
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.magic import refuse_if_magic
from mock_partners.kit.snap.payments import Order, pay
from mock_partners.kit.snap.refusals import Refusal
from mock_partners.kit.snap.topups import SERVICE_CODE, Details
from mock_partners.kit.statements import PAGE_ROWS, listed, page
from mock_partners.kit.world import Account, Booking, World

MAX_RUPIAH = 20_000_000
FUND_TYPE = "AGENT_TOPUP_FOR_USER_SETTLE"
PHONE = "62[0-9]{7,13}"
MAX_DAYS = 31
RESULT_MSG = {(404, "11"): "PAYEE_USER_NOT_EXIST", (403, "18"): "PAYEE_USER_STATUS_DISABLE"}
"""What DANA says beside 403xx05 where others have a case of the standard (dana.md 5)."""


class Topups:
    """The handlers of one DANA mock; the desk `payouts` and the world outlive a restarted app."""

    def __init__(self, world: World, clock: Clock, gate: Gate, payouts: Payouts) -> None:
        self._world, self._clock, self._gate, self._payouts = world, clock, gate, payouts

    async def inquire(self, asked: Asked) -> Reply:
        """emoney/account-inquiry, service 37."""
        fields = Fields(asked.body)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        number, amount = self._read(fields)
        account = self._payee(number, amount)
        return self._gate.say(
            200, "37", referenceNo=self._reference(), partnerReferenceNo=reference, customerNumber=number,
            customerName=account.holder_name, minAmount=rupiah(1), maxAmount=rupiah(MAX_RUPIAH),
            amount=rupiah(amount), feeAmount=rupiah(0), additionalInfo={},
        )  # fmt: skip

    async def top_up(self, asked: Asked) -> Reply:
        """emoney/topup, service 38; partnerReferenceNo is the idempotent key (decisions D12)."""
        fields = Fields(asked.body)
        reference = fields.text("partnerReferenceNo", 64)
        number, amount = self._read(fields)
        fields.amount("feeAmount", zero=True)
        fields.text("notes", 255, required=False)
        parameters = (amount, "IDR", number)
        known = self._payouts.get(reference)
        if known is not None and known.state is not State.VOID:
            if known.parameters != parameters:
                raise Refusal(404, "18", "Inconsistent Request")
            if known.state is State.FAILED:
                raise Refusal(500, "00", "General Error")
            if known.state is not State.PENDING:
                return self._topped_up(200, "Successful", known)
        order = Order(reference, amount, parameters, Details(number, asked.external_id))
        return await pay(self._payouts, order, lambda: self._payee(number, amount), self._reference, self._topped_up)

    def _topped_up(self, status: int, message: str, payout: Payout) -> Reply:
        return self._gate.say(status, SERVICE_CODE, "00", message, **topups.topped_up(payout), additionalInfo={})

    async def status(self, asked: Asked) -> Reply:
        """emoney/topup-status, service 39; an unknown reference is 4043901 (dana.md 5)."""
        fields = Fields(asked.body)
        reference = fields.text("originalPartnerReferenceNo", 64)
        fields.text("serviceCode", 2, pattern=SERVICE_CODE)
        payout = self._payouts.look_up(reference)
        if payout is None:
            raise Refusal(404, "01", "Transaction Not Found")
        return self._gate.say(200, "39", **topups.looked_up(payout), additionalInfo={})

    async def history(self, asked: Asked) -> Reply:
        """transaction-history-list, service 12: bookings of some Jakarta days, newest first (decisions D14, X12)."""
        fields = Fields(asked.body)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        first, days = fields.days(25, MAX_DAYS)
        size, number = min(fields.count("pageSize", 4, PAGE_ROWS), PAGE_ROWS), fields.count("pageNumber", 6, 1)
        found = page(listed(self._world, first, days), number, size)
        return self._gate.say(
            200, "12", referenceNo=self._reference(), partnerReferenceNo=reference,
            detailData=[_row(booking) for booking in found.rows],
            additionalInfo={"pageNumber": str(number), "hasMore": found.more},
        )  # fmt: skip

    @staticmethod
    def _read(fields: Fields) -> tuple[str, int]:
        """The phone and the rupiah of a payout; what else must stand there, stands there."""
        number, amount = fields.text("customerNumber", 32, pattern=PHONE), fields.amount("amount")
        fields.moment("transactionDate", 25, required=False)
        fields.object("additionalInfo").text("fundType", 64, pattern=FUND_TYPE)
        return number, amount

    def _payee(self, number: str, amount_rupiah: int) -> Account:
        refuse_if_magic(number)
        try:
            return topups.payee(self._world, self._clock, number, amount_rupiah, MAX_RUPIAH)
        except Refusal as refusal:
            word = RESULT_MSG.get((refusal.status, refusal.case))
            if word is None:
                raise
            raise Refusal(403, "05", "Do Not Honor", additionalInfo={"resultMsg": word}) from None

    def _reference(self) -> str:
        return f"{self._clock.now():%Y%m%d}{self._world.number():020d}"


def _row(booking: Booking) -> dict[str, object]:
    return {
        **topups.row(booking),
        "status": "SUCCESS",
        "additionalInfo": {
            "partnerReferenceNo": booking.reference,
            "referenceNo": booking.partner_reference,
            "customerNumber": booking.account.removeprefix("+"),
        },
    }
