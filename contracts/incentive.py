"""The incentive: one instalment a participant is entitled to, its funnel stage, and why it does not move."""

from __future__ import annotations

import enum
from datetime import datetime

import msgspec


class Stage(enum.Enum):
    """Where an incentive stands in the funnel; every accepted incentive is in exactly one."""

    AWAITING_LINK = "awaiting_link"
    AWAITING_VERIFICATION = "awaiting_verification"
    SCHEDULED = "scheduled"
    """Linked and verified: paid when due."""
    PAYING = "paying"
    PAID = "paid"
    RETURNED = "returned"
    """Paid, then given back by the partner (blocker `payment_reversed`); or not paid by its deadline, so that the money
    goes back to the treasury (`deadline_passed`).
    """
    CANCELLED = "cancelled"


class Owner(enum.Enum):
    """Who must act before a blocked incentive can move."""

    PARTICIPANT = "participant"
    PARTNER = "partner"
    OPERATOR = "operator"
    GATEWAY = "gateway"
    CORE = "core"


class BlockerCode(enum.Enum):
    """Why an incentive does not move. The texts and owners are in `BLOCKERS`."""

    NIK_INVALID = "nik_invalid"
    NIK_MISMATCH = "nik_mismatch"
    NIK_DUPLICATE = "nik_duplicate"
    PARTICIPANT_CONFLICT = "participant_conflict"
    KYC_INCOMPLETE = "kyc_incomplete"
    ACCOUNT_NOT_FOUND = "account_not_found"
    ACCOUNT_BLOCKED = "account_blocked"
    ACCOUNT_SHARED = "account_shared"
    ACCOUNT_UNPROVED = "account_unproved"
    LINK_REQUIRED = "link_required"
    LINK_PENDING = "link_pending"
    LINK_REVOKED = "link_revoked"
    LINK_HALF_DONE = "link_half_done"
    NOTIFICATION_DROPPED = "notification_dropped"
    CONSENT_DENIED = "consent_denied"
    CONSENT_ABANDONED = "consent_abandoned"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    VERIFICATION_PENDING = "verification_pending"
    VERIFICATION_UNSUPPORTED = "verification_unsupported"
    VERIFICATION_EXPIRED = "verification_expired"
    BALANCE_LIMIT = "balance_limit"
    MONTHLY_LIMIT = "monthly_limit"
    PAYMENT_REVERSED = "payment_reversed"
    PARTNER_REJECTED = "partner_rejected"
    REASON_MISSING = "reason_missing"
    PARTNER_UNAVAILABLE = "partner_unavailable"
    PARTNER_PAUSED = "partner_paused"
    PARTNER_FLOAT_SHORT = "partner_float_short"
    OUTCOME_UNKNOWN = "outcome_unknown"
    CONTRADICTION = "contradiction"
    APPROVAL_MISSING = "approval_missing"
    APPROVAL_MISMATCH = "approval_mismatch"
    DEADLINE_PASSED = "deadline_passed"
    STALLED = "stalled"
    """Of cases alone: something of the gateway's own stands still."""


class BlockerText(msgspec.Struct, frozen=True):
    """Who must act, and what to tell people, in Indonesian and English; no personal data."""

    owner: Owner
    indonesian: str
    english: str


class Blocker(msgspec.Struct, frozen=True, kw_only=True):
    """Why one incentive does not move, who must act, and when the gateway tries again by itself (None: not before
    someone acts).
    """

    code: BlockerCode
    owner: Owner
    since: datetime
    next_attempt_at: datetime | None = None


_P, _C, _O, _G, _R = Owner.PARTICIPANT, Owner.CORE, Owner.OPERATOR, Owner.GATEWAY, Owner.PARTNER

BLOCKERS: dict[BlockerCode, BlockerText] = {
    BlockerCode.NIK_INVALID: BlockerText(
        _C, "NIK tidak sesuai format 16 digit.", "The NIK is not a well-formed 16-digit number."
    ),
    BlockerCode.NIK_MISMATCH: BlockerText(
        _C, "NIK pada akun pembayaran berbeda dengan NIK peserta.", "The NIK on the account is not the participant's."
    ),
    BlockerCode.NIK_DUPLICATE: BlockerText(
        _C,
        "NIK ini sudah terdaftar untuk insentif yang sama.",
        "Another participant holds the same instalment under this NIK.",
    ),
    BlockerCode.PARTICIPANT_CONFLICT: BlockerText(
        _C,
        "Data peserta berbeda dengan data yang tersimpan.",
        "NIK, partner or account differ from the participant's current ones.",
    ),
    BlockerCode.KYC_INCOMPLETE: BlockerText(
        _P,
        "Akun belum di-upgrade (KYC belum lengkap).",
        "The account has no verified identity yet: upgrade it, then verify again.",
    ),
    BlockerCode.ACCOUNT_NOT_FOUND: BlockerText(
        _P, "Akun tidak terdaftar di mitra pembayaran.", "The partner does not know this account."
    ),
    BlockerCode.ACCOUNT_BLOCKED: BlockerText(
        _P, "Akun diblokir oleh mitra pembayaran.", "The partner has blocked this account."
    ),
    BlockerCode.ACCOUNT_SHARED: BlockerText(
        _P,
        "Akun ini milik peserta lain, atau milik orang yang sama dengan nomor peserta lain: pilih akun lain, atau"
        " hubungi Prakerja.",
        "The account belongs to another participant whose NIK matched it, or to the same person under another"
        " participant_id: choose another, or have core hand it over under that id.",
    ),
    BlockerCode.ACCOUNT_UNPROVED: BlockerText(
        _C,
        "Akun yang disetujui belum terbukti sama dengan akun yang didaftarkan. Sambungkan lagi dengan masuk ke akun"
        " itu.",
        "Nothing proves that the account consented to is the declared one: link again signed in with that one, declare"
        " another, or hand in the partner's document.",
    ),
    BlockerCode.LINK_REQUIRED: BlockerText(
        _P, "Akun belum disambungkan.", "The participant has not opened the linking page."
    ),
    BlockerCode.LINK_PENDING: BlockerText(
        _P, "Penyambungan akun sedang berjalan.", "Linking has begun and waits for the participant."
    ),
    BlockerCode.LINK_REVOKED: BlockerText(
        _P, "Sambungan akun telah dicabut.", "The link was revoked: the participant must link again."
    ),
    BlockerCode.LINK_HALF_DONE: BlockerText(
        _P,
        "Mitra sudah mencatat sambungan, tetapi jawabannya tidak kami terima. Lepaskan sambungan Kartu Prakerja di"
        " aplikasi mitra, lalu sambungkan lagi; petugas kami juga menghubungi mitra.",
        "The partner has linked, but its answer was lost: release the link in the partner's app and link again; staff"
        " ask the partner to release it too.",
    ),
    BlockerCode.NOTIFICATION_DROPPED: BlockerText(
        _O, "Pemberitahuan mitra tidak dapat dibaca.", "Notifications of the partner could not be taken or read."
    ),
    BlockerCode.CONSENT_DENIED: BlockerText(
        _P, "Peserta menolak penyambungan akun.", "The participant refused, or was locked out while linking."
    ),
    BlockerCode.CONSENT_ABANDONED: BlockerText(
        _P, "Penyambungan akun tidak diselesaikan.", "The participant left the linking page."
    ),
    BlockerCode.CONSENT_WITHDRAWN: BlockerText(
        _P,
        "Peserta mencabut izinnya: tidak ada yang dibayar sebelum akun disambungkan lagi.",
        "The participant withdrew their consent: nothing is paid before they link an account again.",
    ),
    BlockerCode.VERIFICATION_PENDING: BlockerText(
        _R, "Mitra masih memproses KYC akun.", "The partner still processes the account's KYC."
    ),
    BlockerCode.VERIFICATION_UNSUPPORTED: BlockerText(
        _R, "Mitra tidak dapat memeriksa NIK.", "The partner offers no NIK check for this account."
    ),
    BlockerCode.VERIFICATION_EXPIRED: BlockerText(
        _G, "Verifikasi NIK diperbarui.", "The verdict is too old and is being renewed."
    ),
    BlockerCode.BALANCE_LIMIT: BlockerText(
        _P, "Saldo akun melebihi batas.", "The credit would exceed the account's balance limit."
    ),
    BlockerCode.MONTHLY_LIMIT: BlockerText(
        _P, "Batas transaksi masuk bulanan terlampaui.", "The account's monthly incoming limit is used up."
    ),
    BlockerCode.PAYMENT_REVERSED: BlockerText(
        _P,
        "Pembayaran dikembalikan oleh mitra: pilih akun lain.",
        "The partner gave the payment back: another account is needed.",
    ),
    BlockerCode.PARTNER_REJECTED: BlockerText(
        _O, "Mitra menolak pembayaran.", "The partner rejected the payment for a reason staff must read."
    ),
    BlockerCode.REASON_MISSING: BlockerText(
        _O, "Pembayaran gagal tanpa alasan dari mitra.", "The partner said failed and never said why."
    ),
    BlockerCode.PARTNER_UNAVAILABLE: BlockerText(
        _R, "Mitra sedang tidak dapat dihubungi.", "The partner could not be asked."
    ),
    BlockerCode.PARTNER_PAUSED: BlockerText(
        _O,
        "Pembayaran melalui mitra ini dihentikan sementara.",
        "Payouts at this partner are paused, or wait until `gateway recover` has ended.",
    ),
    BlockerCode.PARTNER_FLOAT_SHORT: BlockerText(
        _O, "Dana di mitra tidak mencukupi.", "Our deposit at the partner is too low: top it up."
    ),
    BlockerCode.OUTCOME_UNKNOWN: BlockerText(
        _G,
        "Hasil pembayaran sedang dipastikan.",
        "The outcome of the payout is being looked up; after the horizon an operator decides.",
    ),
    BlockerCode.CONTRADICTION: BlockerText(
        _O, "Mitra memberi keterangan yang bertentangan.", "The partner said two things that cannot both be true."
    ),
    BlockerCode.APPROVAL_MISSING: BlockerText(
        _C, "Menunggu dua persetujuan.", "The batch, or a changed account, waits for two approvals."
    ),
    BlockerCode.APPROVAL_MISMATCH: BlockerText(
        _O,
        "Data insentif berbeda dengan yang disetujui.",
        "What was about to be paid is not what two people approved: find out why, then have it approved or cancelled.",
    ),
    BlockerCode.DEADLINE_PASSED: BlockerText(
        _C, "Batas waktu pencairan terlewati.", "The deadline has passed; the money returns to the treasury."
    ),
    BlockerCode.STALLED: BlockerText(
        _O,
        "Ada yang berhenti di gateway tanpa keterangan.",
        "Something of the gateway stands still without a reason: look whether a worker runs, then move it.",
    ),
}
assert set(BLOCKERS) == set(BlockerCode), "every blocker has an owner and texts"


def owner_of(code: BlockerCode, *, past_horizon: bool = False) -> Owner:
    """Who must act; an unknown outcome is the gateway's until its look-up horizon has passed, then an operator's."""
    if code is BlockerCode.OUTCOME_UNKNOWN and past_horizon:
        return Owner.OPERATOR
    return BLOCKERS[code].owner
