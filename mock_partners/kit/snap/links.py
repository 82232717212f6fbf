"""Links of a wallet that gives an account to one customer only: authorisation codes, customer and refresh tokens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mock_partners.kit.clock import JAKARTA, Clock
from mock_partners.kit.pages import End
from mock_partners.kit.snap.fields import Fields
from mock_partners.kit.snap.gate import Asked
from mock_partners.kit.snap.refusals import Refusal, malformed
from mock_partners.kit.snap.signatures import timestamp
from mock_partners.kit.snap.tokens import Token, Tokens
from mock_partners.kit.world import Account, World

AUTH_CODE_LIFE_S = 300.0
"""Assumed: no wallet states how long its authCode is good for."""
ACCESS_LIFE_S = 1_296_000
"""Fifteen days (wallets.md 3.2; decisions L14)."""
ERRORS = {End.DENIED: "access_denied", End.LOCKED: "pin_blocked"}
"""What a page that nobody agreed to sends the browser back with, as OAuth has it (decisions L2, D5)."""


@dataclass(repr=False, eq=False)
class Link:
    """One account linked to one customer of the programme; the subject of its customer tokens."""

    account: Account
    customer: str
    refresh_token: str
    refresh_until_s: float = math.inf


@dataclass(frozen=True, repr=False)
class Consent:
    """What a person agreed to at the page; `bound_to` is what must be shown together with its code."""

    account: Account
    customer: str
    bound_to: Any
    expires_s: float


class Links:
    """The links of one wallet; keep it in the world. The caller asks `holder` before `establish`."""

    def __init__(
        self, world: World, clock: Clock, tokens: Tokens, *, refresh_life_s: float = math.inf
    ) -> None:  # fmt: skip
        self._world, self._clock, self._tokens, self._refresh_life_s = world, clock, tokens, refresh_life_s
        self._consents: dict[str, Consent] = {}
        self._by_account: dict[str, Link] = {}
        self._by_refresh_token: dict[str, Link] = {}

    def holder(self, account: Account) -> Link | None:
        """The live link of an account; None if it is free."""
        return self._by_account.get(account.account)

    def of_customer(self, customer: str) -> list[Link]:
        """The live links of one customer of the programme."""
        return [link for link in self._by_account.values() if link.customer == customer]

    def give_code(self, account: Account, customer: str, bound_to: Any = None) -> str:
        """Keeps a consent and returns the authorisation code that it is known by."""
        now_s = self._clock.seconds()
        while self._consents:
            oldest = next(iter(self._consents))
            if self._consents[oldest].expires_s > now_s:
                break
            del self._consents[oldest]
        code = self._random()
        self._consents[code] = Consent(account, customer, bound_to, now_s + AUTH_CODE_LIFE_S)
        return code

    def has_code(self, code: str) -> bool:
        """Whether the consent of a code is kept still, be it too old by now."""
        return code in self._consents

    def take_code(self, code: str, bound_to: Any = None) -> Consent | None:
        """The consent of a code, once; None if it is unknown, used, late, or belongs to something else."""
        consent = self._consents.get(code)
        if consent is None or consent.bound_to != bound_to or consent.expires_s <= self._clock.seconds():
            return None
        return self._consents.pop(code)

    def establish(self, consent: Consent) -> Token:
        """Links the account and issues the first customer token; its subject is the link."""
        until_s = self._clock.seconds() + self._refresh_life_s
        link = Link(consent.account, consent.customer, self._random(), until_s)
        self._by_account[consent.account.account] = link
        self._by_refresh_token[link.refresh_token] = link
        return self._issue(link)

    def refresh(self, refresh_token: str) -> Token | None:
        """Another customer token of a live link; None if the link has ended, or its refresh token has expired."""
        link = self._by_refresh_token.get(refresh_token)
        return self._issue(link) if link is not None and self._clock.seconds() < link.refresh_until_s else None

    def end(self, link: Link) -> None:
        """Ends a link and kills its tokens, whoever asked: the programme, or the customer in the wallet's app."""
        self._tokens.revoke_subject(link)
        self._by_refresh_token.pop(link.refresh_token, None)
        if self._by_account.get(link.account.account) is link:
            del self._by_account[link.account.account]

    def granted(self, asked: Asked, exchange: Callable[[str], Token]) -> Token:
        """The b2b2c grant, service 74: `exchange` takes an authCode, links answer a refresh token themselves."""
        fields = Fields(asked.body)
        match fields.text("grantType", 32).lower():
            case "authorization_code":
                return exchange(fields.text("authCode", 256))
            case "refresh_token":
                token = self.refresh(fields.text("refreshToken", 512))
                if token is None:
                    raise Refusal(401, "02", "Invalid Customer Token")
                return token
            case _:
                raise malformed("grantType")

    def consented(self, code: str, bound_to: Any = None) -> Consent:
        """The consent of a code, once, or case 11."""
        consent = self.take_code(code, bound_to)
        if consent is None:
            raise Refusal(404, "11", "Invalid authCode")
        return consent

    @staticmethod
    def told(token: Token) -> dict[str, object]:
        """What the grant's answer tells of a customer token."""
        return {
            "tokenType": "Bearer", "accessToken": token.value, "accessTokenExpiryTime": moment(token.expires_s),
            "refreshToken": token.subject.refresh_token,
        }  # fmt: skip

    def _issue(self, link: Link) -> Token:
        return self._tokens.issue(self._clock.seconds(), ACCESS_LIFE_S, link)

    def _random(self) -> str:
        return f"{self._world.rng.getrandbits(256):064x}"


def moment(at_s: float) -> str:
    """A second of Unix time as SNAP prints it, in Jakarta's offset."""
    return timestamp(datetime.fromtimestamp(at_s, JAKARTA))
