"""BNI SNAP, `/snap-service/v1` (snap-bni.md 2.3): balance, account inquiries, transfers within and between banks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mock_partners.bni.banks import holder, known_bank
from mock_partners.bni.credentials import EMPTY_SOURCE_ACCOUNTS, SOURCE_ACCOUNTS
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Reply
from mock_partners.kit.payouts import Payout, Payouts
from mock_partners.kit.snap.fields import Fields, rupiah
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.magic import refuse_if_magic
from mock_partners.kit.snap.payments import Order, active, pay
from mock_partners.kit.snap.refusals import Refusal, malformed
from mock_partners.kit.snap.signatures import parse_timestamp
from mock_partners.kit.world import Account, World

DIGITS = "[0-9]+"
INTRABANK, INTERBANK = "17", "18"


@dataclass(frozen=True, repr=False)
class Details:
    """What a transfer was asked with, echoed by its answers."""

    beneficiary: str
    source: str
    transaction_date: str
    customer_reference: str
    remark: str
    external_id: str
    service: str = INTRABANK
    bank_code: str = ""


def fields_of(asked: Asked) -> Fields:
    """BNI answers case 01 where the standard has 02 for an empty mandatory field (snap-bni.md 2.3)."""
    return Fields(asked.body, empty_is_malformed=True)


def amount_of(fields: Fields, *, decimals_needed: bool = True) -> int:
    """Whole rupiah; BNI's own interbank samples have no decimals, which RTGS refuses (snap-bni.md 2.3)."""
    money = fields.object("amount")
    value = money.text("value", 19)
    if not decimals_needed and value.isascii() and value.isdecimal():
        value = f"{value}.00"
    return Fields({"amount": {"value": value, "currency": money.text("currency", 3)}}).amount("amount")


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
        refuse_if_magic(number)
        if number not in SOURCE_ACCOUNTS + EMPTY_SOURCE_ACCOUNTS:
            raise malformed("accountNo")
        available = rupiah(self._world.deposit_rupiah if number in SOURCE_ACCOUNTS else 0)
        info = {"balanceType": "Cash", "amount": available, "availableBalance": available, "status": "0001"}
        return self._gate.say(
            200, "11", referenceNo=self.reference(), partnerReferenceNo=reference, accountNo=number,
            name="KARTU PRAKERJA", accountInfos=[info], additionalInfo={},
        )  # fmt: skip

    async def inquire(self, asked: Asked) -> Reply:
        """account-inquiry-internal, service 15: 4001501 for an inactive account (snap-bni.md 2.3), 4041511 unknown."""
        fields = fields_of(asked)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        number = fields.text("beneficiaryAccountNo", 34, pattern=DIGITS)
        refuse_if_magic(number)
        account = self._world.accounts.get(number)
        if account is None:
            raise Refusal(404, "11", "Invalid Account")
        if not account.active:
            raise malformed("beneficiaryAccountNo")
        return self._gate.say(
            200, "15", referenceNo=self.reference(), partnerReferenceNo=reference,
            beneficiaryAccountName=account.holder_name, beneficiaryAccountNo=account.account,
            beneficiaryAccountStatus="Rekening aktif", beneficiaryAccountType="S", currency="IDR", additionalInfo={},
        )  # fmt: skip

    async def inquire_external(self, asked: Asked) -> Reply:
        """account-inquiry-external, service 16: who owns an account at another bank."""
        fields = fields_of(asked)
        reference = fields.text("partnerReferenceNo", 64, required=False)
        code = fields.text("beneficiaryBankCode", 11)
        number = fields.text("beneficiaryAccountNo", 34, pattern=DIGITS)
        bank = known_bank(code)
        return self._gate.say(
            200, "16", referenceNo=self.reference(), partnerReferenceNo=reference,
            beneficiaryAccountName=holder(bank, number).holder_name, beneficiaryAccountNo=number,
            beneficiaryBankCode=code, beneficiaryBankName=bank.name, currency="IDR", additionalInfo={},
        )  # fmt: skip

    async def transfer(self, asked: Asked) -> Reply:
        """transfer-intrabank, service 17. Duplicates come before business rules (snap-bni.md 6.1, decisions X7)."""
        fields = fields_of(asked)
        reference, amount = fields.text("partnerReferenceNo", 64), amount_of(fields)
        return await self._pay(reference, amount, read_details(fields, asked))

    async def transfer_interbank(self, asked: Asked) -> Reply:
        """transfer-interbank, service 18: synchronous, through the switch; amounts may come without decimals."""
        fields = fields_of(asked)
        reference, amount = fields.text("partnerReferenceNo", 64), amount_of(fields, decimals_needed=False)
        read_beneficiary(fields)
        return await self._pay(reference, amount, read_details(fields, asked, bank_limit=11))

    async def _pay(self, reference: str, amount: int, details: Details) -> Reply:
        parameters = (amount, "IDR", details.beneficiary, details.source, details.service, details.bank_code)
        order = Order(reference, amount, parameters, details)
        done = "Request has been processed successfully"
        return await pay(
            self._payouts, order, lambda: self._payable(details), self.reference, self._transferred, done=done
        )

    def _payable(self, details: Details) -> Account:
        check_source(details.source)
        if details.service == INTERBANK:
            return holder(known_bank(details.bank_code), details.beneficiary)
        refuse_if_magic(details.beneficiary)
        account = self._world.accounts.get(details.beneficiary)
        if account is None:
            raise Refusal(404, "11", "Invalid Account")
        return active(account)

    def _transferred(self, status: int, message: str, payout: Payout) -> Reply:
        details: Details = payout.details
        more: dict[str, Any] = {}
        if details.service == INTERBANK:
            more = {"beneficiaryBankCode": details.bank_code, "traceNo": payout.partner_reference[-12:]}
        return self._gate.say(
            status, details.service, "00", message, referenceNo=payout.partner_reference,
            partnerReferenceNo=payout.reference, amount=rupiah(payout.amount_rupiah),
            beneficiaryAccountNo=details.beneficiary, currency="IDR", customerReference=details.customer_reference,
            sourceAccountNo=details.source, transactionDate=details.transaction_date, **more, additionalInfo={},
        )  # fmt: skip


def read_details(fields: Fields, asked: Asked, *, bank_limit: int = 0) -> Details:
    """The fields that all transfers share (snap-bni.md 1.11); `bank_limit`: the beneficiary's bank is named too."""
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
        external_id=asked.external_id,
        service=asked.service,
        bank_code=fields.text("beneficiaryBankCode", bank_limit) if bank_limit else "",
    )
    if parse_timestamp(details.transaction_date) is None:
        raise malformed("transactionDate")
    return details


def read_beneficiary(fields: Fields) -> str:
    """The name of a beneficiary at another bank, and what else may be said of them (snap-bni.md 1.11)."""
    fields.text("beneficiaryAddress", 100, required=False)
    fields.text("beneficiaryBankName", 50, required=False)
    return fields.text("beneficiaryAccountName", 100)


def check_source(number: str) -> None:
    """The account to pay from must be the programme's and not one of the two that are always empty."""
    if number in EMPTY_SOURCE_ACCOUNTS:
        raise Refusal(403, "14", "Insufficient Funds")
    if number not in SOURCE_ACCOUNTS:
        raise Refusal(403, "15", "Transaction Not Permitted. [sourceAccountNo]")
