"""SNAP's response envelope and its seven-digit codes: HTTP status (3), service (2), case (2) (snap-bni.md 1.8).

A field of an envelope is read in one of three ways, and a reader must choose:
- `text`, `number`: needed. Missing or of another form, there is no verdict;
- `echo`: evidence. It may be missing, and must be right where it is;
- `optional_text`, `optional_number`: nothing depends on it. In any other form it is as good as missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from adapters import answers
from contracts.errors import Hint, PartnerProtocolError, PartnerUnavailable
from contracts.identity import VERDICT_BLOCKER, Verdict
from contracts.incentive import BlockerCode
from contracts.plan import Response

_CODE = re.compile(r"[2-5][0-9]{6}", re.ASCII)

HINTS: MappingProxyType[str, Hint] = MappingProxyType(
    {
        "40100": Hint.CREDENTIALS,
        "40101": Hint.OUR_TOKEN,
        "40102": Hint.CUSTOMER_TOKEN,
        "40103": Hint.OUR_TOKEN,
        "40104": Hint.CUSTOMER_TOKEN,
        "40306": Hint.LATER,
        "40314": Hint.FLOAT_SHORT,
        "42900": Hint.THROTTLED,
    }
)
"""What a case hints at (snap-bni.md 1.8, 4.2), where a partner or an endpoint does not mean another thing by it."""

UNUSABLE: MappingProxyType[str, Verdict] = MappingProxyType(
    dict.fromkeys(("40305", "40307", "40309", "40318"), Verdict.ACCOUNT_BLOCKED) | {"40411": Verdict.ACCOUNT_NOT_FOUND}
)
"""Cases by which the standard refuses an account itself: of an abnormal state (05), blocked, dormant, inactive, unknown
(snap-bni.md 1.8). Where an account is asked about and no money moves, they are taken from every partner, whether its
document lists them or not, but for a code by which it means another thing there (`Call.hints`).
"""

NOT_ACCEPTED = frozenset({"40100", "40101", "40103", "40306", "40314", "42900"})
"""Cases for which the standard promises that nothing was done, also after a WRITE (snap-bni.md 1.8, 4.2)."""
assert set(HINTS) >= NOT_ACCEPTED, "every one has its hint"


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A SNAP answer whose code agrees with its HTTP status and with the service asked."""

    code: str
    """`HHHSSCC`."""
    body: dict[str, Any]
    reply: Response
    hinted: bool = False
    """The partner means a thing of its own by this very code."""

    def __repr__(self) -> str:
        return f"Envelope({self.code})"

    @property
    def case(self) -> str:
        """HTTP status and case without the service, e.g. `40901`."""
        return self.code[:3] + self.code[5:]

    @property
    def unusable(self) -> Verdict | None:
        """What is wrong with the account asked about, by the standard's case."""
        return None if self.hinted else UNUSABLE.get(self.case)

    @property
    def unusable_because(self) -> BlockerCode | None:
        """The same, as what holds up whoever has the account."""
        return VERDICT_BLOCKER[self.unusable] if self.unusable else None

    def unavailable(self, hint: Hint, otherwise: Hint = Hint.NONE) -> PartnerUnavailable:
        """What to raise where its code is no verdict."""
        return answers.unavailable(self.reply, f"responseCode {self.code}", hint, self.code, otherwise)

    def text(self, *path: str) -> str:
        """A string that is needed."""
        value = answers.at(self.body, *path)
        if not isinstance(value, str) or not value:
            raise PartnerProtocolError(f"field {'.'.join(path)} is missing or not a string")
        return value

    def number(self, *path: str) -> str:
        """A partner's own number that is needed: opaque, 1 to 64 visible characters."""
        value = self.optional_number(*path)
        if value is None:
            raise PartnerProtocolError(f"field {'.'.join(path)} is missing or not a number of theirs")
        return value

    def echo(self, ours: str, *path: str) -> None:
        """What we sent, where the answer shows it again."""
        value = answers.at(self.body, *path)
        if value is not None and value != "" and answers.unbroken(value) != ours:
            raise PartnerProtocolError(f"field {'.'.join(path)} is not ours")

    def evidence(self, *path: str) -> str | None:
        """A text or a number that may be missing, and is compared where it is there."""
        value = answers.at(self.body, *path)
        if value is None or value == "":
            return None
        text = answers.written(value)
        if not text:
            raise PartnerProtocolError(f"field {'.'.join(path)} is neither a text nor a number")
        return text

    def optional_text(self, *path: str) -> str | None:
        """A string on which nothing depends."""
        value = answers.at(self.body, *path)
        return value if isinstance(value, str) and value else None

    def optional_number(self, *path: str) -> str | None:
        """A partner's own number on which nothing depends."""
        return answers.number(answers.at(self.body, *path))


def read(
    reply: Response, service: str, *, our_token: Hint = Hint.OUR_TOKEN, hints: Mapping[str, Hint] = HINTS
) -> Envelope:
    """The envelope of an answer to service `service` (two digits); `our_token` is what a 401 that names no service of
    this call speaks of.

    Raises `PartnerUnavailable` for the words of what stands in front of the partner, for a token refused before the
    service was known (codes of another service or of none, decision X11), and for a code of the partner's own making
    that `hints` lists. Raises `PartnerProtocolError` for anything else that is no envelope: no JSON object, no
    seven-digit string code, a code of another service, or one that disagrees with the HTTP status and hints at nothing.
    None is a verdict.
    """
    body = answers.json_object(reply, our_token)
    code = answers.written(body.get("responseCode"))
    if _CODE.fullmatch(code) is None:
        if code in hints:
            raise answers.unavailable(reply, f"responseCode {code}", hints[code], code)
        raise answers.no_answer(reply, "no seven-digit responseCode", our_token)
    envelope = Envelope(code=code, body=body, reply=reply, hinted=code in hints)
    case = envelope.case
    if code[:3] != f"{reply.status:03d}":  # no verdict; why there is none may be believed all the same
        if case in hints:
            raise envelope.unavailable(hints[case])
        raise answers.no_answer(reply, f"responseCode {code}", our_token)
    if code[3:5] != service:
        if reply.status == 401:
            customers = HINTS.get(case) is Hint.CUSTOMER_TOKEN
            raise envelope.unavailable(Hint.CUSTOMER_TOKEN if customers else our_token, hints.get(case, Hint.NONE))
        raise answers.no_answer(reply, f"responseCode {code} is not of service {service}", our_token)
    return envelope
