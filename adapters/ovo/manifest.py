"""What varies at OVO and is data. Marks: seen and recalled as in wallets.md 3; `assumed` is ours (decisions O1-O12)."""

from __future__ import annotations

from datetime import date

from adapters.facts import assumed, codes, recalled
from adapters.snap.facts import ABSENCE, CASES, LOOKUPS, lifetimes
from contracts.identity import ProofBy
from contracts.partner import EVERY_PARTNER, Blame, Capability, Credential, Host, Manifest, Mark, Token

FACTS = (
    assumed(
        "decisions X10, O6, O7",
        "The code works only with its linkageToken, and the NIK check echoes the customerNumber.",
    ),
    assumed("decisions O1, wallets.md 3.2", "Binding is signed with an empty token part and sends no Authorization."),
    recalled(
        "wallets.md 3.3",
        "Binding takes phoneNo and in additionalInfo custIdMerchant, customerName and the two return addresses; the "
        "e-mail address is left out, we have none.",
    ),
    assumed(
        "decisions O3, wallets.md 3.3",
        "Binding: 4040711 no such account, 4030707 blocked, 4030705 with reason ALREADY_LINKED linked to another "
        "of our customers; the token exchange says the last as 4037405.",
    ),
    assumed("wallets.md 3.1", "Its linking page is at a name of its own, below ovo.id or (sandbox) byte-stack.net."),
    assumed("decisions O4", "`state` in the redirect is OVO's own and is ignored."),
    assumed("decisions O5", "OV00006 on the way back means refused, OV00007 locked; anything else, not finished."),
    recalled("wallets.md 3.2", "The customer's token lives 15 days; its refresh token has no end."),
    recalled(
        "wallets.md 3.3; the second look is assumed",
        "401 at a refresh means unlinked. 4017400 may mean our own signature as well: it counts as unlinked only if "
        "OVO accepts a B2B token request signed with the same key right after.",
    ),
    assumed(
        "wallets.md 3.2", "A refresh does not use up the refresh token; where the answer names none, the old one stays."
    ),
    assumed(
        "decisions O10, wallets.md 3.2",
        "The first call of unbinding only hands out a token and may be repeated; the second one unbinds.",
    ),
    assumed(
        "decisions O7, wallets.md 3.5",
        "The NIK is checked by account-inquiry with identificationType KTP under the customer's token.",
    ),
    assumed("wallets.md 3.5", "4033705 at account-inquiry means that the customer's consent is missing."),
    assumed(
        "decisions O8, wallets.md 3.6",
        "An account over its cap is refused with 4033702 at inquiry, 4033802 at top-up; 18 inactive, 07 blocked, 11 "
        "unknown.",
    ),
    assumed("decisions O9", "An unknown reference is 4043901, or 2003900 with status 07."),
    assumed("wallets.md 3.6", "Field tables and codes of inquiry, top-up and status are SNAP's own."),
    assumed(
        "decisions O12, S3",
        "Statement and deposit balance are GETs below /cashin/snap/v2.0; 4041201: nothing booked (X14).",
    ),
    assumed("wallets.md 3.6", "No rate limit is published; 42900 slows us down."),
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
    capabilities=EVERY_PARTNER
    | {
        Capability.LINK_REDIRECT,
        Capability.GRANT_REFRESH,
        Capability.UNLINK,
        Capability.PAYOUT_ONE_STEP,
        Capability.BALANCE,
    },
    hosts={"snap": Host(sandbox_url="https://app.byte-stack.net", source="wallets.md 3.1")},
    pages=("ovo.id", "byte-stack.net"),
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
    needs=dict.fromkeys(("verify_nik", "payout", "find_payout", "statement", "balance"), ("snap",)),
    account_pattern=r"\+628[0-9]{7,12}",
    account_example="+6281200000000",
    account_is_phone=True,
    account_proof=ProofBy.ECHOED,
    link_exclusive=True,
    max_amount_rupiah=10_000_000,  # wallets.md 3.6: a disbursement above it is refused
    payout_proves_link=True,
    payout_needs_live_link=True,
    lookups=LOOKUPS,
    absence=ABSENCE,
    lifetimes=lifetimes("decisions X5, X7; two months as Midtrans' SNAP top-up status, wallets.md 2.7"),
    facts=FACTS,
    codes=CODES,
)
