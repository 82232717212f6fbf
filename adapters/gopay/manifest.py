"""All of GoPay that is data, each value with its source in docs/partners or marked assumed."""

from __future__ import annotations

from datetime import date

from adapters.facts import assumed, codes, recalled, seen
from adapters.snap.facts import CASES
from contracts.identity import ProofBy
from contracts.partner import (
    EVERY_PARTNER,
    AbsenceRule,
    Blame,
    CallbackRoute,
    Capability,
    Credential,
    Host,
    Lifetimes,
    LookupSchedule,
    Manifest,
    Mark,
    Quota,
    Token,
)

DAY_S = 86_400.0

_HOSTS = {
    "snap": Host(sandbox_url="https://merchants.sbx.midtrans.com", source="wallets.md 2.1"),
    "app": Host(sandbox_url="https://merchants-app.sbx.midtrans.com", source="wallets.md 2.1"),
    "iris": Host(sandbox_url="https://app.sandbox.midtrans.com", source="wallets.md 2.1"),
    "identity": Host(sandbox_url="https://identity.staging.midtrans.com", source="wallets.md 2.1"),
}

_CREDENTIALS = {
    "snap_client_id": Credential(help="SNAP client id (X-CLIENT-KEY)", secret=False),
    "snap_client_secret": Credential(help="SNAP client secret, the HMAC key"),
    "snap_private_key_pem": Credential(help="our RSA private key for SNAP tokens and the linking page", pem=True),
    "snap_partner_id": Credential(help="Midtrans merchant id (X-PARTNER-ID)", secret=False),
    "payment_handle": Credential(help="payment handle UUID, the merchantId of linking calls", secret=False),
    "midtrans_public_key_pem": Credential(
        help="Midtrans' RSA public key for link notifications; two while it changes", secret=False, pem=True
    ),
    "identity_merchant_id": Credential(help="partner code at GoPay ID (x-merchant-id)", secret=False),
    "iris_creator_key": Credential(help="Iris API key of the creator"),
    "iris_approver_key": Credential(help="Iris API key of the approver"),
    "iris_merchant_key": Credential(
        help="Iris merchant key of payout notifications; two with a comma while it changes"
    ),
    "channel_id": Credential(help="CHANNEL-ID, any five digits", secret=False, default="95221"),
    "device_id": Credential(help="X-DEVICE-ID of linking calls", secret=False, default="prakerja-gateway"),
}

_FACTS = (
    assumed(
        "decisions X10",
        "No call gives the phone back: the KTP's name is the one of the declared account, its token no other's.",
    ),
    assumed("decisions X1", "The registered redirect URL is matched without its query, which holds our state."),
    assumed("decisions X9", "SNAP's HMAC signs the B2B token also where the participant's token is sent."),
    assumed("decisions X6", "Timestamps may differ by 900 s from the clock."),
    assumed("decisions G1, G2", "The linking page says 4041012 for an unknown, 4031018 for a blocked phone."),
    assumed("decisions G3", "A refusal returns errorCode 4031005, a locked PIN 4031011, both without state."),
    assumed("wallets.md 2.3.6", "An authCode works once; a used or expired one is 4040711."),
    assumed("decisions G4", "Linking a phone again gives the same token; link notices are hints only."),
    assumed("decisions G5", "4030818 at the inquiry means a blocked account also for token-based links."),
    assumed("decisions G6", "GoPay ID answers 401 for a dead linking token; 1519 means no verified identity."),
    assumed("wallets.md 2.5", "A KYC pull needs no fresh submission; a correlation id is any UUID."),
    assumed("decisions G7", "Iris takes every well-formed create; same key and body, same answer."),
    assumed("wallets.md 2.6", "A key reused with another body is HTTP 400, in other words than a refusal."),
    assumed("decisions G8", "Caps and account state show at settlement; which error code is whose problem."),
    assumed("decisions G10", "Approval needs no one-time code; a 400 there says nothing about the payout."),
    assumed("decisions G11", "A 404 for a payout is no proof of absence."),
    assumed("wallets.md 2.6", "Iris refuses a key, or too small a deposit, in words, and then has done nothing."),
    recalled("decisions S2", "Field names of the Iris statement; that a completed payout is one Payout/debit."),
    assumed("decisions S2", "The statement shows our reference in notes, lists a day whole and has no pages."),
    assumed("decisions S7", "Statement, balance and look-ups take the creator's key."),
    assumed("wallets.md 2.6", "Published quotas: creating and approving payouts alone; the others are ours."),
    seen("wallets.md 2.6", "A completed payout can fail later; error codes come by notification only."),
    seen("wallets.md 2.8", "No GoPay balance may exceed Rp 20,000,000, hence no payout either."),
)

_IRIS = "wallets.md 2.6 (the codes are seen; whom they blame, decisions G8, is assumed)"
_CODES = {
    **CASES,
    **codes(Blame.PERSON, _IRIS, "001", "002", "003", "012", "014", "015", "026"),
    **codes(Blame.OURS, _IRIS, "008", "009", "011", "016"),
    **codes(Blame.AMBIGUOUS, _IRIS, "004", "010", "013", "017", "018", "019", "020", "021", "022", "023", "024", "025"),
    **codes(Blame.AMBIGUOUS, "decisions G8: a time-out at the bank", "005"),
    **codes(Blame.AMBIGUOUS, "decisions G8: an identical request was carried out", "006", "007"),
    **codes(Blame.AMBIGUOUS, "decisions G8: failed, the reason is not told", "failed"),
    **codes(Blame.AMBIGUOUS, "wallets.md 2.6.1: a create that failed validation", "400", mark=Mark.SEEN),
    **codes(Blame.AMBIGUOUS, "an approver's no, which may be a person at Midtrans' dashboard", "rejected"),
    **codes(Blame.OURS, "wallets.md 2.6: an Iris key was refused, or may not", "401", "403", mark=Mark.SEEN),
    **codes(Blame.PERSON, "wallets.md 2.3.6, decisions G1: unknown to GoPay", "4041012", mark=Mark.SEEN),
    **codes(Blame.PERSON, "decisions G3: refused on GoPay's page", "4031005", "abort", "failure"),
    **codes(Blame.PERSON, "decisions G6: never verified, or not verifiable", "1519", "COMPLETED.INVALID"),
    **codes(Blame.AMBIGUOUS, "decisions G6: the participant's token, or our merchant", "1401"),
}


def _quota(*operations: str, mark: Mark, source: str) -> Quota:
    return Quota(operations=operations, per_s=50.0, mark=mark, source=source)


MANIFEST = Manifest(
    slug="gopay",
    name="GoPay",
    documents="https://docs.midtrans.com",
    read_on=date(2025, 11, 24),
    capabilities=EVERY_PARTNER
    | {
        Capability.LINK_REDIRECT,
        Capability.LINK_STATUS,
        Capability.UNLINK,
        Capability.PAYOUT_TWO_STEP,
        Capability.BALANCE,
        Capability.NOTIFY_LINK,
        Capability.NOTIFY_KYC,
        Capability.NOTIFY_PAYOUT,
    },
    hosts=_HOSTS,
    credentials=_CREDENTIALS,
    tokens={"snap": Token(life_s=900.0, source="wallets.md 2.2")},
    needs=dict.fromkeys(("finish_link", "link_health", "unlink", "verify_nik"), ("snap",)),
    quotas=(
        _quota("payout.create", mark=Mark.SEEN, source="Midtrans, Rate Limit: create payouts"),
        _quota("payout.approve", mark=Mark.SEEN, source="Midtrans, Rate Limit: approve payouts"),
        _quota("payout.reject", "payout.status", mark=Mark.ASSUMED, source="as for the others"),
        _quota("link.", "unlink", "identity.", mark=Mark.ASSUMED, source="none published"),
    ),
    account_pattern=r"\+628[0-9]{7,11}",
    account_example="+6281200000000",
    account_is_phone=True,
    account_proof=ProofBy.NAMED,
    link_exclusive=False,  # a phone may be linked again; decision G4
    max_amount_rupiah=20_000_000,  # seen: wallets.md 2.8, the balance cap
    payout_proves_link=False,
    payout_needs_live_link=True,
    completed_can_fail=True,  # seen: wallets.md 2.6
    lookups=LookupSchedule(
        first_s=15.0,  # a payout settles in seconds and is told of: what was told needs no look
        factor=2.0,
        max_s=900.0,
        horizon_s=2 * DAY_S,
        weekends=False,
        mark=Mark.ASSUMED,
        source="wallets.md 2.6 (settles the same working day or the next)",
    ),
    absence=AbsenceRule(by_lookup=False, after_s=DAY_S, lookups=4, mark=Mark.ASSUMED, source="decisions G11"),
    lifetimes=Lifetimes(
        reference_s=None,
        external_id="jakarta_day",
        create_key_s=DAY_S,
        create_keys_purged_daily=True,  # seen: purged at 00:00 UTC once older than 24 h, wallets.md 2.6
        lookup_reach_s=60 * DAY_S,
        mark=Mark.ASSUMED,
        source="wallets.md 2.6, 2.7 (two months are documented for SNAP payouts)",
    ),
    confirm_rejection_s=60.0,
    reason_wait_s=600.0,
    verification_retry_s=15.0,
    verification_tries=6,
    callbacks=(  # the signed path is the full request path
        CallbackRoute(kind="link", method="POST", path="/v1.0/registration-account/notify"),
        CallbackRoute(kind="payout", method="POST", path="/iris"),
        CallbackRoute(kind="identity", method="PUT", path="/v1/callback/partner", max_body_bytes=4_096, signed=False),
    ),
    facts=_FACTS,
    codes=_CODES,
)
