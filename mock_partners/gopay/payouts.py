"""What becomes of an Iris payout (wallets.md 2.6 and 13): approval, settlement, refusal, late refund, notifications."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from mock_partners.gopay.banks import GOPAY, customer
from mock_partners.gopay.credentials import NEXT_MERCHANT_KEY, VALUES
from mock_partners.kit.behaviour import NOT_FOUND_LOOKUPS, PENDING_LOOKUPS, Behaviour
from mock_partners.kit.clock import Clock, Kind, Scheduler
from mock_partners.kit.notice import Notice
from mock_partners.kit.notify import Notifier
from mock_partners.kit.payouts import pay_behaviour
from mock_partners.kit.snap.magic import UNNAMED, named
from mock_partners.kit.turn import effect
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, Booking, Cap, World

NOTIFY_PATH = "/callbacks/gopay/iris"
NOTIFY_RETRIES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Assumed: Iris' schedule is not published (decisions G12)."""
PROCESSED_AT = 0.5
"""The part of `settlement_s` after which an approved payout is at the provider (assumed)."""
TWICE, LATE = 3, 5
"""Notifications may come twice and out of order: remainders of the payout's number by EVERY that get such ones."""
EVERY = 8
UNKNOWN_ACCOUNT, BLOCKED, MONTHLY, BALANCE, NO_FUNDS, TECHNICAL, DECLINED = (
    "002", "012", "014", "015", "016", "018", "025",
)  # fmt: skip
MESSAGES = {
    "001": "Invalid beneficiary name",
    UNKNOWN_ACCOUNT: "Invalid destination account number",
    "003": "Invalid destination account number or beneficiary name",
    "004": "General error",
    "005": "Timeout by bank",
    "006": "Unique reference violation",
    "007": "Identical request processed before",
    "008": "Bank cannot authenticate request",
    "009": "Bank balance not enough",
    "010": "Payload validation failed",
    "011": "OTP expired or blocked",
    BLOCKED: "Beneficiary account blocked",
    "013": "Sender is the same as receiver",
    MONTHLY: "Monthly account balance limit exceeded",
    BALANCE: "Account balance limit exceeded",
    NO_FUNDS: "Merchant balance not enough",
    "017": "Invalid receiver bank details",
    TECHNICAL: "Technical error",
    "019": "Validation issue",
    "020": "Validation issue",
    "021": "Technical error",
    "022": "Technical error",
    "023": "Technical error",
    "024": "Technical error",
    DECLINED: "Transfer declined",
    "026": "Invalid receiver name",
}
"""Iris' error codes (wallets.md 2.6); a payout to 08009000CC fails with code 0CC."""


class Status(StrEnum):
    """queued -> approved -> processed -> completed or failed; queued -> rejected; completed -> failed."""

    QUEUED = "queued"
    APPROVED = "approved"
    PROCESSED = "processed"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"


class Approval(StrEnum):
    """What the mock has to say to an approval (decisions G9); with TIMEOUT the payout may or may not be approved."""

    OK = "ok"
    SLOW = "slow"
    TIMEOUT = "timeout"
    LOST = "lost"


@dataclass(frozen=True, repr=False)
class Instruction:
    """One payout as it was asked for."""

    beneficiary_name: str
    beneficiary_account: str
    bank: str
    beneficiary_email: str
    amount_rupiah: int
    notes: str


@dataclass(repr=False)
class Payout:
    """One payout; `reference` is the gateway's (X-Idempotency-Key), `reference_no` Iris'."""

    number: int
    reference_no: str
    reference: str
    asked: Instruction
    created_at: datetime
    updated_at: datetime
    status: Status = Status.QUEUED
    script: Behaviour = Behaviour.NONE
    account: Account | None = None
    funded: bool = False
    approved_at: datetime | None = None
    lookups: int = 0
    credit: Booking | None = None
    fail_code: str = ""
    then_completes_s: float | None = None

    @property
    def amount(self) -> str:
        return f"{self.asked.amount_rupiah}.00"


@dataclass(repr=False)
class Ledger:
    """All payouts by reference_no; `waiting` settle at a look-up, `timed_out` got their one false time-out."""

    payouts: dict[str, Payout] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    timed_out: set[str] = field(default_factory=set)


class Payouts:
    """Moves payouts through their states; the ledger outlives a restarted app."""

    def __init__(
        self, world: World, clock: Clock, scheduler: Scheduler, waits: Waits, notifier: Notifier, ledger: Ledger
    ) -> None:  # fmt: skip
        self._world, self._clock, self._scheduler, self._waits = world, clock, scheduler, waits
        self._notifier, self._ledger = notifier, ledger

    def unsettled(self) -> int:
        """Approved payouts that wait for a look-up."""
        return len(self._ledger.waiting)

    def get(self, reference_no: str) -> Payout | None:
        """The payout without counting as a look-up, for statements."""
        return self._ledger.payouts.get(reference_no)

    def queued(self, reference_no: str) -> Payout | None:
        """The payout if it still waits for its approval."""
        payout = self._ledger.payouts.get(reference_no)
        return payout if payout is not None and payout.status is Status.QUEUED else None

    def create(self, asked: Instruction, reference: str) -> Payout:
        """Queues an instruction, unseen whether it can be paid; it moves nothing (decisions G7)."""
        now, number = self._clock.now(), self._world.number()
        reference_no = f"{self._world.rng.getrandbits(32):08x}{number:08x}"
        payout = Payout(number, reference_no, reference or reference_no, asked, now, now)
        self._ledger.payouts[reference_no] = payout
        return payout

    def approve(self, payout: Payout) -> Approval:
        """Approves a queued payout and does what its account's behaviour says (decisions G9)."""
        payout.account = customer(self._world, payout.asked.bank, payout.asked.beneficiary_account)
        if payout.account is not None and payout.reference not in self._ledger.timed_out:
            payout.script = pay_behaviour(payout.account, payout.reference)
        if payout.script is Behaviour.TIMEOUT_NO_CREDIT:
            self._ledger.timed_out.add(payout.reference)
            payout.script = Behaviour.NONE
            return Approval.TIMEOUT
        payout.fail_code, payout.then_completes_s = effect("fail_code", ""), effect("then_completes_s")
        payout.status, payout.funded = Status.APPROVED, self._world.withdraw(payout.asked.amount_rupiah)
        payout.approved_at = payout.updated_at = self._clock.now()
        delay_s = self._waits.settlement_s * PROCESSED_AT
        self._scheduler.after(delay_s, Kind.UNSETTLED, lambda: self._process(payout))
        return {
            Behaviour.LOST_ANSWER: Approval.LOST,
            Behaviour.FALSE_NOT_FOUND: Approval.TIMEOUT,
            Behaviour.SLOW: Approval.SLOW,
        }.get(payout.script, Approval.OK)

    def reject(self, payout: Payout) -> None:
        """Ends a queued payout for good."""
        self._move(payout, Status.REJECTED)

    def look_up(self, reference_no: str) -> Payout | None:
        """What a GET sees, and counts: None for unknown or still hidden by `false_not_found`.

        Two look-ups see a `pending_then_*` payout processed; a later one settles it, `settlement_s` after approval.
        """
        payout = self._ledger.payouts.get(reference_no)
        if payout is None or payout.approved_at is None:
            return payout
        if payout.script is Behaviour.FALSE_NOT_FOUND:
            payout.lookups += 1
            return None if payout.lookups <= NOT_FOUND_LOOKUPS else payout
        if reference_no in self._ledger.waiting:
            payout.lookups += 1
            age_s = (self._clock.now() - payout.approved_at).total_seconds()
            if payout.lookups > PENDING_LOOKUPS and age_s >= self._waits.settlement_s:
                self._ledger.waiting.remove(reference_no)
                self._settle(payout)
        return payout

    def _process(self, payout: Payout) -> None:
        rest_s = self._waits.settlement_s * (1 - PROCESSED_AT)
        late_s = self._waits.settlement_s if payout.number % EVERY == LATE else 0.0
        self._move(payout, Status.PROCESSED, after_s=late_s)
        if payout.script in (Behaviour.PENDING_THEN_SUCCESS, Behaviour.PENDING_THEN_FAILED):
            self._ledger.waiting.add(payout.reference_no)
        else:
            self._scheduler.after(rest_s, Kind.UNSETTLED, lambda: self._settle(payout))

    def _settle(self, payout: Payout) -> None:
        now = self._clock.now()
        obstacle = self._obstacle(payout, now)
        if obstacle:
            if payout.funded:
                self._world.refund(payout.asked.amount_rupiah)
            self._move(payout, Status.FAILED, obstacle)
            if payout.then_completes_s is not None and payout.account is not None and payout.funded:
                self._scheduler.after(payout.then_completes_s, Kind.SCHEDULED, lambda: self._contradict(payout))
            return
        self._complete(payout, now)

    def _contradict(self, payout: Payout) -> None:
        """A partner that contradicts itself: what it called failed is paid (decisions G8)."""
        if self._world.withdraw(payout.asked.amount_rupiah):
            self._complete(payout, self._clock.now())

    def _complete(self, payout: Payout, now: datetime) -> None:
        account = payout.account
        assert account is not None
        payout.credit = self._world.credit(
            account, payout.asked.amount_rupiah, reference=payout.reference, partner_reference=payout.reference_no,
            at=now,
        )  # fmt: skip
        self._move(payout, Status.COMPLETED)
        if payout.script is Behaviour.REVERSED_LATER:
            self._scheduler.after(self._waits.reversal_s, Kind.SCHEDULED, lambda: self._reverse(payout))

    def _obstacle(self, payout: Payout, now: datetime) -> str:
        """The error code that a settlement meets, seen only now (decisions G8); empty if there is none."""
        if not payout.funded:
            return NO_FUNDS
        if payout.fail_code:
            return payout.fail_code
        status, case = named(payout.asked.beneficiary_account) or ("", "")
        if status == UNNAMED and f"0{case}" in MESSAGES:
            return f"0{case}"
        if payout.account is None:
            return UNKNOWN_ACCOUNT
        if not payout.account.active:
            return BLOCKED
        if payout.script is Behaviour.PENDING_THEN_FAILED:
            return TECHNICAL
        if payout.asked.bank != GOPAY:
            return ""
        caps = {Cap.BALANCE: BALANCE, Cap.MONTHLY: MONTHLY, None: ""}
        return caps[self._world.cap_hit(payout.account, payout.asked.amount_rupiah, now)]

    def _reverse(self, payout: Payout) -> None:
        """A completed payout that the provider gives back: completed becomes failed."""
        assert payout.account is not None
        assert payout.credit is not None
        self._world.reverse(payout.account, payout.credit, self._clock.now())
        self._move(payout, Status.FAILED, DECLINED)

    def _move(self, payout: Payout, status: Status, error: str = "", *, after_s: float = 0.0) -> None:
        """Changes the state and posts the signed notification of it; only this carries the reason of a failure."""
        payout.status, payout.updated_at = status, self._clock.now()
        told: dict[str, Any] = {
            "reference_no": payout.reference_no,
            "amount": payout.amount,
            "status": status.value,
            "updated_at": utc(payout.updated_at),
        }
        if error:
            told |= {"error_code": error, "error_message": MESSAGES[error]}
        body = msgspec.json.encode(told)
        notice = iris_notice(body)
        for _ in range(2 if payout.number % EVERY == TWICE else 1):
            self._notifier.post(notice, after_s=after_s, retries_s=NOTIFY_RETRIES_S)


def iris_notice(body: bytes) -> Notice:
    """Iris' signed notification; the merchant key can be changed, and two are valid then (decisions X13)."""
    headers = {"Content-Type": "application/json", "Iris-Signature": notice_signature(body)}
    return Notice(
        "POST", NOTIFY_PATH, body, headers, lambda: {"Iris-Signature": notice_signature(body, NEXT_MERCHANT_KEY)}
    )


def notice_signature(body: bytes, merchant_key: str = VALUES["iris_merchant_key"]) -> str:
    """Iris-Signature: SHA512 over the body as sent and the merchant key, in lower-case hex (wallets.md 2.6)."""
    return hashlib.sha512(body + merchant_key.encode()).hexdigest()


def utc(at: datetime) -> str:
    """`2026-01-02T03:05:00Z`, as Iris prints its times."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
