"""OVO's payout, "Customer Top Up" (wallets.md 3.6): account inquiry with the NIK check, top-up, status, deposit."""

from __future__ import annotations

from datetime import date
from typing import Any

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Reply
from mock_partners.kit.identity import Match, checked
from mock_partners.kit.payouts import Payout, Payouts
from mock_partners.kit.snap import topups
from mock_partners.kit.snap.fields import Fields, rupiah
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.payments import Order, active, pay, wallet
from mock_partners.kit.snap.refusals import Refusal, malformed
from mock_partners.kit.snap.topups import SERVICE_CODE, Details
from mock_partners.kit.statements import listed, page
from mock_partners.kit.world import Account, Booking, World
from mock_partners.ovo.linking import PHONE

MAX_DISBURSEMENT_RUPIAH = 10_000_000
LEVEL = {"full": "OVO_PREMIER", "basic": "OVO_CLUB"}
WORDS = {
    Match.SAME: "MATCH", Match.OTHER: "NOT_MATCH", Match.NONE: "NOT_AVAILABLE", Match.RUNNING: "IN_PROGRESS",
}  # fmt: skip


class Topups:
    """The handlers of one OVO mock; the desk `payouts` and the world outlive a restarted app."""

    def __init__(self, world: World, clock: Clock, gate: Gate, payouts: Payouts) -> None:
        self._world, self._clock, self._gate, self._payouts = world, clock, gate, payouts

    async def inquire(self, asked: Asked) -> Reply:
        """emoney/account-inquiry, service 37. With identificationNo it is the assumed NIK check (decisions O7)."""
        fields = Fields(asked.body)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        amount = fields.amount("amount")
        fields.moment("transactionDate", 29, required=False)
        more = fields.object("additionalInfo", required=False)
        nik = more.text("identificationNo", 16, pattern="[0-9]{16}", required=False)
        if nik:
            more.text("identificationType", 3, pattern="KTP")
        customer = self._customer(asked)
        number = fields.text("customerNumber", 32, pattern=PHONE, required=customer is None)
        account = wallet(self._world, number) if number else customer
        assert account is not None
        if customer is not None and customer is not account:
            raise Refusal(401, "02", "Invalid Customer Token")
        active(account)
        if nik:
            more_told = self._compare(account, nik, linked=customer is not None)
        else:
            topups.check_caps(self._world, self._clock, account, amount, MAX_DISBURSEMENT_RUPIAH)
            more_told = {}
        return self._gate.say(
            200, "37", referenceNo=self._reference(), partnerReferenceNo=reference,
            customerNumber="0" + account.phone.removeprefix("+62"), customerName=account.holder_name,
            minAmount=rupiah(1), maxAmount=rupiah(MAX_DISBURSEMENT_RUPIAH), amount=rupiah(amount),
            feeAmount=rupiah(0), additionalInfo=more_told,
        )  # fmt: skip

    def _customer(self, asked: Asked) -> Account | None:
        """Whose customer token the call carries; None if it carries none."""
        if not asked.call.header("authorization-customer"):
            return None
        account: Account = self._gate.customer_of(asked.call).subject.account
        return account

    @staticmethod
    def _compare(account: Account, nik: str, *, linked: bool) -> dict[str, Any]:
        """MATCH, NOT_MATCH, NOT_AVAILABLE or IN_PROGRESS; it never tells the NIK on file (wallets.md 3.5)."""
        if not linked:
            raise Refusal(403, "05", "Do Not Honor. [Consent]")
        match = checked(account, nik)
        if match is Match.UNAVAILABLE:
            raise Refusal(500, "00", "General Error")
        return {"identificationMatch": WORDS[match], "customerLevel": LEVEL[account.kyc]}

    async def top_up(self, asked: Asked) -> Reply:
        """emoney/topup, service 38. Duplicates come before business rules (snap-bni.md 6.1, decisions X7)."""
        fields = Fields(asked.body)
        reference = fields.text("partnerReferenceNo", 64)
        number, amount = fields.text("customerNumber", 32, pattern=PHONE), fields.amount("amount")
        fields.moment("transactionDate", 29, required=False)
        fields.text("sessionId", 25, required=False)
        fields.text("notes", 255, required=False)
        fields.object("additionalInfo", required=False)
        order = Order(reference, amount, (amount, "IDR", number), Details(number, asked.external_id))
        return await pay(self._payouts, order, lambda: self._payee(number, amount), self._reference, self._topped_up)

    def _payee(self, number: str, amount_rupiah: int) -> Account:
        return topups.payee(self._world, self._clock, number, amount_rupiah, MAX_DISBURSEMENT_RUPIAH)

    def _topped_up(self, status: int, message: str, payout: Payout) -> Reply:
        return self._gate.say(status, SERVICE_CODE, "00", message, **topups.topped_up(payout))

    async def status(self, asked: Asked) -> Reply:
        """emoney/topup-status, service 39; the state is latestTransactionStatus, unknown is 4043901 (decisions O9)."""
        fields = Fields(asked.body)
        reference = fields.text("originalPartnerReferenceNo", 64)
        fields.text("serviceCode", 2, pattern=SERVICE_CODE)
        fields.text("originalReferenceNo", 64, required=False)
        fields.text("originalExternalId", 36, required=False)
        payout = self._payouts.look_up(reference)
        if payout is None:
            raise Refusal(404, "01", "Transaction Not Found")
        return self._gate.say(200, "39", **topups.looked_up(payout))

    async def balance(self, asked: Asked) -> Reply:
        """merchant/account/balance, service 11: the programme's deposit (decisions S3)."""
        info = {"balanceType": "DEPOSIT", "availableBalance": rupiah(self._world.deposit_rupiah)}
        return self._gate.say(200, asked.service, accountInfos=[info])

    async def history(self, asked: Asked) -> Reply:
        """merchant/account/history, service 12: a Jakarta day, newest first (decisions O12, S3, X12)."""
        fields = Fields(dict(asked.call.query_values()))
        day_text = fields.text("date", 10, pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}")
        number = fields.count("page", 6, 1)
        try:
            day = date.fromisoformat(day_text)
        except ValueError:
            raise malformed("date") from None
        found = page(listed(self._world, day), number)
        return self._gate.say(
            200, asked.service, detailData=[_row(booking) for booking in found.rows],
            additionalInfo={"page": str(number), "hasMore": found.more},
        )  # fmt: skip

    def _reference(self) -> str:
        return f"ovo-tx-{self._world.number()}"


def _row(booking: Booking) -> dict[str, object]:
    return {
        "partnerReferenceNo": booking.reference,
        "referenceNo": booking.partner_reference,
        "customerNumber": "0" + booking.account.removeprefix("+62"),
        **topups.row(booking),
    }
