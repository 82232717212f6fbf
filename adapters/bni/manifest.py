"""All about BNI that is data, each value with its source."""

from __future__ import annotations

from datetime import date

from adapters.bni import identity
from adapters.facts import assumed, codes, recalled
from adapters.snap.facts import ABSENCE, CASES, lifetimes
from contracts.identity import ProofBy
from contracts.money import MAX_AMOUNT_RUPIAH
from contracts.partner import (
    EVERY_PARTNER,
    Blame,
    Capability,
    Credential,
    Host,
    InputField,
    LookupSchedule,
    Manifest,
    Mark,
    Quota,
    Token,
)

_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S

_CREDENTIALS = {
    "client_id": Credential(help="X-CLIENT-KEY of the SNAP host (OAuth clientId)", secret=False),
    "api_key": Credential(help="X-PARTNER-ID of the SNAP host (apiKey)"),
    "api_secret": Credential(help="HMAC key of the SNAP host (apiSecret)"),
    "private_key_pem": Credential(help="RSA private key whose public half the SNAP host holds", pem=True),
    "source_account": Credential(help="Our account at BNI that payouts are made from"),
    "channel_id": Credential(help="CHANNEL-ID, at most 5 characters", secret=False, default="95221"),
    "autopay_merchant_id": Credential(help="merchantID at Autopay, its X-PARTNER-ID", secret=False),
    "autopay_client_id": Credential(help="X-CLIENT-KEY of the Autopay host", secret=False),
    "autopay_client_secret": Credential(help="HMAC key of the Autopay host"),
    "autopay_private_key_pem": Credential(help="RSA private key whose public half Autopay holds", pem=True),
}


_FACTS = (
    assumed(
        "decisions X10, B6",
        "The NIK check names the accountNo beside the bankCardToken; BNI refuses another account's token.",
    ),
    *identity.FACTS,
    assumed("decisions B1", "Linking has no page: card number and OTP are typed on the gateway's form"),
    assumed("decisions B2", "bind answers bankCardToken, chargeToken and additionalInfo.referenceNo"),
    assumed("decisions B3", "OTP: wrong 4040415 twice, then 4030411 (blocked); late 4030412; life 5 minutes"),
    assumed("decisions B4", "bind: unknown account 4040711, blocked 4030718, wrong card 4000701"),
    assumed("decisions B5, snap-bni 2.4", "custIdMerchant is the link's id; limit 1.00; an empty email is taken"),
    assumed("snap-bni 1.10", "A bankCardToken lives until unbound unless tokenExpiryTime says otherwise"),
    assumed("snap-bni 2.4", "ORIGIN is optional at Autopay and not sent; one CHANNEL-ID serves both hosts"),
    assumed("snap-bni 6.2", "Unbinding: an unknown card token (404xx11) means already unbound"),
    assumed("decisions B3, S6", "Unbinding: its OTP answers 4040915, 4030911, 4030912 as B3 has them for linking"),
    assumed("snap-bni 2.4", "send OTP takes an expiredOtp five minutes away and an empty externalStoreId"),
    assumed("decisions B7", "The inquiry says 4001501, 4031518 or 4031509 for an unusable account, 4041511 for none"),
    assumed("snap-bni 1.8, 4.2", "4xx refusals of a transfer listed by the standard are final"),
    assumed("snap-bni 4.2", "401xx00/01/03, 403xx06, 403xx14, 429xx00 at a transfer mean that nothing was done"),
    assumed("decisions B8", "A time-out at BNI is HTTP 504, 5041700"),
    assumed("decisions B9", "An unknown reference is HTTP 404, 4043601, or 2003600 with status 07"),
    assumed("decisions B10", "transfer/status and bank-statement carry partnerReferenceNo"),
    assumed("decisions X7", "The same reference and parameters never pay twice; other parameters 404xx18"),
    assumed("decisions S5", "Shape, kinds and pages of the bank statement; 4041401: nothing booked (X14)"),
    recalled("SNAP service 11", "balance-inquiry takes partnerReferenceNo and accountNo, answers accountInfos"),
    assumed("SNAP service 11", "accountInfos has one entry, and its availableBalance is our deposit"),
    assumed("snap-bni 2.3, 2.4", "BNI pays by account number alone: the link is not used by a payout"),
    assumed("snap-bni 2.3", "No limit of one transfer is published: ours of one incentive holds"),
)

_CODES = {
    **CASES,
    **codes(Blame.PERSON, "snap-bni.md 2.3, decisions B7: an inactive account", "4001501", mark=Mark.SEEN),
    **codes(Blame.PERSON, "decisions B4: another card", "4000701"),
    **codes(Blame.AMBIGUOUS, "snap-bni.md 1.12: cancelled or failed, without a reason", "05", "06"),
}

MANIFEST = Manifest(
    slug="bni",
    name="BNI",
    documents="docs/partners/snap-bni.md sections 1, 2.3, 2.4, 4; decisions.md B1-B10, S5, S6",
    read_on=date(2026, 11, 24),
    capabilities=EVERY_PARTNER
    | {
        Capability.LINK_INPUTS,
        Capability.UNLINK,
        Capability.PAYOUT_ONE_STEP,
        Capability.BALANCE,
    },
    hosts={
        "snap": Host(sandbox_url="https://sandbox.bni.co.id", source="snap-bni 2.1 (seen)"),
        "autopay": Host(sandbox_url="https://api-alpha-autopay.bni-ecollection.com", source="snap-bni 2.4 (seen)"),
    },
    credentials=_CREDENTIALS,
    tokens={
        "snap": Token(life_s=900.0, source="snap-bni 1.3 (seen)"),
        "autopay": Token(life_s=900.0, source="snap-bni 2.4 (seen: exp - iat = 900)"),
    },
    needs={
        "answer_link": ("autopay",),
        "unlink": ("autopay",),
        "verify_nik": ("snap",),
        "payout": ("snap",),
        "find_payout": ("snap",),
        "statement": ("snap",),
        "balance": ("snap",),
    },
    quotas=(
        Quota(operations=("payout.", "identity."), per_s=200.0, mark=Mark.ASSUMED, source="snap-bni 2.6: none seen"),
        Quota(operations=("link.", "unlink"), per_s=50.0, mark=Mark.ASSUMED, source="snap-bni 2.6: none seen"),
        Quota(operations=("statement", "balance"), per_s=5.0, mark=Mark.ASSUMED, source="snap-bni 2.6: none seen"),
    ),
    account_pattern=r"[0-9]{10}",
    account_example="0123456789",
    account_is_phone=False,
    account_proof=ProofBy.ASKED,
    link_exclusive=False,  # decisions B4: a second bind of one account is allowed
    inputs={
        "card_no": InputField(
            pattern=r"[0-9]{16}",
            label_indonesian="Nomor kartu debit BNI (16 digit)",
            label_english="BNI debit card number (16 digits)",
            autocomplete="cc-number",
        ),
        "otp": InputField(
            pattern=r"[0-9]{6}",
            label_indonesian="Kode OTP dari SMS BNI (6 digit)",
            label_english="OTP from BNI's SMS (6 digits)",
            autocomplete="one-time-code",
        ),
    },
    first_inputs=("card_no",),
    max_amount_rupiah=MAX_AMOUNT_RUPIAH,
    payout_proves_link=False,
    payout_needs_live_link=False,
    lookups=LookupSchedule(
        first_s=60.0, factor=3.0, max_s=_HOUR_S, horizon_s=_DAY_S, mark=Mark.ASSUMED, source="snap-bni 4.2"
    ),
    absence=ABSENCE,
    lifetimes=lifetimes("decisions X5, X7; snap-bni 4.1 (two months seen at Midtrans)"),
    verification_retry_s=60.0,
    verification_tries=5,
    facts=_FACTS,
    codes=_CODES,
)
