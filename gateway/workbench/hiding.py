"""Puts placeholders where a value belongs to a person or opens a door, so that an exchange can be shown and kept.

A value is hidden because the plan itself called it secret (every `Secret`, NIK, token and credential of a take is
learned first, and then hidden wherever it turns up), because of the name it stands under, or because of how it looks. A
placeholder has the form of what it stands for (a NIK stays 16 digits, a phone keeps its prefix), and one value has one
placeholder, so that a recording can be played again and two of them compared.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from contracts.nik import Nik
from contracts.partner import Credential
from contracts.secret import Secret

_NAMES = re.compile(
    r"(^|-)(pin|otp|nik|ktp|dob|ilp|digest|(?<!bank-)name|holder|number|token|secret|password|cookie|signature|authorization"
    r"|phone|msisdn|mobile|email|address|birth|seamless-?data|seamless-?sign|session-?id|(auth-?)?code-?verifier"
    r"|auth-?code|card-?no|account|account-?no|phone-?no|identification-?no|document-?no|id-?no|url|uri"
    r"|bank-?card|authorization-customer|(client|api|partner|merchant|device)-?(key|id)|user-?name|cust-?name)$",
    re.IGNORECASE,
)
"""Last words of the names of fields and headers whose values are hidden; humps of camelCase count as dashes."""
_NOT_A_PERSON = re.compile(r"(^|-)(reference|page|version|serial|line|transaction|trx)-number$", re.IGNORECASE)
_PRIVATE = re.compile(r"(^|-)(ktp|kyc|submission-?data|person|identity|document)s?$", re.IGNORECASE)
"""Names of objects in which everything is hidden."""
_BORN = re.compile(r"(^|-)(dob|birth(-?date)?|date-?of-?birth|ttl)$", re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_.]")
_NIK = re.compile(r"(?<![0-9])[0-9]{16}(?![0-9])")
_PHONE = re.compile(r"(?<![0-9])(?P<prefix>\+?62|0)8[0-9]{7,12}(?![0-9])")
_OPAQUE = re.compile(r"(?=[A-Za-z+=_-]*[0-9])(?=[0-9+=_-]*[A-Za-z])[A-Za-z0-9+=_-]{32,}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d\d[-/]\d\d[-/]\d{4}")
_QUOTED = re.compile(r'(username|signature)="([^"]*)"')
_INSIDE = 8
"""From this length on a known value is also hidden inside of longer texts; a short one only where it stands alone."""
_MOST_DEPTH = 20


class Hider:
    """One recording's placeholders. `learn` everything first; what is hidden before that may miss a value."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._made: set[str] = set()
        self._words: list[str] = []
        """Names, PINs and OTPs: hidden inside of texts too, as whole words, however short and in any case."""
        self._counts: dict[str, int] = {}

    def learn(self, value: object, name: str = "") -> None:
        """Remember every secret in a struct, mapping or sequence; `name` is what it stands under."""
        for kind, text in _secrets(value, name):
            self.placeholder(text, {"value": "token", "refresh": "refresh_token"}.get(kind, kind))

    def learn_credentials(self, wishes: Mapping[str, Credential], given: Mapping[str, Secret]) -> dict[str, str]:
        """Each credential's placeholder (PEM keys excepted: they never leave); what is no secret and has a public
        default stays as it is.
        """
        shown: dict[str, str] = {}
        for name, wish in wishes.items():
            value = given[name].reveal()
            if not wish.pem:
                public = not wish.secret and wish.default is not None
                shown[name] = value if public else self.placeholder(value, name)
        return shown

    def placeholder(self, value: str, kind: str) -> str:
        """The placeholder of a value, made at its first sight."""
        if not value or value in self._made:
            return value
        if phone := _PHONE.fullmatch(value):
            core = value[len(phone["prefix"]) :]
            if core in self._made:
                return value
            if core not in self._known:
                self._know(core, f"8990{self._next('phone'):07d}")
            return phone["prefix"] + self._known[core]
        if value not in self._known:
            self._know(value, self._make(value, kind))
            if kind in ("name", "pin", "otp"):
                self._words.append(value)
        return self._known[value]

    def _know(self, value: str, made: str) -> None:
        self._known[value] = made
        self._made.add(made)

    def _next(self, kind: str) -> int:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts[kind]

    def _make(self, value: str, kind: str) -> str:
        """Something of the same form that tells nothing."""
        if kind == "name":
            return f"NAMA PESERTA {self._next('name')}"
        if value.isdecimal() and value.isascii():
            if "card" in kind:
                return f"{self._next('card'):0{len(value)}d}"
            if _is_nik(value):
                return f"317401010190{9900 + self._next('nik'):04d}"
            length = len(value)
            return "0" * length if length <= 6 else f"99{self._next('digits'):0{length - 2}d}"
        if value.startswith(("http://", "https://")):
            return f"https://hidden.invalid/{self._next('url')}"
        if _UUID.fullmatch(value):
            return f"00000000-0000-4000-8000-{self._next('uuid'):012d}"
        if _DATE.fullmatch(value):
            return "1900-01-01" if value[4] == "-" else "01-01-1900"
        return f"{kind.strip('_').replace('_', '-').lower() or 'hidden'}-{self._next(kind)}"

    def value(self, value: Any, name: str = "", depth: int = 0, *, private: bool = False) -> Any:
        """The same JSON value with placeholders in it; in a `private` one every text is hidden."""
        if depth > _MOST_DEPTH:
            return "hidden"
        if private and not is_hidden(name):
            name = f"{name}-secret"
        if isinstance(value, Mapping):
            private = private or _PRIVATE.search(_dashed(name)) is not None
            return {
                self.text(str(key)): self.value(part, str(key), depth + 1, private=private)
                for key, part in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(part, name, depth + 1, private=private) for part in value]
        if isinstance(value, str):
            return self._string(value, name)
        if isinstance(value, int) and not isinstance(value, bool):
            hidden = self._string(str(value), name if is_hidden(name) and value > 999_999 else "")
            return int(hidden) if hidden.lstrip("-").isdecimal() else hidden
        return value

    def _string(self, value: str, name: str) -> str:
        if not value or value in self._made:
            return value
        if value in self._known:
            return self._known[value]
        if is_hidden(name) and (not _MOMENT.fullmatch(value) or _BORN.search(_dashed(name))):
            return self.placeholder(value, _kind(name))
        return self.text(value)

    def text(self, text: str) -> str:
        """A text under an innocent name, without the known values, NIKs, phones and long random strings in it."""
        for known in sorted((known for known in self._known if len(known) >= _INSIDE), key=len, reverse=True):
            text = text.replace(known, self._known[known])
        for known in self._words:
            text = re.sub(rf"\b{re.escape(known)}\b", self._known[known], text, flags=re.IGNORECASE)
        text = _NIK.sub(lambda found: self.placeholder(found[0], "nik") if _is_nik(found[0]) else found[0], text)
        text = _PHONE.sub(lambda found: self.placeholder(found[0], "phone"), text)
        return _OPAQUE.sub(lambda found: self._opaque(found[0]), text)

    def _opaque(self, text: str) -> str:
        return text if _UUID.fullmatch(text) or text in self._made else self.placeholder(text, "hidden")

    def header(self, name: str, value: str) -> str:
        """A header's value; of `Authorization` the scheme is kept."""
        if name.lower() != "authorization" or " " not in value:
            return self._string(value, name)
        scheme, _, rest = value.partition(" ")
        if "=" in rest.partition(" ")[0] and '"' in rest:
            return f"{scheme} " + _QUOTED.sub(lambda found: f'{found[1]}="{self._string(found[2], found[1])}"', rest)
        return f"{scheme} {self.placeholder(rest, 'authorization')}"


def is_hidden(name: str) -> bool:
    """Whether the value under a name belongs to a person or opens a door."""
    dashed = _dashed(name)
    return _NAMES.search(dashed) is not None and _NOT_A_PERSON.search(dashed) is None or bool(_BORN.search(dashed))


def _dashed(name: str) -> str:
    return _HUMP.sub("-", name)


def _kind(name: str) -> str:
    dashed = _dashed(name).lower()
    return "name" if dashed.endswith(("name", "holder")) and "user" not in dashed else dashed


def _is_nik(digits: str) -> bool:
    """Whether these may be somebody's 16 digits; no region has 99 (snap-bni.md 3)."""
    return len(digits) == 16 and not digits.startswith("99")


def _secrets(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Secret):
        yield name, value.reveal()
    elif isinstance(value, Nik):
        yield "nik", value.reveal()
    elif isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            yield from _secrets(getattr(value, field.name), field.name)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _secrets(part, str(key))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _secrets(part, name)


def plain(value: object, hider: Hider) -> Any:
    """A contract value as JSON, its secrets as placeholders, named by its type where it is a struct or a word."""

    def hide(inner: object) -> str:
        if isinstance(inner, Secret):
            return hider.placeholder(inner.reveal(), "secret")
        if isinstance(inner, Nik):
            return hider.placeholder(inner.reveal(), "nik")
        raise NotImplementedError(type(inner).__name__)

    made = hider.value(msgspec.to_builtins(value, enc_hook=hide))
    if isinstance(value, msgspec.Struct):
        return {"is": type(value).__name__, **made}
    return {"is": type(value).__name__, "value": made} if isinstance(value, enum.Enum) else made
