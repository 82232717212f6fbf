"""What BNI tells of payments afterwards: transfer/status of all four rails, and the account's statement."""

from __future__ import annotations

from collections.abc import Callable

from mock_partners.bni.clearing import Clearing
from mock_partners.bni.credentials import SOURCE_ACCOUNTS
from mock_partners.bni.transfers import DIGITS, Details, amount_of, fields_of
from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.http import Reply
from mock_partners.kit.payouts import Payout, Payouts
from mock_partners.kit.snap.fields import rupiah
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.payments import latest
from mock_partners.kit.snap.refusals import Refusal, malformed
from mock_partners.kit.snap.signatures import timestamp
from mock_partners.kit.statements import listed, page
from mock_partners.kit.world import Booking, Kind, World

MAX_STATEMENT_DAYS = 31
SERVICE_CODES = "17|18|22|23"
ROW_KIND = {Kind.CREDIT: "TRANSFER", Kind.REVERSAL: "REVERSAL", Kind.FEE: "FEE", Kind.OTHER: "ADJUSTMENT"}


class Statements:
    """The handlers of looking back."""

    def __init__(
        self, world: World, gate: Gate, payouts: Payouts, clearing: Clearing, reference: Callable[[], str]
    ) -> None:  # fmt: skip
        self._world, self._gate, self._payouts = world, gate, payouts
        self._clearing, self._reference = clearing, reference

    async def status(self, asked: Asked) -> Reply:
        """transfer/status, service 36; the state is latestTransactionStatus, unknown is 4043601 (decisions B9)."""
        fields = fields_of(asked)
        reference = fields.text("originalPartnerReferenceNo", 64)
        service = fields.text("serviceCode", 2, pattern=SERVICE_CODES)
        fields.text("originalReferenceNo", 64, required=False)
        fields.text("originalExternalId", 36, required=False)
        fields.text("transactionDate", 25, required=False)
        if asked.body.get("amount"):
            amount_of(fields, decimals_needed=False)
        payout = self._find(service, reference)
        if payout is None:
            raise Refusal(404, "01", "Transaction Not Found")
        details: Details = payout.details
        bank = {"beneficiaryBankCode": details.bank_code} if details.bank_code else {}
        return self._gate.say(
            200, "36", originalPartnerReferenceNo=payout.reference, originalReferenceNo=payout.partner_reference,
            originalExternalId=details.external_id, serviceCode=service, transactionDate=details.transaction_date,
            amount=rupiah(payout.amount_rupiah), beneficiaryAccountNo=details.beneficiary, **bank,
            referenceNumber=payout.partner_reference, sourceAccountNo=details.source,
            **latest(payout), additionalInfo={},
        )  # fmt: skip

    def _find(self, service: str, reference: str) -> Payout | None:
        """A payment of that very rail; only a look-up that meets it counts."""
        if service in ("22", "23"):
            return self._clearing.get(service, reference)
        known = self._payouts.get(reference)
        return self._payouts.look_up(reference) if known is not None and known.details.service == service else None

    async def statement(self, asked: Asked) -> Reply:
        """bank-statement, service 14: every booking of the days asked for, newest first (decisions S5, X12)."""
        fields = fields_of(asked)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        if fields.text("accountNo", 19, pattern=DIGITS) not in SOURCE_ACCOUNTS:
            raise malformed("accountNo")
        first, days = fields.days(29, MAX_STATEMENT_DAYS)
        options = fields.object("additionalInfo", required=False)
        number = options.count("page", 6, 1)
        found = page(listed(self._world, first, days), number)
        return self._gate.say(
            200, "14", referenceNo=self._reference(), partnerReferenceNo=reference,
            detailData=[self._row(booking) for booking in found.rows],
            additionalInfo={"page": str(number), "hasMore": found.more},
        )  # fmt: skip

    def _row(self, booking: Booking) -> dict[str, object]:
        payout = self._payouts.get(booking.reference) or self._clearing.by_reference(booking.reference)
        reversal = booking.kind is Kind.REVERSAL
        return {
            "amount": rupiah(booking.amount_rupiah),
            "transactionDate": timestamp(booking.booked_at.astimezone(JAKARTA)),
            "remark": payout.details.remark if payout is not None else "",
            "transactionId": booking.partner_reference,
            "type": "CREDIT" if reversal else "DEBIT",
            "additionalInfo": {
                "partnerReferenceNo": booking.reference,
                "beneficiaryAccountNo": booking.account,
                "kind": ROW_KIND[booking.kind],
            },
        }
