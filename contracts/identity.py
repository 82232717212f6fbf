"""NIK verification: a dated, expiring verdict on "this NIK is the one on this account"."""

from __future__ import annotations

import enum

import msgspec

from contracts.incentive import BlockerCode
from contracts.linking import Grant
from contracts.nik import Nik
from contracts.secret import Secret


class Verdict(enum.Enum):
    """A partner's answer. A name that differs is never a mismatch; a technical failure is never a verdict."""

    MATCH = "match"
    MISMATCH = "mismatch"
    KYC_INCOMPLETE = "kyc_incomplete"
    """The partner has no verified NIK for the account."""
    ACCOUNT_NOT_FOUND = "account_not_found"
    ACCOUNT_BLOCKED = "account_blocked"
    ACCOUNT_UNPROVED = "account_unproved"
    """The NIK is that of whoever gave access; no word of the partner says that theirs is the declared account."""
    UNSUPPORTED = "unsupported"
    PENDING = "pending"
    """The partner's KYC is still running: no verdict, asked again."""


VERDICT_BLOCKER: dict[Verdict, BlockerCode | None] = {
    Verdict.MATCH: None,
    Verdict.MISMATCH: BlockerCode.NIK_MISMATCH,
    Verdict.KYC_INCOMPLETE: BlockerCode.KYC_INCOMPLETE,
    Verdict.ACCOUNT_NOT_FOUND: BlockerCode.ACCOUNT_NOT_FOUND,
    Verdict.ACCOUNT_BLOCKED: BlockerCode.ACCOUNT_BLOCKED,
    Verdict.ACCOUNT_UNPROVED: BlockerCode.ACCOUNT_UNPROVED,
    Verdict.UNSUPPORTED: BlockerCode.VERIFICATION_UNSUPPORTED,
    Verdict.PENDING: BlockerCode.VERIFICATION_PENDING,
}
assert set(VERDICT_BLOCKER) == set(Verdict), "every verdict has its blocker"


class ProofBy(enum.Enum):
    """Which word of the partner shows that the account consented to, checked and paid is one (decision X10)."""

    ASKED = "asked"
    """The NIK check names the account beside the access; another account's access is refused."""
    ECHOED = "echoed"
    """The answer to the NIK check, under the access alone, names its account."""
    NAMED = "named"
    """Only the registered name of the declared account agrees with the name beside the NIK, and the access is known
    under no other account.
    """


class IdentityQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose NIK is asked about, on which account, under which access."""

    reference: str
    """19 digits, fresh for each try."""
    nik: Nik
    account: Secret
    phone: Secret
    grant: Grant


class IdentityAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with the partner's own code; never any data of the account's holder.

    `MATCH` says two things: the NIK is the one on the account, and the account is the one asked about
    (`Manifest.account_proof`).
    """

    verdict: Verdict
    partner_code: str | None = None
