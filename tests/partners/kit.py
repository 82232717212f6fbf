"""The forms in which a partner's client tells what it sends."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.mock_partners.wire import Sent

if TYPE_CHECKING:
    from tests.mock_partners.test_determinism import Client

SHEETS = Path(__file__).parents[2] / "docs" / "partners"
RUPIAH = {"value": "50000.00", "currency": "IDR"}
AT = "2026-01-15T12:00:00+07:00"
BACK = "http://gw.example.test/callbacks/{}/link?st=s1"
JSON = {"content-type": "application/json", "accept": "application/json"}
MOVES, CREATES, REJECTS = "moves money", "creates", "rejects"
"""What a request does to money: `Writes` name it by path, with the field of our reference ("": none in the body)."""
Writes = dict[str, tuple[str, str]]
LINK, VERIFY, READ, WRITE = "link", "verify", "payout_read", "payout_write"
Words = Sequence[Mapping[str, Any]]
Crowds = Mapping[str, Words]
"""By stage of the above: what a partner may say wrongly of many people there, each a word about the person, as
`[rule.do]` of a scenario has it. A stage at which there is none is left out.
"""
NIK_WORDS: Words = ({"nik_check": "mismatch"}, {"nik_check": "not_on_file"})
SNAP_WORDS: Words = (
    {"code": "404xx11", "message": "Invalid Account"},
    {"code": "403xx18", "message": "Inactive Account"},
)


def link_words(blocked: str) -> Words:
    """What SNAP's binding says of an account that may not be linked: unknown, and blocked in the partner's own code."""
    return ({"code": "404xx11", "message": "Invalid Account"}, {"code": blocked, "message": "Inactive Account"})


LIMIT_WORDS: Words = (
    {"code": "403xx04", "message": "Activity Count Limit Exceeded"},
    {"code": "403xx14", "message": "Insufficient Funds"},
)
"""What SNAP says of our own limits and deposit, and of nobody else."""
TOKEN_WORDS: Words = ({"refuse_token": "service_00"}, {"refuse_token": "service_73"}, {"refuse_token": "gateway"})
"""HTTP 401 of our own token, whoever is asked about."""
FAILS: Mapping[str, Any] = {"fail": True, "pending_lookups": 1}


@dataclass(frozen=True)
class Product:
    """What one product of a partner calls its client's credentials, and where its token is had."""

    client_key: str
    partner_id: str
    secret: str
    """Key of the HMAC; empty: signed with the RSA key and without a token (snap-bni.md 1.7, type 2)."""
    pem: str
    token_path: str
    """Of our own token, empty: none is asked for."""
    customer_path: str = ""
    """Of the customer's token (service 74), where there is one."""


@dataclass(frozen=True)
class Endpoint:
    """One SNAP call: its service code, what is sent to it, and whose tokens it wants."""

    partner: str
    method: str
    path: str
    service: str
    body: Any = None
    query: str = ""
    product: str = "snap"
    customer: bool = False
    bearer: str = "b2b"
    needs_fields: bool = False
    """Of a call under the customer's token: a body of `null` is refused."""

    @property
    def id(self) -> str:
        return f"{self.partner} {self.service} {self.path}"


Headers = Mapping[str, str]


@dataclass(frozen=True)
class Subject:
    """What a notification is about: one of our payouts, or the access of one of our links."""

    reference: str
    partner_reference: str
    amount_rupiah: int
    token: str


@dataclass(frozen=True)
class Codes:
    """What a partner's sheet says of codes that are not SNAP's, and in which fields its answers show what was asked.

    A code of SNAP stands without its service: `40411`. `errors` are whole answers, `(code, HTTP status, body)`, of a
    partner whose answers have no field in which another code could stand.
    """

    nothing_done: frozenset[str] = frozenset()
    """After a payment's WRITE: it was not accepted."""
    may_refuse: frozenset[str] = frozenset()
    """A final no to a payment, about the account, the amount or the partner's own rules."""
    pending: frozenset[str] = frozenset()
    not_known: frozenset[str] = frozenset()
    """A look-up's word that is no end."""
    answers: frozenset[tuple[str, str]] = frozenset()
    """By operation: codes of no success that are answers all the same."""
    no_account: frozenset[str] = frozenset()
    """At a NIK check: no account, or none with a verified NIK."""
    blocked: frozenset[str] = frozenset()
    another_account: frozenset[str] = frozenset()
    """At a NIK check: the access is of another account than the one asked about."""
    gone: frozenset[str] = frozenset()
    """The customer's access is not known any more."""
    errors: tuple[tuple[str, int, object], ...] = ()
    account: frozenset[str] = frozenset()
    reference: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()
    """Fields that no refusal has beside it (a verdict, a token, a page) and that SNAP does not name."""

    def __or__(self, other: Codes) -> Codes:
        return Codes(
            *(
                mine + theirs if isinstance(mine, tuple) else mine | theirs  # type: ignore[operator]
                for mine, theirs in zip(astuple(self), astuple(other), strict=True)
            )
        )


def basic(user: str, password: str = "") -> dict[str, str]:
    """The header of HTTP basic authentication."""
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def control(path: str, query: str = "") -> Callable[[Client], Sent]:
    """A question to the mock's control API."""
    return lambda client: Sent("GET", f"/__mock__/{path}", query)


def section(sheet: str, number: str) -> str:
    """The text under a heading such as 2.3, up to the next heading of the same depth or above."""
    text = (SHEETS / sheet).read_text("utf-8")
    depth = "#" * (number.count(".") + 2)
    end = rf"(?=^#{{1,{len(depth)}}} )"
    found = re.search(rf"^{depth} {re.escape(number)}\.? .*?{end}", text + "\n# ", re.S | re.M)
    assert found is not None, (sheet, number)
    return found[0]


def printed(text: str) -> set[str]:
    """The seven digits of every failure that a text prints."""
    return set(re.findall(r"(?<![\d.])[45]\d{6}(?!\d)", text))
