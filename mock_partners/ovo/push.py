"""OVO's legacy push-to-pay, `/pos` (wallets.md 3.4): takes money from a customer; linking and payout do without it."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Call, Reply, json_reply
from mock_partners.kit.world import Account, World
from mock_partners.ovo.credentials import PUSH_APP_ID, PUSH_APP_KEY
from mock_partners.ovo.linking import PHONE

PAY, REVERSE, VOID = ("0200", "040000"), ("0400", "040000"), ("0200", "020040")
STATUS, VOID_STATUS, INQUIRY = ("0100", "040000"), ("0100", "020040"), ("0100", "050000")
ANSWER_TYPE = {"0200": "0210", "0400": "0410", "0100": "0110"}
NOBODY_ANSWERED = Reply(404)
"""An empty 404: the customer did not answer, or the payment asked after never was (wallets.md 3.4)."""


@dataclass(repr=False)
class Payment:
    """One payment by its batch and reference number; `undone_by` names the reversal or void that gave it back."""

    account: Account
    amount_rupiah: int
    number: int
    undone_by: tuple[str, str] | None = None


def push_hmac(key: str, app_id: str, random: str, body: bytes) -> str:
    """Hex HMAC-SHA256 with the key as text; what OVO's printed sample signs has no body (V11)."""
    return hmac.new(key.encode(), f"{app_id}{random}".encode() + body, hashlib.sha256).hexdigest()


class Push:
    """The handler of `/pos`. `include_body`: OVO's document says that the body is signed, its sample that it is not."""

    def __init__(self, world: World, clock: Clock, *, include_body: bool = False) -> None:
        self._world, self._clock, self._include_body = world, clock, include_body
        self._payments: dict[tuple[str, str], Payment] = world.keep("push", dict)
        self._invoices: set[str] = world.keep("push.invoices", set)
        """Each merchantInvoice is paid once, also after it was given back (decisions O14)."""

    async def handle(self, call: Call) -> Reply:
        """Answers in HTTP 200 with a two-digit responseCode, or an empty 404."""
        signed = push_hmac(
            PUSH_APP_KEY, PUSH_APP_ID, call.header("random"), call.body if self._include_body else b""
        ).encode()
        known = call.header("app-id") == PUSH_APP_ID and re.fullmatch("[0-9]{10}", call.header("random"))
        if not known or not hmac.compare_digest(signed, call.header("hmac").encode("utf-8", "replace")):
            return json_reply(200, {"responseCode": "63"})
        try:
            message = msgspec.json.decode(call.body, type=Message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return json_reply(200, {"responseCode": "30"})
        code = self._done(message)
        return NOBODY_ANSWERED if code is None else json_reply(200, self._told(message, code))

    def _told(self, message: Message, code: str) -> dict[str, Any]:
        """The answer's fields (decisions O14); approvalCode and traceNumber are the payment's, made once."""
        payment, now = self._payments.get(message.key), self._clock.now()
        told = {
            "type": ANSWER_TYPE[message.type], "processingCode": message.processing_code, "amount": message.amount,
            "date": message.date, "referenceNumber": message.reference_number, "tid": message.tid, "mid": message.mid,
            "merchantId": message.merchant_id, "storeCode": message.store_code, "appSource": message.app_source,
            "merchantInvoice": message.invoice, "hostDate": f"{now:%Y-%m-%d}", "hostTime": f"{now:%H:%M:%S}",
            "approvalCode": "", "traceNumber": "", "responseCode": code, "transactionResponseData": {},
        }  # fmt: skip
        if payment is not None:
            trace = f"{payment.number:06d}"
            data = {"fullName": payment.account.holder_name, "storeAddress1": "", "ovoid": payment.account.phone}
            told |= {"approvalCode": trace, "traceNumber": trace, "transactionResponseData": data}
        return told

    def _done(self, message: Message) -> str | None:
        """The response code of an operation; None is the empty 404."""
        service = (message.type, message.processing_code)
        payment = self._payments.get(message.key)
        if service == INQUIRY:
            account = self._account(message)
            return "14" if account is None else "00" if account.active else "64"
        if service == PAY:
            return self._pay(message, payment)
        if service in (REVERSE, VOID):
            return self._undo(service, message, payment)
        if service in (STATUS, VOID_STATUS):
            wanted = (None,) if service == STATUS else (VOID,)
            return "00" if payment is not None and payment.undone_by in wanted else None
        return "30"

    def _pay(self, message: Message, payment: Payment | None) -> str:
        if payment is not None:
            return "58"
        if message.invoice and message.invoice in self._invoices:
            return "25"
        if message.amount <= 0:
            return "13"
        account = self._account(message)
        if account is None:
            return "14"
        if not account.active:
            return "64"
        if account.balance_rupiah < message.amount:
            return "51"
        account.balance_rupiah -= message.amount
        self._payments[message.key] = Payment(account, message.amount, self._world.number())
        if message.invoice:
            self._invoices.add(message.invoice)
        return "00"

    @staticmethod
    def _undo(service: tuple[str, str], message: Message, payment: Payment | None) -> str | None:
        """Gives the money back once; a reversal may be sent several times (wallets.md 3.4)."""
        if payment is None:
            return None
        if payment.amount_rupiah != message.amount:
            return "30"
        if payment.undone_by is None:
            payment.account.balance_rupiah += payment.amount_rupiah
            payment.undone_by = service
        return "00" if payment.undone_by == service else "44"

    def _account(self, message: Message) -> Account | None:
        phone = message.transaction_request_data.get("phone")
        if not isinstance(phone, str) or not re.fullmatch(PHONE, phone):
            return None
        return self._world.wallet(phone)


class Message(msgspec.Struct, rename="camel", frozen=True):
    """OVO's ISO-8583-like body; the fields that the mock reads (wallets.md 3.4)."""

    type: str
    processing_code: str
    amount: int
    date: str
    reference_number: str
    transaction_request_data: dict[str, Any]
    tid: str = ""
    mid: str = ""
    merchant_id: str = ""
    store_code: str = ""
    app_source: str = ""

    @property
    def invoice(self) -> str:
        return str(self.transaction_request_data.get("merchantInvoice") or "")

    @property
    def key(self) -> tuple[str, str]:
        return str(self.transaction_request_data.get("batchNo")), self.reference_number

    def __post_init__(self) -> None:
        if self.type not in ANSWER_TYPE or not re.fullmatch("[0-9]{6}", self.reference_number):
            raise ValueError("not a message of push-to-pay")
