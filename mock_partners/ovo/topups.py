"""OVO's payout, "Customer Top Up" (wallets.md 3.6): account inquiry with the NIK check, top-up, status, deposit."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from mock_partners.kit.behaviour import Behaviour, verify_behaviour
from mock_partners.kit.clock import JAKARTA, Clock
from mock_partners.kit.fields import Fields, rupiah
from mock_partners.kit.http import Abort, Reply
from mock_partners.kit.magic import refuse_if_magic
from mock_partners.kit.payouts import Answer, Duplicate, Payout, Payouts, State
from mock_partners.kit.snap import Asked, Gate, Refusal, malformed, parse_timestamp, timestamp
from mock_partners.kit.world import Account, Booking, Kind, World
from mock_partners.ovo.linking import PHONE

MAX_DISBURSEMENT_RUPIAH = 10_000_000
PAGE_ROWS = 1_000
SERVICE_CODE = "38"
STATUS = {
    State.BOOKED: ("00", "Success"),
    State.PENDING: ("03", "Pending"),
    State.REVERSED: ("04", "Refunded"),
    State.FAILED: ("06", "Failed"),
}
"""latestTransactionStatus (wallets.md 3.6)."""
LEVEL = {"full": "OVO_PREMIER", "basic": "OVO_CLUB"}
ROW_TYPE = {Kind.CREDIT: "TOPUP", Kind.REVERSAL: "REVERSAL", Kind.FEE: "FEE"}


@dataclass(frozen=True, repr=False)
class Details:
    """What a top-up was asked with, echoed by its answers."""

    customer_number: str
    external_id: str


class Topups:
    """The handlers of one OVO mock; the desk `payouts` and the world outlive a restarted app."""

    def __init__(self, world: World, clock: Clock, gate: Gate, payouts: Payouts) -> None:
        self._world, self._clock, self._gate, self._payouts = world, clock, gate, payouts

    async def inquire(self, asked: Asked) -> Reply:
        """emoney/account-inquiry, service 37. With identificationNo it is the assumed NIK check (decisions O7)."""
        fields = Fields(asked.body)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        amount = _whole(fields)
        _moment(fields, "transactionDate")
        more = fields.object("additionalInfo", required=False)
        nik = more.text("identificationNo", 16, pattern="[0-9]{16}", required=False)
        if nik:
            more.text("identificationType", 3, pattern="KTP")
        customer = self._customer(asked)
        number = fields.text("customerNumber", 32, pattern=PHONE, required=customer is None)
        account = self._known(number) if number else customer
        assert account is not None
        if customer is not None and customer is not account:
            raise Refusal(401, "02", "Invalid Customer Token")
        if not account.active:
            raise Refusal(403, "18", "Inactive Account")
        if nik:
            more_told = self._compare(account, nik, linked=customer is not None)
        else:
            self._check_caps(account, amount)
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
        behaviour = verify_behaviour(account)
        if behaviour is Behaviour.UNAVAILABLE_TWICE:
            raise Refusal(500, "00", "General Error")
        if behaviour is Behaviour.IN_PROGRESS:
            match = "IN_PROGRESS"
        elif not account.nik_on_file or account.kyc != "full":
            match = "NOT_AVAILABLE"
        else:
            same = hmac.compare_digest(account.nik_on_file.encode(), nik.encode())
            match = "MATCH" if same else "NOT_MATCH"
        return {"identificationMatch": match, "customerLevel": LEVEL[account.kyc]}

    async def top_up(self, asked: Asked) -> Reply:
        """emoney/topup, service 38. Duplicates come before business rules (snap-bni.md 6.1, decisions X7)."""
        fields = Fields(asked.body)
        reference = fields.text("partnerReferenceNo", 64)
        number, amount = fields.text("customerNumber", 32, pattern=PHONE), _whole(fields)
        _moment(fields, "transactionDate")
        fields.text("sessionId", 25, required=False)
        fields.text("notes", 255, required=False)
        fields.object("additionalInfo", required=False)
        parameters = (amount, "IDR", number)
        match self._payouts.duplicate(reference, parameters):
            case Duplicate.DIFFERENT:
                raise Refusal(404, "18", "Inconsistent Request")
            case Duplicate.BOOKED:
                raise Refusal(409, "01", "Duplicate partnerReferenceNo")
            case Duplicate.PENDING:
                return self._topped_up(202, "Request In Progress", self._payouts.get(reference))
        account = self._known(number)
        if not account.active:
            raise Refusal(403, "18", "Inactive Account")
        self._check_caps(account, amount)
        answer = await self._payouts.accept(
            reference, account, amount, parameters=parameters, partner_reference=self._reference(),
            details=Details(number, asked.external_id),
        )  # fmt: skip
        match answer:
            case None:
                raise Refusal(403, "14", "Insufficient Funds")
            case Answer.LOST:
                raise Abort
            case Answer.TIMEOUT:
                raise Refusal(504, "00", "Timeout")
            case Answer.PENDING:
                return self._topped_up(202, "Request In Progress", self._payouts.get(reference))
            case Answer.DONE:
                return self._topped_up(200, "Successful", self._payouts.get(reference))

    def _topped_up(self, status: int, message: str, payout: Payout | None) -> Reply:
        assert payout is not None
        details: Details = payout.details
        return self._gate.say(
            status, SERVICE_CODE, "00", message, referenceNo=payout.partner_reference,
            partnerReferenceNo=payout.reference, customerNumber=details.customer_number,
            amount=rupiah(payout.amount_rupiah),
        )  # fmt: skip

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
        details: Details = payout.details
        latest, text = STATUS[payout.state]
        return self._gate.say(
            200, "39", originalPartnerReferenceNo=payout.reference, originalReferenceNo=payout.partner_reference,
            originalExternalId=details.external_id, serviceCode=SERVICE_CODE, amount=rupiah(payout.amount_rupiah),
            latestTransactionStatus=latest, transactionStatusDesc=text,
        )  # fmt: skip

    async def balance(self, asked: Asked) -> Reply:
        """merchant/account/balance, service 11: the programme's deposit (decisions S3)."""
        info = {"balanceType": "DEPOSIT", "availableBalance": rupiah(self._world.deposit_rupiah)}
        return self._gate.say(200, asked.service, accountInfos=[info])

    async def history(self, asked: Asked) -> Reply:
        """merchant/account/history, service 12: every booking of one Jakarta day, oldest first (decisions O12, S3)."""
        fields = Fields(dict(asked.call.query_values()))
        day_text = fields.text("date", 10, pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}")
        page = int(fields.text("page", 6, pattern="[1-9][0-9]*", required=False) or "1")
        try:
            day = date.fromisoformat(day_text)
        except ValueError:
            raise malformed("date") from None
        start = (page - 1) * PAGE_ROWS
        rows = list(islice(self._world.booked_on(day), start, start + PAGE_ROWS + 1))
        return self._gate.say(
            200, asked.service, detailData=[_row(booking) for booking in rows[:PAGE_ROWS]],
            additionalInfo={"page": str(page), "hasMore": "Y" if len(rows) > PAGE_ROWS else "N"},
        )  # fmt: skip

    def _known(self, phone: str) -> Account:
        refuse_if_magic(phone)
        found = self._world.by_phone(phone)
        if not found:
            raise Refusal(404, "11", "Invalid Account")
        return found[0]

    def _check_caps(self, account: Account, amount_rupiah: int) -> None:
        """One disbursement's ceiling and the account's balance and month share one code (decisions O8)."""
        too_much = amount_rupiah > MAX_DISBURSEMENT_RUPIAH
        if too_much or self._world.cap_hit(account, amount_rupiah, self._clock.now()) is not None:
            raise Refusal(403, "02", "Exceeds Transaction Amount Limit")

    def _reference(self) -> str:
        return f"ovo-tx-{self._world.number()}"


def _whole(fields: Fields) -> int:
    amount = fields.amount("amount")
    assert amount is not None
    return amount


def _moment(fields: Fields, name: str) -> None:
    text = fields.text(name, 29, required=False)
    if text and parse_timestamp(text) is None:
        raise malformed(name)


def _row(booking: Booking) -> dict[str, object]:
    return {
        "partnerReferenceNo": booking.reference,
        "referenceNo": booking.partner_reference,
        "customerNumber": "0" + booking.account.removeprefix("+62"),
        "dateTime": timestamp(booking.booked_at.astimezone(JAKARTA)),
        "amount": rupiah(booking.amount_rupiah),
        "type": ROW_TYPE[booking.kind],
    }
