"""What varies at DANA and is data. Marks: seen as in dana.md; `assumed` is ours (decisions D1-D14)."""

from __future__ import annotations

from datetime import date

from adapters.facts import assumed, codes, seen
from adapters.snap.facts import ABSENCE, CASES, LOOKUPS, lifetimes
from contracts.identity import ProofBy
from contracts.partner import EVERY_PARTNER, Blame, Capability, Credential, Host, Manifest, Mark

FACTS = (
    seen("dana.md", "SNAP calls are signed with our RSA key over METHOD:path:sha256(body):time, no token."),
    assumed("decision D3", "Calls go to api.sandbox.dana.id, the pages are at m.sandbox.dana.id (seen)."),
    seen("dana.md", "seamlessSign is RSA-SHA256 over the compact JSON of seamlessData, before encoding."),
    assumed("decision D4", "A wrong seamlessSign lets anybody sign in; LOGIN_ID alone says whose the access is."),
    assumed("decision D8", "LOGIN_ID is the account's phone, as 62-81234567890; its digits count."),
    assumed("decision D5", "The way back spells refusals as error or responseCode, with our state."),
    assumed("decision D6", "The customer's token lives 15 days, its refresh token 180 and is not used up."),
    seen("dana.md", "The profile query tells KTP_NUMBER to a client whose scope has it."),
    assumed("decision D7", "KTP_NUMBER wants the scope MINI_DANA; the words of USER_KYC and of refusals."),
    assumed("decision D7", "The answer's head carries our reqMsgId, under the signature."),
    assumed("decision D10", "A second binding gives another token, and the earlier one stays good."),
    seen("dana.md", "partnerReferenceNo is the idempotent key of a top-up: 2003800 again, 5003800 failed."),
    assumed("decision D12", "A refusal by code keeps nothing: the reference stays free."),
    seen("dana.md", "05 is a payee who is frozen, or by resultMsg not there; 4017400 a wrong signature or authCode."),
    seen("dana.md", "latestTransactionStatus 00 to 07, serviceCode always 38."),
    seen("dana.md", "An unknown reference is 4043901 (HTTP 200 with status 07 is taken alike)."),
    assumed("decisions D14, X14", "Statement: SNAP's history; 4041201: nothing booked. No query of our deposit."),
    assumed("dana.md", "No rate limit is published; 42900 slows us down."),
)

CODES = {
    **CASES,
    **codes(Blame.PERSON, "decisions D11, D12: over a ceiling", "4033702", "4033802"),
    **codes(Blame.PERSON, "dana.md: frozen, or not there", "4033705", "4033805", mark=Mark.SEEN),
    **codes(Blame.AMBIGUOUS, "dana.md: the authCode, or our signature", "4017400", mark=Mark.SEEN),
    **codes(Blame.PERSON, "decision D5: refused or locked on DANA's page", "access_denied", "pin_blocked"),
    **codes(Blame.PERSON, "decision D7: token, or account", "ACCESS_TOKEN_INVALID", "USER_STATUS_ABNORMAL"),
    **codes(Blame.PERSON, "decision D7: never verified", "KYC_NOT_VERIFIED"),
    **codes(Blame.OURS, "dana.md: our scope", "RESOURCE_NOT_DEFINED", mark=Mark.SEEN),
    **codes(Blame.OURS, "decision D7: our client", "INVALID_SIGNATURE", "AUTHENTICATION_FAIL"),
    **codes(Blame.AMBIGUOUS, "snap-bni.md 1.12: cancelled or failed, without a reason", "05", "06"),
}

MANIFEST = Manifest(
    slug="dana",
    name="DANA",
    documents="dashboard.dana.id api-docs-v2, DANA's public client libraries (dana.md)",
    read_on=date(2026, 11, 28),
    capabilities=EVERY_PARTNER
    | {
        Capability.LINK_REDIRECT,
        Capability.LINK_STATUS,
        Capability.GRANT_REFRESH,
        Capability.UNLINK,
        Capability.PAYOUT_ONE_STEP,
    },
    hosts={
        "snap": Host(sandbox_url="https://api.sandbox.dana.id", source="decision D1; the name is assumed"),
        "app": Host(sandbox_url="https://m.sandbox.dana.id", source="dana.md"),
    },
    credentials={
        "client_id": Credential(help="X-PARTNER-ID, X-CLIENT-KEY and clientId", secret=False),
        "client_secret": Credential(help="clientSecret of the profile query"),
        "private_key_pem": Credential(help="RSA key that signs every call", pem=True),
        "merchant_id": Credential(help="merchantId of linking calls", secret=False),
        "channel_id": Credential(help="CHANNEL-ID", secret=False, default="95221"),
        "device_id": Credential(help="X-DEVICE-ID of unbinding", secret=False, default="prakerja-gateway"),
        "dana_public_key_pem": Credential(help="DANA's RSA key of profile answers (or two)", secret=False, pem=True),
    },
    account_pattern=r"\+628[0-9]{7,12}",
    account_example="+6281200000000",
    account_is_phone=True,
    account_proof=ProofBy.ECHOED,
    link_exclusive=False,
    max_amount_rupiah=20_000_000,  # decision D11: one transfer at most
    payout_proves_link=False,
    payout_needs_live_link=True,
    lookups=LOOKUPS,
    absence=ABSENCE,
    lifetimes=lifetimes("decisions X5, D12; two months as at the other wallets"),
    facts=FACTS,
    codes=CODES,
)
