"""A payment plan: what finishing a training entitles a participant to, instalment by instalment, with the days on which
each is due and lapses. Two people approve its amounts once; notices then make the incentives.
"""

from __future__ import annotations

import calendar
import enum
import hashlib
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated

import msgspec

from contracts.money import MAX_AMOUNT_RUPIAH
from contracts.text import Text

TRAINING = "training"
"""The notice that a participant has finished the training; every other one is a survey's name, and comes after it."""
MOST_PARTICIPANTS = 1_000_000
MOST_INSTALMENTS = 24
MOST_HOLIDAYS = 200
MOST_ITEMS = 1_000
"""Participants or notices handed over at once."""

Slug = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class PlanState(enum.Enum):
    """Where a payment plan stands."""

    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Nobody approved it in time."""
    STOPPED = "stopped"
    """It was approved, and then stopped as a whole."""


class EntitlementState(enum.Enum):
    """Where a participant stands under a payment plan."""

    OPEN = "open"
    """The training is not finished yet."""
    FINISHED = "finished"
    """It is, and its incentives were made."""
    CANCELLED = "cancelled"


class ItemOutcome(enum.Enum):
    """What became of one participant or notice of a request."""

    MADE = "made"
    REPEATED = "repeated"
    """Handed over before with the same content: nothing was changed."""
    REFUSED = "refused"
    """Nothing was changed; `faults` say why."""


class Instalment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One payment of the plan. Its days are fixed (`due_on`, `deadline_on`), or counted from the notice that makes it
    (`due_after_months`, `due_after_days`, and `deadline_after_days` from the due day).
    """

    purpose: Slug
    period: Annotated[int, msgspec.Meta(ge=0, le=9_999)]
    amount_rupiah: Annotated[int, msgspec.Meta(ge=1, le=MAX_AMOUNT_RUPIAH)]
    after: Slug = TRAINING
    """The notice that makes it: `training`, or the name of a survey."""
    due_on: date | None = None
    deadline_on: date | None = None
    due_after_months: Annotated[int, msgspec.Meta(ge=0, le=60)] = 0
    """Calendar months; the 31st becomes the last day of a shorter month."""
    due_after_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 0
    """Days besides the months."""
    deadline_after_days: Annotated[int, msgspec.Meta(ge=0, le=730)] | None = None
    """Days from the due day to the last one on which it may be paid."""


class PaymentPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a plan says: exactly that is approved. It is never changed; another one takes its place."""

    programme: Slug
    name: Slug
    """Yours, for people: lower-case letters and digits with single hyphens between."""
    most_participants: Annotated[int, msgspec.Meta(ge=1, le=MOST_PARTICIPANTS)]
    """For how many participants at most: with the amounts, what the approvers let be paid in all."""
    instalments: Annotated[Sequence[Instalment], msgspec.Meta(min_length=1, max_length=MOST_INSTALMENTS)]
    holidays: Annotated[Sequence[date], msgspec.Meta(max_length=MOST_HOLIDAYS)] = ()
    """Days on which nothing falls due: the next working day of the month does, else the last one before."""
    weekends: bool = False
    """Whether something may fall due on a Saturday or Sunday."""

    def after(self, notice: str) -> tuple[Instalment, ...]:
        """The instalments that a notice makes; none: the plan does not know it."""
        return tuple(one for one in self.instalments if one.after == notice)


def content_of(plan: PaymentPlan) -> bytes:
    """The plan as JSON, each field in its place: equal plans are equal bytes."""
    return msgspec.json.encode(plan)


def root_of(content: bytes) -> bytes:
    """What an approval of a plan names: the SHA-256 of its content, which anybody can compute."""
    return hashlib.sha256(content).digest()


def days_of(plan: PaymentPlan, instalment: Instalment, noticed_on: date) -> tuple[date, date]:
    """Due day and deadline of an instalment whose notice is of that day, all days Asia/Jakarta's."""
    if instalment.due_on is not None and instalment.deadline_on is not None:
        return working_day(plan, instalment.due_on), instalment.deadline_on
    due = working_day(
        plan, _months_on(noticed_on, instalment.due_after_months) + timedelta(days=instalment.due_after_days)
    )
    return due, due + timedelta(days=instalment.deadline_after_days or 0)


def working_day(plan: PaymentPlan, day: date) -> date:
    """The day, or the first working one after it; where that is another month, the last one before it, so that an
    instalment stays in its month. A month without any working day leaves the day as it is.
    """
    last = calendar.monthrange(day.year, day.month)[1]
    for number in (*range(day.day, last + 1), *range(day.day - 1, 0, -1)):
        if _works(plan, moved := day.replace(day=number)):
            return moved
    return day


def _works(plan: PaymentPlan, day: date) -> bool:
    return day not in plan.holidays and (plan.weekends or day.weekday() < calendar.SATURDAY)


def _months_on(day: date, months: int) -> date:
    """The same day so many months later, or the last one of a month that has no such day."""
    years, month = divmod(day.month - 1 + months, 12)
    last = calendar.monthrange(day.year + years, month + 1)[1]
    return date(day.year + years, month + 1, min(day.day, last))


class NoticeCode(enum.Enum):
    """Why a participant or a notice under a plan is refused, beside what is wrong with a row."""

    ENTITLEMENT_UNKNOWN = "entitlement_unknown"
    ENTITLEMENT_CANCELLED = "entitlement_cancelled"
    ENTITLEMENT_ELSEWHERE = "entitlement_elsewhere"
    PLAN_FULL = "plan_full"
    INSTALMENT_ELSEWHERE = "instalment_elsewhere"
    INSTALMENT_STOPPED = "instalment_stopped"
    ITEM_REPEATED = "item_repeated"
    NOTICE_UNKNOWN = "notice_unknown"
    NOTICE_EARLY = "notice_early"
    NOTICE_DIFFERS = "notice_differs"
    NOTICE_DATE = "notice_date"


NOTICE_REMEDIES: dict[NoticeCode, Text] = {
    NoticeCode.ENTITLEMENT_UNKNOWN: Text(
        "Peserta ini tidak berhak menurut rencana ini: daftarkan dulu dengan POST /v1/entitlements.",
        "The participant is not entitled under this plan: hand it over with POST /v1/entitlements first.",
    ),
    NoticeCode.ENTITLEMENT_CANCELLED: Text(
        "Hak peserta ini sudah dibatalkan: bila keliru, daftarkan lagi dengan POST /v1/entitlements.",
        "The participant's entitlement was cancelled: if by mistake, hand it over again with POST /v1/entitlements.",
    ),
    NoticeCode.ENTITLEMENT_ELSEWHERE: Text(
        "Peserta ini sudah berhak menurut rencana lain dari program yang sama (GET"
        " /v1/entitlements?participant_id= menyebutnya): batalkan hak itu dulu dengan POST"
        " /v1/entitlements/{entitlement_id}/cancel.",
        "The participant is entitled under another plan of the programme (GET /v1/entitlements?participant_id= lists"
        " it): cancel that entitlement first, with POST /v1/entitlements/{entitlement_id}/cancel.",
    ),
    NoticeCode.PLAN_FULL: Text(
        "Jumlah peserta yang disetujui sudah tercapai: ajukan rencana baru untuk peserta berikutnya.",
        "The plan has as many participants as were approved: propose another plan for those who come after.",
    ),
    NoticeCode.INSTALMENT_ELSEWHERE: Text(
        "Cicilan dari rencana ini sudah diserahkan lewat jalan lain (GET /v1/incentives?participant_id= menyebutnya):"
        " batalkan insentif itu dengan POST /v1/incentives/{incentive_id}/cancel, lalu kirim lagi.",
        "An instalment of the plan was handed over in a file or by itself (GET /v1/incentives?participant_id= lists"
        " it): cancel that incentive with POST /v1/incentives/{incentive_id}/cancel, then send this again.",
    ),
    NoticeCode.INSTALMENT_STOPPED: Text(
        "Pembayaran cicilan ini dihentikan ketika sudah berjalan: kirim lagi setelah selesai;"
        " GET /v1/incentives?stage=paying menyebut yang belum.",
        "An instalment's payment was stopped while it was under way: send this again once it has ended;"
        " GET /v1/incentives?stage=paying lists what has not.",
    ),
    NoticeCode.ITEM_REPEATED: Text(
        "Peserta ini ada dua kali dalam permintaan: kirim satu kali saja.",
        "The participant stands twice in the request: send it once.",
    ),
    NoticeCode.NOTICE_UNKNOWN: Text(
        "Rencana ini tidak mengenal pemberitahuan itu: pakai training atau nama survei dari rencana.",
        "The plan has no such notice: use training, or the name of one of the plan's surveys.",
    ),
    NoticeCode.NOTICE_EARLY: Text(
        "Survei baru dapat diberitahukan setelah pelatihan selesai: kirim pemberitahuan training lebih dulu, dalam"
        " permintaan tersendiri.",
        "A survey comes after the training: send the notice of the training first, in a request of its own.",
    ),
    NoticeCode.NOTICE_DIFFERS: Text(
        "Pemberitahuan ini sudah diterima dengan tanggal lain: yang pertama berlaku. Bila keliru, batalkan haknya"
        " dengan POST /v1/entitlements/{entitlement_id}/cancel, daftarkan lagi dengan POST /v1/entitlements, lalu kirim"
        " pemberitahuannya lagi.",
        "The notice was taken with another day: the first one holds. If it was wrong, cancel the entitlement with POST"
        " /v1/entitlements/{entitlement_id}/cancel, entitle anew with POST /v1/entitlements, and send the notices"
        " again.",
    ),
    NoticeCode.NOTICE_DATE: Text(
        "Tanggal menurut Jakarta (WIB): tidak di masa depan, tidak lebih dari 400 hari lalu, dan survei tidak sebelum"
        " pelatihan.",
        "The day is Asia/Jakarta's: not in the future nor more than 400 days ago, and a survey's not before the"
        " training's.",
    ),
}
assert set(NOTICE_REMEDIES) == set(NoticeCode), "every refusal says what to do"
