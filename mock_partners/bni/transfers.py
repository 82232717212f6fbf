"""BNI SNAP, `/snap-service/v1` (snap-bni.md 2.3): balance, account inquiry, intrabank transfer, status, statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain, islice

from mock_partners.bni.credentials import EMPTY_SOURCE_ACCOUNT, SOURCE_ACCOUNT
from mock_partners.kit.clock import JAKARTA, Clock
from mock_partners.kit.fields import Fields, rupiah
from mock_partners.kit.http import Abort, Reply
from mock_partners.kit.payouts import Answer, Duplicate, Payout, Payouts, State
from mock_partners.kit.snap import Asked, Gate, Refusal, malformed, parse_timestamp, timestamp
from mock_partners.kit.world import Account, Booking, Kind, World

PAGE_ROWS = 1_000
MAX_STATEMENT_DAYS = 31
DIGITS = "[0-9]+"
SERVICE_CODES = "17|18|22|23"
STATUS = {
    State.BOOKED: ("00", "Success"),
    State.PENDING: ("03", "Pending"),
    State.REVERSED: ("04", "Refunded"),
    State.FAILED: ("06", "Failed"),
}
"""latestTransactionStatus (snap-bni.md 1.12)."""


@dataclass(frozen=True, repr=False)
class Details:
    """What a transfer was asked with, echoed by its answers."""

    beneficiary: str
    source: str
    transaction_date: str
    customer_reference: str
    remark: str
    external_id: str


def fields_of(asked: Asked) -> Fields:
    """BNI answers case 01 where the standard has 02 for an empty mandatory field (snap-bni.md 2.3)."""
    return Fields(asked.body, empty_is_malformed=True)


class Transfers:
    """The handlers of one BNI mock; the desk `payouts` and the world outlive a restarted app."""

    def __init__(self, world: World, clock: Clock, gate: Gate, payouts: Payouts) -> None:
        self._world, self._clock, self._gate, self._payouts = world, clock, gate, payouts

    def reference(self) -> str:
        """BNI's own reference number: the day and a running number."""
        return f"{self._clock.now():%Y%m%d}{self._world.number():012d}"

    async def balance(self, asked: Asked) -> Reply:
        """balance-inquiry, service 11, of the programme's own accounts."""
        fields = fields_of(asked)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        number = fields.text("accountNo", 19, pattern=DIGITS)
        if number not in (SOURCE_ACCOUNT, EMPTY_SOURCE_ACCOUNT):
            raise malformed("accountNo")
        available = rupiah(self._world.deposit_rupiah if number == SOURCE_ACCOUNT else 0)
        info = {"balanceType": "Cash", "amount": available, "availableBalance": available, "status": "0001"}
        return self._gate.say(
            200, "11", referenceNo=self.reference(), partnerReferenceNo=reference, accountNo=number,
            name="KARTU PRAKERJA", accountInfos=[info], additionalInfo={},
        )  # fmt: skip

    async def inquire(self, asked: Asked) -> Reply:
        """account-inquiry-internal, service 15: 4001501 for an inactive account (snap-bni.md 2.3), 4041511 unknown."""
        fields = fields_of(asked)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        account = self._world.accounts.get(fields.text("beneficiaryAccountNo", 34, pattern=DIGITS))
        if account is None:
            raise Refusal(404, "11", "Invalid Account")
        if not account.active:
            raise malformed("beneficiaryAccountNo")
        return self._gate.say(
            200, "15", referenceNo=self.reference(), partnerReferenceNo=reference,
            beneficiaryAccountName=account.holder_name, beneficiaryAccountNo=account.account,
            beneficiaryAccountStatus="Rekening aktif", beneficiaryAccountType="S", currency="IDR", additionalInfo={},
        )  # fmt: skip

    async def transfer(self, asked: Asked) -> Reply:
        """transfer-intrabank, service 17. Duplicates come before business rules (snap-bni.md 6.1, decisions X7)."""
        fields = fields_of(asked)
        reference, amount, details = self._read_transfer(fields, asked.external_id)
        parameters = (amount, "IDR", details.beneficiary, details.source)
        match self._payouts.duplicate(reference, parameters):
            case Duplicate.DIFFERENT:
                raise Refusal(404, "18", "Inconsistent Request")
            case Duplicate.BOOKED:
                raise Refusal(409, "01", "Duplicate partnerReferenceNo")
            case Duplicate.PENDING:
                payout = self._payouts.get(reference)
                assert payout is not None
                return self._transferred(202, "Request In Progress", payout)
        account = self._payable(details)
        answer = await self._payouts.accept(
            reference, account, amount, parameters=parameters, partner_reference=self.reference(), details=details
        )
        payout = self._payouts.get(reference)
        match answer:
            case None:
                raise Refusal(403, "14", "Insufficient Funds")
            case Answer.LOST:
                raise Abort
            case Answer.TIMEOUT:
                raise Refusal(504, "00", "Timeout")
        assert payout is not None
        if answer is Answer.PENDING:
            return self._transferred(202, "Request In Progress", payout)
        return self._transferred(200, "Request has been processed successfully", payout)

    def _read_transfer(self, fields: Fields, external_id: str) -> tuple[str, int, Details]:
        reference = fields.text("partnerReferenceNo", 64)
        amount = fields.amount("amount")
        assert amount is not None
        if fields.text("currency", 3, required=False) not in ("", "IDR"):
            raise malformed("currency")
        fields.text("beneficiaryEmail", 50, required=False)
        fields.text("feeType", 25, required=False)
        details = Details(
            beneficiary=fields.text("beneficiaryAccountNo", 34, pattern=DIGITS),
            source=fields.text("sourceAccountNo", 19, pattern=DIGITS),
            transaction_date=fields.text("transactionDate", 25),
            customer_reference=fields.text("customerReference", 30, required=False),
            remark=fields.text("remark", 50, required=False),
            external_id=external_id,
        )
        if parse_timestamp(details.transaction_date) is None:
            raise malformed("transactionDate")
        return reference, amount, details

    def _payable(self, details: Details) -> Account:
        if details.source == EMPTY_SOURCE_ACCOUNT:
            raise Refusal(403, "14", "Insufficient Funds")
        if details.source != SOURCE_ACCOUNT:
            raise Refusal(403, "15", "Transaction Not Permitted. [sourceAccountNo]")
        account = self._world.accounts.get(details.beneficiary)
        if account is None:
            raise Refusal(404, "11", "Invalid Account")
        if not account.active:
            raise Refusal(403, "18", "Inactive Account")
        return account

    def _transferred(self, status: int, message: str, payout: Payout) -> Reply:
        details: Details = payout.details
        return self._gate.say(
            status, "17", "00", message, referenceNo=payout.partner_reference, partnerReferenceNo=payout.reference,
            amount=rupiah(payout.amount_rupiah), beneficiaryAccountNo=details.beneficiary, currency="IDR",
            customerReference=details.customer_reference, sourceAccountNo=details.source,
            transactionDate=details.transaction_date, additionalInfo={},
        )  # fmt: skip

    async def status(self, asked: Asked) -> Reply:
        """transfer/status, service 36; the state is latestTransactionStatus, unknown is 4043601 (decisions B9)."""
        fields = fields_of(asked)
        reference = fields.text("originalPartnerReferenceNo", 64)
        service = fields.text("serviceCode", 2, pattern=SERVICE_CODES)
        fields.text("originalReferenceNo", 64, required=False)
        fields.text("originalExternalId", 36, required=False)
        fields.text("transactionDate", 25, required=False)
        fields.amount("amount", required=False)
        payout = self._payouts.look_up(reference) if service == "17" else None
        if payout is None:
            raise Refusal(404, "01", "Transaction Not Found")
        details: Details = payout.details
        latest, text = STATUS[payout.state]
        return self._gate.say(
            200, "36", originalPartnerReferenceNo=payout.reference, originalReferenceNo=payout.partner_reference,
            originalExternalId=details.external_id, serviceCode=service, transactionDate=details.transaction_date,
            amount=rupiah(payout.amount_rupiah), beneficiaryAccountNo=details.beneficiary,
            referenceNumber=payout.partner_reference, sourceAccountNo=details.source,
            latestTransactionStatus=latest, transactionStatusDesc=text, additionalInfo={},
        )  # fmt: skip

    async def statement(self, asked: Asked) -> Reply:
        """bank-statement, service 14: every booking of the days asked for, oldest first (decisions S5)."""
        fields = fields_of(asked)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        if fields.text("accountNo", 19, pattern=DIGITS) != SOURCE_ACCOUNT:
            raise malformed("accountNo")
        first, last = self._day(fields, "fromDateTime"), self._day(fields, "toDateTime")
        if not 0 <= (last - first).days < MAX_STATEMENT_DAYS:
            raise malformed("toDateTime")
        options = fields.object("additionalInfo", required=False)
        page = int(options.text("page", 6, pattern="[1-9][0-9]*", required=False) or "1")
        days = (self._world.booked_on(first + timedelta(days=n)) for n in range((last - first).days + 1))
        start = (page - 1) * PAGE_ROWS
        rows = list(islice(chain.from_iterable(days), start, start + PAGE_ROWS + 1))
        return self._gate.say(
            200, "14", referenceNo=self.reference(), partnerReferenceNo=reference,
            detailData=[self._row(booking) for booking in rows[:PAGE_ROWS]],
            additionalInfo={"page": str(page), "hasMore": "Y" if len(rows) > PAGE_ROWS else "N"},
        )  # fmt: skip

    @staticmethod
    def _day(fields: Fields, name: str) -> date:
        moment: datetime | None = parse_timestamp(fields.text(name, 29))
        if moment is None:
            raise malformed(name)
        return moment.astimezone(JAKARTA).date()

    def _row(self, booking: Booking) -> dict[str, object]:
        payout = self._payouts.get(booking.reference)
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
                "kind": {Kind.CREDIT: "TRANSFER", Kind.REVERSAL: "REVERSAL", Kind.FEE: "FEE"}[booking.kind],
            },
        }
