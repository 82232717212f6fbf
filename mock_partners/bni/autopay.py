"""BNI Autopay SNAP, `/v1.0` (snap-bni.md 2.4): binding an account by card number and OTP, and unbinding it."""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mock_partners.bni.credentials import VALUES
from mock_partners.bni.transfers import fields_of
from mock_partners.kit.clock import Clock
from mock_partners.kit.http import Reply, same
from mock_partners.kit.snap.fields import Fields
from mock_partners.kit.snap.gate import B2B_TOKEN_LIFE_S, Asked, Gate
from mock_partners.kit.snap.magic import refuse_if_magic
from mock_partners.kit.snap.payments import active
from mock_partners.kit.snap.refusals import Refusal, malformed
from mock_partners.kit.snap.signatures import parse_timestamp
from mock_partners.kit.snap.tokens import jwt_minter
from mock_partners.kit.world import Account, World

OTP_LIFE = timedelta(minutes=5)
TRIES = 3
BINDING, UNBINDING = "01", "09"
REASON_CODES = "02|09|53|54"
"""otpReasonCode: set limit, unbinding, force debit, direct debit (snap-bni.md 2.4)."""
ALPHANUMERICS = string.ascii_letters + string.digits


@dataclass(repr=False)
class Link:
    """One binding of one account; a second bind of the account is another link with another token (decisions B4)."""

    account: Account
    customer: str
    partner_reference: str
    bank_card_token: str
    active: bool = False


@dataclass(repr=False)
class Challenge:
    """One OTP that was sent, known by its chargeToken."""

    link: Link
    purpose: str
    reference: str
    otp: str
    until: datetime
    wrong: int = 0
    used: bool = False


@dataclass(repr=False)
class Desk:
    """All links and challenges of the sandbox merchant."""

    links: dict[str, Link] = field(default_factory=dict)
    challenges: dict[str, Challenge] = field(default_factory=dict)
    bound_references: set[str] = field(default_factory=set)

    def link(self, bank_card_token: str) -> Link | None:
        """The live link of a token; none before its OTP was right or after it was unbound."""
        link = self.links.get(bank_card_token)
        return link if link is not None and link.active else None


def token_minter(world: World, clock: Clock) -> Callable[[], str]:
    """Autopay's B2B token is a JWT with exp - iat = 900 (snap-bni.md 2.4)."""

    def claims() -> dict[str, Any]:
        now_s = int(clock.seconds())
        return {"clientId": VALUES["autopay_client_id"], "exp": now_s + B2B_TOKEN_LIFE_S, "iat": now_s, "nbf": now_s}

    return jwt_minter(world, claims)


class Autopay:
    """The handlers of Autopay; `desk` is kept in the world."""

    def __init__(self, world: World, clock: Clock, gate: Gate, desk: Desk, reference: Callable[[], str]) -> None:
        self._world, self._clock, self._gate, self._desk, self._reference = world, clock, gate, desk, reference

    async def bind(self, asked: Asked) -> Reply:
        """registration-account-binding, service 07; sends the OTP to the account's phone (decisions B2, B4, B5)."""
        fields = fields_of(asked)
        reference = fields.text("partnerReferenceNo", 64)
        self._merchant(fields)
        data = fields.object("additionalData")
        number = data.text("bankAccountNo", 11, pattern="[0-9]{10,11}")
        card = data.text("bankCardNo", 16, pattern="[0-9]{16}")
        if not re.fullmatch(r"[0-9]{1,16}\.[0-9]{2}", limit := data.text("limit", 19)) or not limit.strip("0."):
            raise malformed("additionalData.limit")
        data.text("email", 254, pattern=r"[^@\s]+@[^@\s]+", required=False)
        customer = _customer(fields)
        if reference in self._desk.bound_references:
            raise Refusal(409, "01", "Duplicate partnerReferenceNo")
        refuse_if_magic(number)
        account = self._world.accounts.get(number)
        if account is None:
            raise Refusal(404, "11", "Invalid Account")
        active(account)
        if not same(card, account.card_no):
            raise malformed("additionalData.bankCardNo")
        link = Link(account, customer, reference, self._random(128))
        self._desk.links[link.bank_card_token] = link
        self._desk.bound_references.add(reference)
        charge_token, challenge = self._challenge(link, BINDING)
        return self._gate.say(
            200, "07", referenceNo=self._reference(), partnerReferenceNo=reference,
            bankCardToken=link.bank_card_token, chargeToken=charge_token,
            additionalInfo={"referenceNo": challenge.reference},
        )  # fmt: skip

    async def verify_otp(self, asked: Asked) -> Reply:
        """otp-verification, service 04: makes the link good (decisions B2, B3)."""
        fields = fields_of(asked)
        self._merchant(fields)
        partner_reference = fields.text("originalPartnerReferenceNo", 64)
        reference = fields.text("originalReferenceNo", 64)
        challenge = self._answered(fields, BINDING)
        if (challenge.link.partner_reference, challenge.reference) != (partner_reference, reference):
            raise Refusal(404, "01", "Transaction Not Found")
        self._check_otp(challenge, fields)
        challenge.link.active = True
        return self._gate.say(
            200, "04", referenceNo=reference, partnerReferenceNo=partner_reference,
            bankCardToken=challenge.link.bank_card_token,
            additionalInfo={"custIdMerchant": challenge.link.customer},
        )  # fmt: skip

    async def send_otp(self, asked: Asked) -> Reply:
        """otp, service 81: sends an OTP for a live link and names it by a new chargeToken."""
        fields = fields_of(asked)
        self._merchant(fields)
        reference = fields.text("partnerReferenceNo", 64)
        if fields.text("journeyID", 36) != asked.external_id:
            raise malformed("journeyID")
        reason = fields.text("otpReasonCode", 2, pattern=REASON_CODES)
        fields.text("otpReasonMessage", 30)
        fields.text("externalStoreId", 64, required=False)
        expiry = fields.object("additionalInfo", required=False).text("expiredOtp", 29, required=False)
        if expiry and parse_timestamp(expiry) is None:
            raise malformed("additionalInfo.expiredOtp")
        link = self._live(fields)
        charge_token, challenge = self._challenge(link, reason)
        return self._gate.say(
            200, "81", referenceNo=challenge.reference, partnerReferenceNo=reference, chargeToken=charge_token,
            additionalInfo={},
        )  # fmt: skip

    async def unbind(self, asked: Asked) -> Reply:
        """registration-account-unbinding, service 09, with the OTP of a chargeToken asked for with reason 09."""
        fields = fields_of(asked)
        self._merchant(fields)
        reference = fields.text("partnerReferenceNo", 64)
        link = self._live(fields)
        if _customer(fields) != link.customer:
            raise Refusal(404, "11", "Invalid Customer [custIdMerchant]")
        challenge = self._answered(fields, UNBINDING)
        if challenge.link is not link:
            raise Refusal(404, "07", "Journey Not Found")
        self._check_otp(challenge, fields)
        link.active = False
        return self._gate.say(
            200, "09", referenceNo=self._reference(), partnerReferenceNo=reference,
            merchantId=VALUES["autopay_merchant_id"], unlinkResult="success", additionalInfo={},
        )  # fmt: skip

    def _merchant(self, fields: Fields) -> None:
        if fields.text("merchantId", 64) != VALUES["autopay_merchant_id"]:
            raise Refusal(404, "08", "Invalid Merchant")

    def _live(self, fields: Fields) -> Link:
        link = self._desk.link(fields.text("bankCardToken", 128))
        if link is None:
            raise Refusal(404, "11", "Invalid Card [bankCardToken]")
        return link

    def _challenge(self, link: Link, purpose: str) -> tuple[str, Challenge]:
        now = self._clock.now()
        otp = self._world.sms.send(link.account.phone, now)
        challenge = Challenge(link, purpose, self._reference(), otp, now + OTP_LIFE)
        charge_token = self._random(30)
        self._desk.challenges[charge_token] = challenge
        return charge_token, challenge

    def _answered(self, fields: Fields, purpose: str) -> Challenge:
        challenge = self._desk.challenges.get(fields.text("chargeToken", 40))
        if challenge is None or challenge.purpose != purpose:
            raise Refusal(404, "07", "Journey Not Found")
        if challenge.used:
            raise Refusal(404, "06", "Need To Request OTP")
        return challenge

    def _check_otp(self, challenge: Challenge, fields: Fields) -> None:
        """Two wrong OTPs may be corrected, the third blocks; a late one has expired (decisions B3)."""
        otp = fields.text("otp", 6, pattern="[0-9]{6}")
        if challenge.wrong >= TRIES:
            raise Refusal(403, "11", "OTP Blocked")
        if self._clock.now() >= challenge.until:
            raise Refusal(403, "12", "OTP Lifetime Expired")
        if not same(otp, challenge.otp):
            challenge.wrong += 1
            if challenge.wrong >= TRIES:
                raise Refusal(403, "11", "OTP Blocked")
            raise Refusal(404, "15", "Invalid OTP")
        challenge.used = True

    def _random(self, length: int) -> str:
        return "".join(self._world.rng.choices(ALPHANUMERICS, k=length))


def _customer(fields: Fields) -> str:
    """custIdMerchant, which BNI's PHP client calls optional and sends empty."""
    return fields.object("additionalInfo", required=False).text("custIdMerchant", 18, required=False)
