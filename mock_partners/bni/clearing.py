"""RTGS and SKN, the rails that settle later (snap-bni.md 1.11, 1.13): taken at once, settled by the clock, notified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from mock_partners.bni.banks import holder, known_bank
from mock_partners.bni.credentials import CLEARING_SOURCE_ACCOUNTS
from mock_partners.bni.transfers import Details, amount_of, check_source, fields_of, read_beneficiary, read_details
from mock_partners.kit.behaviour import Behaviour
from mock_partners.kit.clock import Clock, Kind, Scheduler
from mock_partners.kit.http import Reply
from mock_partners.kit.keys import Key, private_key
from mock_partners.kit.notice import Notice
from mock_partners.kit.notify import Notifier
from mock_partners.kit.payouts import Payout, State
from mock_partners.kit.snap.fields import Fields, rupiah
from mock_partners.kit.snap.gate import Asked, Gate
from mock_partners.kit.snap.refusals import Refusal
from mock_partners.kit.snap.signatures import asymmetric_text, sign_asymmetric, timestamp
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World

RTGS, SKN = "22", "23"
NOTIFY_PATHS = {RTGS: "/callbacks/bni/v1.0/transfer-rtgs/notify", SKN: "/callbacks/bni/v1.0/transfer-skn/notify"}
"""SKN's is the path of vector T5; RTGS' is formed after it (assumed)."""
RETRIES_S = (1.0, 2.0, 4.0)
"""Assumed: no source tells BNI's schedule (snap-bni.md 2.6)."""
PENDING = {"transactionStatus": "03", "transactionStatusDesc": "Pending"}
FINAL = {State.BOOKED: ("00", "Success"), State.FAILED: ("06", "Failed"), State.REVERSED: ("04", "Refunded")}


@dataclass(repr=False)
class ClearingDesk:
    """All RTGS and SKN payments by the consumer's reference; it outlives a restarted app."""

    payments: dict[str, Payout] = field(default_factory=dict)


class Clearing:
    """The handlers of RTGS and SKN."""

    def __init__(
        self, world: World, clock: Clock, scheduler: Scheduler, waits: Waits, gate: Gate, notifier: Notifier,
        notify_base: str, reference: Callable[[], str],
    ) -> None:  # fmt: skip
        self._world, self._clock, self._scheduler, self._waits = world, clock, scheduler, waits
        self._gate, self._notifier, self._reference = gate, notifier, reference
        self._base_path = urlsplit(notify_base).path.rstrip("/")
        self._desk = world.keep("bni.clearing", ClearingDesk)

    def get(self, service: str, reference: str) -> Payout | None:
        """A payment of one rail."""
        payment = self._desk.payments.get(reference)
        return payment if payment is not None and payment.details.service == service else None

    def by_reference(self, reference: str) -> Payout | None:
        """A payment of either rail."""
        return self._desk.payments.get(reference)

    async def transfer(self, asked: Asked) -> Reply:
        """transfer-rtgs, service 22, and transfer-skn, service 23; duplicates as of other transfers (decisions X7)."""
        fields = fields_of(asked)
        reference, amount = (
            fields.text("partnerReferenceNo", 64),
            amount_of(fields, decimals_needed=asked.service == RTGS),
        )
        name = read_beneficiary(fields)
        _read_parties(fields)
        details = read_details(fields, asked, bank_limit=11)
        parameters = (amount, "IDR", details.beneficiary, details.source, details.service, details.bank_code)
        known = self._desk.payments.get(reference)
        if known is not None and known.state is not State.FAILED:
            if known.parameters != parameters:
                raise Refusal(404, "18", "Inconsistent Request")
            if known.state is not State.PENDING:
                raise Refusal(409, "01", "Duplicate partnerReferenceNo")
            return self._taken(202, known)
        if details.source not in CLEARING_SOURCE_ACCOUNTS:
            check_source(details.source)
        account = holder(known_bank(details.bank_code), details.beneficiary)
        account.holder_name = name
        if not self._world.withdraw(amount):
            raise Refusal(403, "14", "Insufficient Funds")
        now = self._clock.now()
        payment = Payout(
            reference, self._reference(), account, amount, parameters, details, account.behaviour, State.PENDING, now
        )
        self._desk.payments[reference] = payment
        self._scheduler.after(self._waits.settlement_s, Kind.UNSETTLED, lambda: self._settle(payment))
        return self._taken(200, payment)

    def _taken(self, status: int, payment: Payout) -> Reply:
        details: Details = payment.details
        message = "Request has been processed successfully" if status == 200 else "Request In Progress"
        return self._gate.say(
            status, details.service, "00", message, referenceNo=payment.partner_reference,
            partnerReferenceNo=payment.reference, amount=rupiah(payment.amount_rupiah),
            beneficiaryAccountName=payment.account.holder_name, beneficiaryAccountNo=details.beneficiary,
            beneficiaryBankCode=details.bank_code, currency="IDR", customerReference=details.customer_reference,
            sourceAccountNo=details.source, transactionDate=details.transaction_date, **PENDING, additionalInfo={},
        )  # fmt: skip

    def _settle(self, payment: Payout) -> None:
        if payment.behaviour is Behaviour.PENDING_THEN_FAILED:
            self._world.refund(payment.amount_rupiah)
            payment.state = State.FAILED
        else:
            payment.credit = self._world.credit(
                payment.account, payment.amount_rupiah, reference=payment.reference,
                partner_reference=payment.partner_reference, at=self._clock.now(),
            )  # fmt: skip
            payment.state = State.BOOKED
        self._notify(payment)
        if payment.behaviour is Behaviour.REVERSED_LATER:
            self._scheduler.after(self._waits.reversal_s, Kind.SCHEDULED, lambda: self._reverse(payment))

    def _reverse(self, payment: Payout) -> None:
        assert payment.credit is not None
        self._world.reverse(payment.account, payment.credit, self._clock.now())
        payment.state = State.REVERSED
        self._notify(payment)

    def _notify(self, payment: Payout) -> None:
        """Services 76 and 75, signed with BNI's own key over the full request path (snap-bni.md 1.13, T5)."""
        details: Details = payment.details
        latest, text = FINAL[payment.state]
        told: dict[str, Any] = {
            "originalPartnerReferenceNo": payment.reference,
            "originalReferenceNo": payment.partner_reference,
            "originalExternalId": details.external_id[:19],
            "latestTransactionStatus": latest,
            "transactionStatusDesc": text,
            "amount": rupiah(payment.amount_rupiah),
            "beneficiaryAccountName": payment.account.holder_name,
            "beneficiaryAccountNo": details.beneficiary,
            "beneficiaryBankCode": details.bank_code,
            "sourceAccountNo": details.source,
            "transactionDate": details.transaction_date,
            "additionalInfo": {},
        }
        body, path, at = msgspec.json.encode(told), NOTIFY_PATHS[details.service], timestamp(self._clock.now())
        text_to_sign = asymmetric_text("POST", self._base_path + path, body, at)
        headers = {
            "Content-Type": "application/json",
            "X-TIMESTAMP": at,
            "X-SIGNATURE": sign_asymmetric(private_key(Key.BNI), text_to_sign),
            "X-PARTNER-ID": "BNI",
            "X-EXTERNAL-ID": f"{self._world.number():018d}",
            "CHANNEL-ID": "BNI",
        }
        self._notifier.post(Notice("POST", path, body, headers), retries_s=RETRIES_S)


def _read_parties(fields: Fields) -> None:
    """What RTGS and SKN ask about both sides; BNI spells the phone's and the postcode's names in its own way (2.3)."""
    fields.text("beneficiaryCustomerResidence", 1, pattern="[12]")
    fields.text("beneficiaryCustomerType", 1, pattern="[123]")
    for name in ("kodepos", "kodePos", "senderCustomerResidence", "senderCustomerType"):
        fields.text(name, 10, required=False)
    for name in ("recieverPhone", "receiverPhone", "senderPhone"):
        fields.text(name, 20, required=False)
