"""What varies at LinkAja and is data. Marks as in wallets.md 4; `assumed` is ours (decisions L1-L14)."""

from __future__ import annotations

from datetime import date

from adapters.facts import assumed, codes, recalled, seen
from adapters.snap.facts import ABSENCE, CASES, LOOKUPS, lifetimes
from contracts.identity import ProofBy
from contracts.partner import (
    EVERY_PARTNER,
    Blame,
    Capability,
    Credential,
    Host,
    Manifest,
    Mark,
    Token,
)

FACTS = (
    assumed("decisions X10, L3", "The NIK check, under the customer's token alone, echoes the customerNumber."),
    assumed(
        "decisions L1, wallets.md 4.5",
        "The customer's SNAP token is the `token` of /v1/cashin and /v1/custbind/verify/kyc; the scope "
        "DIRECT_DEBIT_TRANSACTION covers it.",
    ),
    assumed(
        "decisions L2 (4030768 seen, wallets.md 4.5)",
        "Binding: 4040711 no such account, 4030718 blocked, 4030768 linked to another of our customers; the token "
        "exchange says the last as 4037468.",
    ),
    assumed("decisions L2", "On the way back error=access_denied means refused, error=pin_blocked locked."),
    assumed("decisions L2", "`state` always comes back."),
    assumed("wallets.md 4.1", "Its PIN page is at a name of LinkAja's own: below linkaja.com or linkaja.id."),
    assumed("decisions L3, wallets.md 4.6", "nikMatch is Y, N, U (no NIK on file) or P (still running)."),
    assumed("decisions L4", "Each endpoint's envelope is as in the samples; data is read wherever it stands."),
    assumed(
        "decisions L5",
        "A check of an unknown merchantTrxID says 25 and no status; FAILED means that a confirm was received and "
        "refused.",
    ),
    assumed(
        "decisions L6",
        "At confirm 94 means another session booked it: looked up; 40 that the session has ended: begun again under "
        "the same merchantTrxID. At inquiry 94 and 26 are read in the same way.",
    ),
    assumed("decisions L7, wallets.md 4.7", "89 is a time-out whose outcome is unknown."),
    assumed("decisions L8", "15 over the cap (inquiry, confirm), 62 blocked (inquiry), 51 our deposit is short."),
    assumed("decisions L9", "Any other code: could not tell at inquiry, unknown at confirm."),
    assumed("decisions L10", "The signed request line has the path with its query."),
    assumed(
        "decisions L11, wallets.md 4.7",
        'HTTP 401 with {"status":"401"} speaks of our Access-Token only: a dead customer token is code 14 in HTTP 200, '
        "and a refused hmac signature is a 401 without a code.",
    ),
    assumed("decisions L12", "A link is given back by SNAP's unbinding under the customer's token."),
    assumed("decisions L13, S4", "The day's statement is GET /v1/cashin/report."),
    assumed(
        "decisions L14; the second look is ours",
        "The customer's token lives 15 days, its refresh token has no end and is not used up; 401 at a refresh means "
        "that the link is gone. 4017400 may mean our own signature as well: it counts as gone only if LinkAja takes a "
        "B2B token request signed with the same key right after.",
    ),
    assumed("wallets.md 4.2", "Our legacy token lives an hour, its refresh token 30 days."),
    recalled("wallets.md 4.2", "The gateway's clock skew limit for the Date header is 300 s."),
    assumed("wallets.md 4.7", "No rate limit is published."),
    seen("wallets.md 4.7", "A cash-in is looked at 15 s after its confirm, for the first time."),
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
    capabilities=EVERY_PARTNER
    | {
        Capability.LINK_REDIRECT,
        Capability.GRANT_REFRESH,
        Capability.UNLINK,
        Capability.PAYOUT_ONE_STEP,
    },
    hosts={"gateway": Host(sandbox_url="https://partner-dev.linkaja.com", source="wallets.md 4.1")},
    pages=("linkaja.com", "linkaja.id"),
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
    account_pattern=r"\+628[0-9]{7,12}",
    account_example="+6281200000000",
    account_is_phone=True,
    account_proof=ProofBy.ECHOED,
    link_exclusive=True,
    max_amount_rupiah=20_000_000,  # the balance cap of a Full Service account (wallets.md 4.7)
    payout_proves_link=True,
    payout_needs_live_link=True,
    lookups=LOOKUPS,
    absence=ABSENCE,
    lifetimes=lifetimes("decisions L6; two months as at the other wallets", external_id="none"),
    facts=FACTS,
    codes=CODES,
)
