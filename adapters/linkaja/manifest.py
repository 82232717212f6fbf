"""What varies at LinkAja and is data. Marks as in wallets.md 4; `assumed` is ours (decisions L1-L14)."""

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
    _assumed("The NIK check, under the customer's token alone, echoes the customerNumber.", "decisions X10, L3"),
    _assumed(
        "The customer's SNAP token is the `token` of /v1/cashin and /v1/custbind/verify/kyc; the scope "
        "DIRECT_DEBIT_TRANSACTION covers it.",
        "decisions L1, wallets.md 4.5",
    ),
    _assumed(
        "Binding: 4040711 no such account, 4030718 blocked, 4030768 linked to another of our customers; the token "
        "exchange says the last as 4037468.",
        "decisions L2 (4030768 seen, wallets.md 4.5)",
    ),
    _assumed("On the way back error=access_denied means refused, error=pin_blocked locked.", "decisions L2"),
    _assumed("`state` always comes back.", "decisions L2"),
    _assumed("nikMatch is Y, N, U (no NIK on file) or P (still running).", "decisions L3, wallets.md 4.6"),
    _assumed("Each endpoint's envelope is as in the samples; data is read wherever it stands.", "decisions L4"),
    _assumed(
        "A check of an unknown merchantTrxID says 25 and no status; FAILED means that a confirm was received and "
        "refused.",
        "decisions L5",
    ),
    _assumed(
        "At confirm 94 means another session booked it: looked up; 40 that the session has ended: begun again under "
        "the same merchantTrxID. At inquiry 94 and 26 are read in the same way.",
        "decisions L6",
    ),
    _assumed("89 is a time-out whose outcome is unknown.", "decisions L7, wallets.md 4.7"),
    _assumed("15 over the cap (inquiry, confirm), 62 blocked (inquiry), 51 our deposit is short.", "decisions L8"),
    _assumed("Any other code: could not tell at inquiry, unknown at confirm.", "decisions L9"),
    _assumed("The signed request line has the path with its query.", "decisions L10"),
    _assumed(
        'HTTP 401 with {"status":"401"} speaks of our Access-Token only: a dead customer token is code 14 in HTTP 200, '
        "and a refused hmac signature is a 401 without a code.",
        "decisions L11, wallets.md 4.7",
    ),
    _assumed("A link is given back by SNAP's unbinding under the customer's token.", "decisions L12"),
    _assumed("The day's statement is GET /v1/cashin/report.", "decisions L13, S4"),
    _assumed(
        "The customer's token lives 15 days, its refresh token has no end and is not used up; 401 at a refresh means "
        "that the link is gone. 4017400 may mean our own signature as well: it counts as gone only if LinkAja takes a "
        "B2B token request signed with the same key right after.",
        "decisions L14; the second look is ours",
    ),
    _assumed("Our legacy token lives an hour, its refresh token 30 days.", "wallets.md 4.2"),
    _recalled("The gateway's clock skew limit for the Date header is 300 s.", "wallets.md 4.2"),
    _assumed("No rate limit is published.", "wallets.md 4.7"),
)

CODES = {
    **CASES,
    **codes(Blame.PERSON, "wallets.md 4.7: no such customer, or the token is dead", "14"),
    **codes(Blame.PERSON, "wallets.md 4.7, decisions L8: over the cap", "15", mark=Mark.SEEN),
    **codes(Blame.PERSON, "decisions L8: blocked", "62"),
    **codes(Blame.OURS, "wallets.md 4.7: our deposit is short", "51"),
    **codes(Blame.OURS, "decisions L11: our Access-Token", "401"),
    **codes(Blame.AMBIGUOUS, "decisions L5: a confirm was refused, without a reason", "FAILED"),
    **codes(Blame.PERSON, "wallets.md 4.5: linked already", "4030768", mark=Mark.SEEN),
    **codes(Blame.PERSON, "decisions L2: linked already", "4037468"),
    **codes(Blame.PERSON, "decisions L2: refused or locked on LinkAja's page", "access_denied", "pin_blocked"),
    **codes(Blame.PERSON, "decisions L14: the refresh token", "4017401", "4017402", "4017403", "4017404"),
    **codes(Blame.AMBIGUOUS, "decisions L14: the refresh token, or our signature", "4017400"),
}

MANIFEST = Manifest(
    slug="linkaja",
    name="LinkAja",
    documents="none public; integrators' code (wallets.md 4)",
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
        }
    ),
    hosts={"gateway": Host(sandbox_url="https://partner-dev.linkaja.com", source="wallets.md 4.1")},
    credentials={
        "hmac_username": Credential(help="user name of the hmac signature", secret=False),
        "hmac_secret": Credential(help="key of the hmac-sha256 signature"),
        "client_id": Credential(help="X-CLIENT-KEY, signed in SNAP token requests", secret=False),
        "client_secret": Credential(help="key of SNAP's HMAC-SHA512 signature"),
        "private_key_pem": Credential(help="RSA key that signs SNAP token requests", pem=True),
        "partner_id": Credential(help="X-PARTNER-ID", secret=False),
        "merchant_id": Credential(help="15-digit merchant number of linking calls", secret=False),
        "channel_id": Credential(help="CHANNEL-ID (wallets.md 4.4)", secret=False, default="95221"),
    },
    tokens={
        "snap": Token(life_s=900.0, source="snap-bni.md 1.3; assumed for LinkAja"),
        "legacy": Token(life_s=3_600.0, source="wallets.md 4.2, assumed", refreshable=True),
    },
    needs={
        "begin_link": ("snap",),
        "unlink": ("snap",),
        "verify_nik": ("legacy",),
        "payout": ("legacy",),
        "find_payout": ("legacy",),
        "statement": ("legacy",),
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
    max_amount_rupiah=20_000_000,  # the balance cap of a Full Service account (wallets.md 4.7)
    payout_proves_link=True,
    payout_needs_live_link=True,
    completed_can_fail=False,
    lookups=LookupSchedule(
        first_s=15.0,
        factor=2.0,
        max_s=900.0,
        horizon_s=86_400.0,
        mark=Mark.ASSUMED,
        source="wallets.md 4.7 (first look after 15 s seen)",
    ),
    absence=AbsenceRule(by_lookup=True, after_s=3_600.0, lookups=4, mark=Mark.ASSUMED, source="snap-bni.md 4.2"),
    lifetimes=Lifetimes(
        reference_s=None,
        external_id="none",
        create_key_s=None,
        lookup_reach_s=60 * 86_400.0,
        mark=Mark.ASSUMED,
        source="decisions L6; two months as at the other wallets",
    ),
    confirm_rejection_s=30.0,
    reason_wait_s=0.0,
    verification_retry_s=300.0,
    verification_tries=8,
    callbacks=(),
    facts=FACTS,
    codes=CODES,
)
