"""What varies at OVO and is data. Marks: seen and recalled as in wallets.md 3; `assumed` is ours (decisions O1-O12)."""

from __future__ import annotations

from datetime import date

from adapters.snap.facts import CASES, codes
from contracts.identity import ProofBy
from contracts.partner import (
    AbsenceRule,
    Blame,
    Capability,
    Credential,
    Fact,
    Host,
    Lifetimes,
    LookupSchedule,
    Manifest,
    Mark,
    Token,
)


def _assumed(text: str, source: str) -> Fact:
    return Fact(mark=Mark.ASSUMED, text=text, source=source)


def _recalled(text: str, source: str) -> Fact:
    return Fact(mark=Mark.RECALLED, text=text, source=source)


FACTS = (
    _assumed(
        "The code works only with its linkageToken, and the NIK check echoes the customerNumber.",
        "decisions X10, O6, O7",
    ),
    _assumed("Binding is signed with an empty token part and sends no Authorization.", "decisions O1, wallets.md 3.2"),
    _recalled(
        "Binding takes phoneNo and in additionalInfo custIdMerchant, customerName and the two return addresses; the "
        "e-mail address is left out, we have none.",
        "wallets.md 3.3",
    ),
    _assumed(
        "Binding: 4040711 no such account, 4030707 blocked, 4030705 with reason ALREADY_LINKED linked to another "
        "of our customers; the token exchange says the last as 4037405.",
        "decisions O3, wallets.md 3.3",
    ),
    _assumed("`state` in the redirect is OVO's own and is ignored.", "decisions O4"),
    _assumed("OV00006 on the way back means refused, OV00007 locked; anything else, not finished.", "decisions O5"),
    _recalled("The customer's token lives 15 days; its refresh token has no end.", "wallets.md 3.2"),
    _recalled(
        "401 at a refresh means unlinked. 4017400 may mean our own signature as well: it counts as unlinked only if "
        "OVO accepts a B2B token request signed with the same key right after.",
        "wallets.md 3.3; the second look is assumed",
    ),
    _assumed(
        "A refresh does not use up the refresh token; where the answer names none, the old one stays.", "wallets.md 3.2"
    ),
    _assumed(
        "The first call of unbinding only hands out a token and may be repeated; the second one unbinds.",
        "decisions O10, wallets.md 3.2",
    ),
    _assumed(
        "The NIK is checked by account-inquiry with identificationType KTP under the customer's token.",
        "decisions O7, wallets.md 3.5",
    ),
    _assumed("4033705 at account-inquiry means that the customer's consent is missing.", "wallets.md 3.5"),
    _assumed(
        "An account over its cap is refused with 4033702 at inquiry, 4033802 at top-up; 18 inactive, 07 blocked, 11 "
        "unknown.",
        "decisions O8, wallets.md 3.6",
    ),
    _assumed("An unknown reference is 4043901, or 2003900 with status 07.", "decisions O9"),
    _assumed("Field tables and codes of inquiry, top-up and status are SNAP's own.", "wallets.md 3.6"),
    _assumed("Statement and deposit balance are GETs below /cashin/snap/v2.0.", "decisions O12, S3"),
    _assumed("No rate limit is published; 42900 slows us down.", "wallets.md 3.6"),
)

CODES = {
    **CASES,
    **codes(Blame.PERSON, "decisions O8: the account is over its cap", "4033702", "4033802"),
    **codes(Blame.PERSON, "decisions O3: linked already", "4030705", "4037405"),
    **codes(Blame.PERSON, "wallets.md 3.5: consent missing", "4033705"),
    **codes(Blame.PERSON, "decisions O5: refused or locked on OVO's page", "OV00006", "OV00007"),
    **codes(Blame.PERSON, "wallets.md 3.3: the code or the refresh token", "4017401", "4017402", "4017403", "4017404"),
    **codes(Blame.PERSON, "wallets.md 3.3: the code is not known", "4047401", mark=Mark.RECALLED),
    **codes(Blame.AMBIGUOUS, "decisions O13: the customer's token, or our signature", "4013700", "4010900", "4017400"),
    **codes(Blame.AMBIGUOUS, "decisions O13, wallets.md 3.3: the customer's token is to be refreshed", "OV00502"),
    **codes(Blame.AMBIGUOUS, "snap-bni.md 1.12: cancelled or failed, without a reason", "05", "06"),
}

MANIFEST = Manifest(
    slug="ovo",
    name="OVO",
    documents="https://www.ovo.id/partner-integration (wallets.md 3)",
    read_on=date(2026, 11, 24),
    capabilities=frozenset(
        {
            Capability.LINK_REDIRECT,
            Capability.GRANT_REFRESH,
            Capability.UNLINK,
            Capability.VERIFY_NIK,
            Capability.PAYOUT_ONE_STEP,
            Capability.FIND_PAYOUT,
            Capability.STATEMENT,
            Capability.BALANCE,
        }
    ),
    hosts={"snap": Host(sandbox_url="https://app.byte-stack.net", source="wallets.md 3.1")},
    credentials={
        "client_id": Credential(help="X-CLIENT-KEY, signed in token requests", secret=False),
        "client_secret": Credential(help="key of the HMAC-SHA512 signature"),
        "private_key_pem": Credential(help="RSA key that signs token requests", pem=True),
        "partner_id": Credential(help="X-PARTNER-ID", secret=False),
        "channel_id": Credential(help="CHANNEL-ID, at most 5 digits", secret=False),
        "device_id": Credential(help="X-DEVICE-ID", secret=False),
        "api_version": Credential(help="version segment of /OVOSNAP paths", secret=False, default="v2.0"),
        "token_version": Credential(help="version segment of the B2B token's path", secret=False, default="v1.0"),
    },
    tokens={"snap": Token(life_s=900.0, source="wallets.md 3.2")},
    needs={
        "verify_nik": ("snap",),
        "payout": ("snap",),
        "find_payout": ("snap",),
        "statement": ("snap",),
        "balance": ("snap",),
    },
    quotas=(),
    account_pattern=r"\+628[0-9]{7,12}",
    account_example="+6281200000000",
    account_is_phone=True,
    account_proof=ProofBy.ECHOED,
    link_exclusive=True,
    inputs={},
    first_inputs=(),
    min_amount_rupiah=1,
    max_amount_rupiah=10_000_000,  # wallets.md 3.6: a disbursement above it is refused
    payout_proves_link=True,
    payout_needs_live_link=True,
    completed_can_fail=False,
    lookups=LookupSchedule(
        first_s=15.0, factor=2.0, max_s=900.0, horizon_s=86_400.0, mark=Mark.ASSUMED, source="snap-bni.md 4.2"
    ),
    absence=AbsenceRule(by_lookup=True, after_s=3_600.0, lookups=4, mark=Mark.ASSUMED, source="snap-bni.md 4.2"),
    lifetimes=Lifetimes(
        reference_s=None,
        external_id="jakarta_day",
        create_key_s=None,
        lookup_reach_s=60 * 86_400.0,
        mark=Mark.ASSUMED,
        source="decisions X5, X7; two months as Midtrans' SNAP top-up status, wallets.md 2.7",
    ),
    confirm_rejection_s=30.0,
    reason_wait_s=0.0,
    verification_retry_s=300.0,
    verification_tries=8,
    callbacks=(),
    facts=FACTS,
    codes=CODES,
)
