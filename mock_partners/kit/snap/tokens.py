"""What a provider remembers of its callers: the client, the tokens that it issued, the external ids that were used."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mock_partners.kit.http import Reply
from mock_partners.kit.keys import Key, private_key
from mock_partners.kit.snap.signatures import asymmetric_ok
from mock_partners.kit.turn import effect
from mock_partners.kit.world import World

JWT_HEADER = b'{"alg":"HS256","typ":"JWT"}'


@dataclass(frozen=True, repr=False)
class Client:
    """The one API client a sandbox knows: what was agreed with it when it was registered.

    Its next key is valid beside the first (decisions X13).
    """

    client_key: str
    partner_id: str
    secret: bytes
    public_key: RSAPublicKey
    next_key: RSAPublicKey = field(default_factory=lambda: private_key(Key.CLIENT_NEXT).public_key())

    @classmethod
    def of(cls, values: Mapping[str, str], partner_id: str = "partner_id") -> Client:
        """The client that a wallet registered for the credentials it handed over; `partner_id` names X-PARTNER-ID's."""
        key = private_key(Key.WALLETS).public_key()
        return cls(values["client_id"], values[partner_id], values["client_secret"].encode(), key)

    def signed(self, text: bytes, signature: str) -> bool:
        """Whether one of the client's keys made a signature; a scenario may have one of them not accepted."""
        keys = {"first": (self.public_key,), "next": (self.next_key,)}
        accepted = keys.get(effect("accept_key", ""), (self.public_key, self.next_key))
        return any(asymmetric_ok(key, text, signature) for key in accepted)


@dataclass(frozen=True, repr=False)
class Token:
    """`subject` is whatever the partner binds it to; None for a B2B token. `expires_s` in clock seconds."""

    value: str
    expires_s: float
    subject: Any = None


class Tokens:
    """Issued access tokens. Asking twice in a second is normal and gives two that both work."""

    KEEP_EXPIRED_S = 86_400

    def __init__(self, mint: Callable[[], str]) -> None:
        self._mint = mint
        self._tokens: dict[str, Token] = {}

    def issue(self, now_s: float, life_s: float, subject: Any = None) -> Token:
        for old in list(self._tokens.values())[:8]:
            if old.expires_s + self.KEEP_EXPIRED_S < now_s:
                del self._tokens[old.value]
        token = Token(self._mint(), now_s + life_s, subject)
        self._tokens[token.value] = token
        return token

    def find(self, value: str) -> Token | None:
        """The token, expired or not: the two have different codes."""
        return self._tokens.get(value)

    def change_all(self, change: Callable[[Token], Token | None]) -> None:
        """Replaces every token by what `change` makes of it; by none where that is None."""
        made = ((value, change(token)) for value, token in self._tokens.items())
        self._tokens = {value: token for value, token in made if token is not None}

    def revoke(self, value: str) -> None:
        self._tokens.pop(value, None)

    def revoke_subject(self, subject: Any) -> None:
        """Revokes every token of a subject, as when a customer unlinks."""
        for value in [token.value for token in self._tokens.values() if token.subject == subject]:
            del self._tokens[value]


class ExternalIds:
    """X-EXTERNAL-ID is unique per Jakarta day and X-PARTNER-ID (decisions X5); earlier days are forgotten."""

    def __init__(self) -> None:
        self._day: date | None = None
        self._seen: dict[tuple[str, str], Reply | None] = {}

    def claim(self, day: date, partner_id: str, external_id: str) -> bool:
        if day != self._day:
            self._day, self._seen = day, {}
        key = (partner_id, external_id)
        if key in self._seen:
            return False
        self._seen[key] = None
        return True

    def keep(self, partner_id: str, external_id: str, reply: Reply) -> None:
        """Stores the answer that a repeated id is to get again."""
        self._seen[(partner_id, external_id)] = reply

    def kept(self, partner_id: str, external_id: str) -> Reply | None:
        """The stored answer of an id that was used."""
        return self._seen.get((partner_id, external_id))


def jwt_minter(world: World, claims: Callable[[], dict[str, Any]]) -> Callable[[], str]:
    """Mints tokens that look like a JWT: `claims` and a random `jti`. Nobody but the mock reads them."""
    secret = world.rng.randbytes(32)

    def part(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")

    def mint() -> str:
        told = {**claims(), "jti": f"{world.rng.getrandbits(128):032x}"}
        text = f"{part(JWT_HEADER)}.{part(msgspec.json.encode(told))}"
        return f"{text}.{part(hmac.digest(secret, text.encode(), hashlib.sha256))}"

    return mint
