"""One Gate Payment's operations (snap-bni.md 2.2): balance, inquiries, payment, status, the switch in two steps."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mock_partners.bni.banks import Bank, bank_of, holder
from mock_partners.bni.credentials import EMPTY_SOURCE_ACCOUNTS, SOURCE_ACCOUNTS
from mock_partners.bni.onegate import OgpRefusal, OneGate, unknown_output
from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import Clock, Kind, Scheduler
from mock_partners.kit.http import Abort, Route
from mock_partners.kit.payouts import Answer, Duplicate, Payout, Payouts, State
from mock_partners.kit.snap.refusals import Refusal
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World

IN_HOUSE, RTGS, CLEARING = "0", "1", "2"
SWITCH = "switch"
STATUS = {State.BOOKED: "Y", State.PENDING: None, State.FAILED: "N", State.REVERSED: "R"}
"""transactionStatus: Y is done (seen); null while it is open, N and R are assumed."""
CHARGING = "OUR|BEN|SHA"
FIRST_RETRIEVAL = 100_000_000_000


@dataclass(frozen=True, repr=False)
class Details:
    """What a payment was asked with, told again by its status."""

    debit: str
    credit: str
    rail: str


@dataclass(frozen=True, repr=False)
class Inquired:
    """What an interbank inquiry promised; its payment must say the same."""

    bank: Bank
    account: Account


def _sample() -> dict[str, Inquired]:
    """The inquiry that the payment in BNI's SDKs' own tests refers to."""
    bank = bank_of("014")
    assert bank is not None
    return {"100000000097": Inquired(bank, holder(bank, "01400000"))}


@dataclass(repr=False)
class OgpDesk:
    """Interbank inquiries by retrievalReffNum, and the payments that settle by the clock."""

    inquiries: dict[str, Inquired] = field(default_factory=_sample)
    clearing: dict[str, Payout] = field(default_factory=dict)


class Payments:
    """The handlers of `/H2H/v2`; `payouts` is a desk of its own, since references are the operation family's own."""

    def __init__(
        self, world: World, clock: Clock, scheduler: Scheduler, waits: Waits, gate: OneGate, payouts: Payouts,
        bank_reference: Callable[[], str],
    ) -> None:  # fmt: skip
        self._world, self._clock, self._scheduler, self._waits = world, clock, scheduler, waits
        self._gate, self._payouts, self._bank_reference = gate, payouts, bank_reference
        self._desk = world.keep("ogp.desk", OgpDesk)

    def routes(self) -> list[Route]:
        """The six paths and the wrapper of each one's answer."""
        operations = {
            "getbalance": ("getBalanceResponse", self._balance),
            "getinhouseinquiry": ("getInHouseInquiryResponse", self._inquire),
            "dopayment": ("doPaymentResponse", self._pay),
            "getpaymentstatus": ("getPaymentStatusResponse", self._status),
            "getinterbankinquiry": ("getInterbankInquiryResponse", self._inquire_interbank),
            "getinterbankpayment": ("getInterbankPaymentResponse", self._pay_interbank),
        }
        return [
            Route("POST", f"/H2H/v2/{name}", self._gate.operation(wrapper, run))
            for name, (wrapper, run) in operations.items()
        ]

    async def _balance(self, body: dict[str, Any]) -> dict[str, Any]:
        """The programme's accounts share the deposit; BNI's samples also ask for a customer's."""
        number = _text(body, "accountNo", "[0-9]{1,19}")
        if _is_ours(number):
            name, balance = "KARTU PRAKERJA", self._world.deposit_rupiah
        else:
            account = self._account(number)
            name, balance = f"Bpk {account.holder_name}", account.balance_rupiah
        return {"customerName": name, "accountCurrency": "IDR", "accountBalance": balance}

    async def _inquire(self, body: dict[str, Any]) -> dict[str, Any]:
        account = self._account(_text(body, "accountNo", "[0-9]{1,19}"))
        return {
            "customerName": f"Bpk {account.holder_name}",
            "accountCurrency": "IDR",
            "accountNumber": account.account,
            "accountStatus": "BUKA" if account.active else "TUTUP",
            "accountType": "DEP",
        }

    async def _pay(self, body: dict[str, Any]) -> dict[str, Any]:
        """dopayment: in-house at once; RTGS and clearing are taken and settle by the clock."""
        reference = _text(body, "customerReferenceNumber", ".{1,20}")
        rail = _text(body, "paymentMethod", "[012]")
        _text(body, "valueDate", "[0-9]{17}")
        _text(body, "valueCurrency", "IDR")
        amount = _amount(body, "valueAmount")
        for name, limit in (("remark", 255), ("beneficiaryEmailAddress", 255), ("beneficiaryAddress2", 50)):
            _text(body, name, f".{{0,{limit}}}", required=False)
        _text(body, "chargingModelId", CHARGING, required=False)
        details = Details(
            _text(body, "debitAccountNo", "[0-9]{1,19}"), _text(body, "creditAccountNo", "[0-9]{1,34}"), rail
        )
        if rail == IN_HOUSE:
            account = self._account(details.credit)
            if not account.active:
                raise OgpRefusal("Credit account is not active")
        else:
            for name in ("beneficiaryName", "beneficiaryAddress1"):
                _text(body, name, ".{1,50}")
            account = _other_bank(_text(body, "destinationBankCode", "[A-Z0-9]{8,11}"), details.credit)[1]
        payout = await self._accept(reference, account, amount, details)
        return {
            "debitAccountNo": _number(details.debit),
            "creditAccountNo": _number(details.credit),
            "valueAmount": amount,
            "valueCurrency": "IDR",
            "bankReference": _number(payout.partner_reference),
            "customerReference": _number(reference),
        }

    async def _status(self, body: dict[str, Any]) -> dict[str, Any]:
        reference = _text(body, "customerReferenceNumber", ".{1,20}")
        payout = self._desk.clearing.get(reference) or self._payouts.look_up(reference)
        if payout is None:
            raise OgpRefusal("Transaction not found")
        details: Details = payout.details
        previous = {
            "transactionStatus": STATUS[payout.state],
            "previousResponseCode": None,
            "previousResponseMessage": None,
            "previousResponseTimestamp": self._gate.now(),
            "debitAccountNo": _number(details.debit),
            "creditAccountNo": _number(details.credit),
            "valueAmount": payout.amount_rupiah,
            "valueCurrency": "IDR",
        }
        return {
            "previousResponse": previous,
            "bankReference": _number(payout.partner_reference),
            "customerReference": _number(reference),
        }

    async def _inquire_interbank(self, body: dict[str, Any]) -> dict[str, Any]:
        """The first step through the switch: whose account it is, and the number that the second must bring."""
        _text(body, "customerReferenceNumber", ".{1,20}")
        _source(_text(body, "accountNum", "[0-9]{1,19}"))
        number = _text(body, "destinationAccountNum", "[0-9]{1,34}")
        bank, account = _other_bank(_text(body, "destinationBankCode", "[0-9]{3}"), number)
        retrieval = FIRST_RETRIEVAL + self._world.number()
        self._desk.inquiries[str(retrieval)] = Inquired(bank, account)
        return {
            "destinationAccountNum": number,
            "destinationAccountName": account.holder_name,
            "destinationBankName": bank.name,
            "retrievalReffNum": retrieval,
        }

    async def _pay_interbank(self, body: dict[str, Any]) -> dict[str, Any]:
        """The second step: pays what was inquired, once for each retrievalReffNum."""
        reference = _text(body, "customerReferenceNumber", ".{1,20}")
        amount = _amount(body, "amount")
        number = _text(body, "destinationAccountNum", "[0-9]{1,34}")
        code = _text(body, "destinationBankCode", "[0-9]{3}")
        name = _text(body, "destinationAccountName", ".{1,100}")
        _text(body, "destinationBankName", ".{1,50}")
        retrieval = str(body.get("retrievalReffNum", ""))
        inquired = self._desk.inquiries.get(retrieval)
        if inquired is None or (inquired.bank.code, inquired.account.account) != (code, number):
            raise OgpRefusal("Invalid retrievalReffNum")
        details = Details(_text(body, "accountNum", "[0-9]{1,19}"), number, SWITCH)
        await self._accept(reference, inquired.account, amount, details)
        del self._desk.inquiries[retrieval]
        return {
            "destinationAccountNum": _number(number),
            "destinationAccountName": name,
            "customerReffNum": _number(reference),
            "accountName": "KARTU PRAKERJA",
        }

    async def _accept(self, reference: str, account: Account, amount: int, details: Details) -> Payout:
        """Takes a payment once; a reference that was used already is refused, whatever it asks for (assumed)."""
        parameters = (amount, details)
        used = self._payouts.duplicate(reference, parameters) is not Duplicate.NEW
        clearing = self._desk.clearing.get(reference)
        if used or (clearing is not None and clearing.state is not State.FAILED):
            raise OgpRefusal("Duplicate customerReferenceNumber")
        _source(details.debit)
        if details.rail in (RTGS, CLEARING):
            return self._take_for_clearing(reference, account, amount, details)
        answer = await self._payouts.accept(
            reference, account, amount, parameters=parameters, partner_reference=self._bank_reference(),
            details=details,
        )  # fmt: skip
        payout = self._payouts.get(reference)
        match answer:
            case None:
                raise OgpRefusal("Insufficient balance")
            case Answer.LOST:
                raise Abort
            case Answer.TIMEOUT | Answer.PENDING:
                raise unknown_output()
        assert payout is not None
        return payout

    def _take_for_clearing(self, reference: str, account: Account, amount: int, details: Details) -> Payout:
        if not self._world.withdraw(amount):
            raise OgpRefusal("Insufficient balance")
        payout = Payout(
            reference, self._bank_reference(), account, amount, (amount, details), details, account.behaviour,
            State.PENDING, self._clock.now(),
        )  # fmt: skip
        self._desk.clearing[reference] = payout
        self._scheduler.after(self._waits.settlement_s, Kind.UNSETTLED, lambda: self._settle(payout))
        return payout

    def _settle(self, payout: Payout) -> None:
        if payout.behaviour is Behaviour.PENDING_THEN_FAILED:
            self._world.refund(payout.amount_rupiah)
            payout.state = State.FAILED
            return
        payout.credit = self._world.credit(
            payout.account, payout.amount_rupiah, reference=payout.reference,
            partner_reference=payout.partner_reference, at=self._clock.now(),
        )  # fmt: skip
        payout.state = State.BOOKED

    def _account(self, number: str) -> Account:
        """An account at BNI; samples leave the leading zero out."""
        account = self._world.accounts.get(number) or self._world.accounts.get(number.zfill(10))
        if account is None:
            raise OgpRefusal("Account not found")
        return account


def _other_bank(code: str, number: str) -> tuple[Bank, Account]:
    bank = bank_of(code)
    if bank is None:
        raise OgpRefusal("Destination bank not found")
    try:
        return bank, holder(bank, number)
    except Refusal as refusal:
        if refusal.status >= 500:
            raise unknown_output() from None
        raise OgpRefusal(refusal.message) from None


def _is_ours(number: str) -> bool:
    """Whether it is one of the programme's accounts; samples leave the leading zero out."""
    return number in SOURCE_ACCOUNTS or number.zfill(10) in SOURCE_ACCOUNTS


def _source(number: str) -> None:
    if number in EMPTY_SOURCE_ACCOUNTS:
        raise OgpRefusal("Insufficient balance")
    if not _is_ours(number):
        raise OgpRefusal("Debit account not found")


def _text(body: dict[str, Any], name: str, pattern: str, *, required: bool = True) -> str:
    value = body.get(name)
    if not required and value in (None, ""):
        return ""
    if not isinstance(value, str) or not re.fullmatch(pattern, value, re.DOTALL):
        raise OgpRefusal(f"Invalid {name}")
    return value


def _amount(body: dict[str, Any], name: str) -> int:
    """Whole rupiah as digits or as a number: BNI's SDKs send either."""
    value = body.get(name)
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not re.fullmatch("[1-9][0-9]{0,15}", text):
        raise OgpRefusal(f"Invalid {name}")
    return int(text)


def _number(text: str) -> int | str:
    """BNI's documented answers turn digits into JSON numbers, however long; a leading zero keeps a text (2.2)."""
    return int(text) if re.fullmatch("[1-9][0-9]*", text) else text
