"""In whose words is an answer? Asked before anything in it is believed; three kinds, told apart for all partners:

- the partner's own: a JSON object, which the partner's mapping then judges by the codes that it lists;
- those of what stands in front of it (an API gateway, a balancer): by HTTP status alone, `in_front`;
- unreadable ones: `PartnerProtocolError`.

Only what is ambiguous is refused. A byte order mark, half a surrogate pair, a line break or a byte of another charset
in a text, or a key that stands twice with the same value change nothing. A key that stands twice with two values has no
value: where it is needed or evidence, there is no verdict, and where nobody reads it, nothing is lost.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from contracts.errors import Hint, PartnerError, PartnerProtocolError, PartnerUnavailable
from contracts.money import parse_decimal_string, without_sen
from contracts.payout import Outcome, OutcomeKind
from contracts.plan import Response
from contracts.secret import Secret

T = TypeVar("T")

RETRY_AFTER_MAX_S = 3600.0
_SECONDS = re.compile(r"[0-9]{1,400}(?:\.[0-9]{1,9})?", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,8192}", re.ASCII)
_BEARER = re.compile(r"\s*(?:Bearer(?:\s+|$))?", re.IGNORECASE)
_YEARS = range(2000, 2100)
_NOTHING = frozenset({"", "null", "undefined", "none", "nil", "n/a", "false", "-"})
"""What programs write where they have nothing, in small letters."""
_NO_ERROR = re.compile(r"0+|200[0-9]{4}", re.ASCII)
_EXACT = 2.0**53
_LONGEST = 64
_VISIBLE = re.compile(r"[!-~]{1,64}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII)
_ZONE = re.compile(r"\[[^\[\]]{1,40}\]$")
_LEAP = re.compile(r"(:[0-5][0-9]):60(?![0-9])", re.ASCII)
_APART = re.compile(r"(:[0-9.,]+) ([+-]?)([0-9]{2}:?(?:[0-9]{2})?)$", re.ASCII)
"""An offset behind a space, or whose plus has become one."""
_OURS = re.compile(r"(?<![0-9])[0-9]{19}(?![0-9])", re.ASCII)
_MIDNIGHT = re.compile(r"(?<=[T ])24(?=:00(?::00(?:[.,]0+)?)?(?:[Z+-]|$))", re.ASCII)
_AUTH_CODE = re.compile(r"[!-~]{1,4096}", re.ASCII)
STALE_S, TOLERANCE_S = 60.0, 900.0


class Ambiguous:
    """In the place of a value that a JSON object gives twice and differently: of no type that a reader wants."""


AMBIGUOUS = Ambiguous()
_FLAGS = {
    **dict.fromkeys(("Y", "yes", "true", "T", "1"), True),
    **dict.fromkeys(("N", "no", "false", "F", "0"), False),
}


def json_value(reply: Response, our_token: Hint = Hint.OUR_TOKEN) -> Any:
    """The body's JSON. Raises `no_answer` where there is none."""
    try:
        return decoded(reply.content)
    except PartnerProtocolError:
        raise no_answer(reply, "no JSON", our_token) from None


def decoded(content: bytes) -> Any:
    """The JSON of a body that came without an HTTP status (a notification); a `PartnerProtocolError` if it is none."""
    try:
        # A byte that is no UTF-8 becomes U+FFFD: whatever it stands in is no code, number or account any more.
        text = content.removeprefix(codecs.BOM_UTF8).decode(errors="replace")
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise PartnerProtocolError("no JSON") from None


def json_object(reply: Response, our_token: Hint = Hint.OUR_TOKEN) -> dict[str, Any]:
    """The body as a JSON object. Raises `no_answer` where it is none."""
    body = json_value(reply, our_token)
    if not isinstance(body, dict):
        raise no_answer(reply, "no JSON object", our_token)
    return body


def no_answer(reply: Response, what: str, our_token: Hint = Hint.OUR_TOKEN) -> PartnerError:
    """What to raise for an answer without the partner's envelope; `what` names what is missing and quotes nothing."""
    said = in_front(reply, our_token)
    return said or PartnerProtocolError(f"HTTP {reply.status}, {what}", retry_after_s=retry_after_s(reply))


def in_front(reply: Response, our_token: Hint = Hint.OUR_TOKEN) -> PartnerUnavailable | None:
    """The word of what stands in front of a partner, by HTTP status: None where the status alone says nothing.

    A 401 speaks of the token that was shown; `our_token` says whose that was. 400, 404 and 409 are the partner's own
    to say, and without its envelope they say nothing.
    """
    hints = {401: our_token, 403: Hint.NONE, 429: Hint.THROTTLED}
    if reply.status not in hints and not 300 <= reply.status <= 399 and reply.status < 500:
        return None
    return unavailable(reply, f"HTTP {reply.status}", hints.get(reply.status, Hint.NONE), f"{reply.status:03d}")


def unavailable(
    reply: Response, what: str, hint: Hint = Hint.NONE, code: str | None = None, otherwise: Hint = Hint.NONE
) -> PartnerUnavailable:
    """What to raise for an answer that is no verdict, with its wait: could not tell. `what` quotes nothing but `code`,
    the partner's own.
    """
    return PartnerUnavailable(
        what, hint=hint, otherwise=otherwise, partner_code=code, retry_after_s=retry_after_s(reply)
    )


def retry_after_s(reply: Response) -> float | None:
    """`Retry-After` in seconds, at most an hour: a number (the longest, where each of several in front gave one), or a
    date less the answer's own `Date` (whatever clock the partner goes by); None where it is neither.
    """
    value = reply.headers.get("retry-after", "").strip()
    if not value:
        return None
    given = [each.strip() for each in value.split(",")]
    if all(_SECONDS.fullmatch(each) for each in given):
        wait_s = max(map(float, given))
    else:
        try:
            until, now = parsedate_to_datetime(value), parsedate_to_datetime(reply.headers.get("date", ""))
            wait_s = (until - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(wait_s, RETRY_AFTER_MAX_S) if wait_s > 0 else None


def number(value: object) -> str | None:
    """A partner's own number of something: opaque, 1 to 64 visible characters, or a whole number of JSON, which is
    exact; None where it is none. One with a point or an exponent may have been rounded.
    """
    text = f"{value}" if type(value) is int else value.strip() if isinstance(value, str) else ""
    return text if _VISIBLE.fullmatch(text) and text.casefold() not in _NOTHING else None


def named(value: object) -> bool:
    """Whether a partner gave a number of its own, be it one that `number` does not keep: too long, or with spaces."""
    return number(value) is not None or (isinstance(value, str) and bool(value.strip()))


def written(value: object) -> str:
    """A string, or a number as it is written, a whole one without its point; empty for anything else. Spaces around it
    are not part of it.
    """
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return value.strip() if isinstance(value, str) else f"{value}" if type(value) in (int, float) else ""


def digits(value: object, width: int) -> str:
    """A code of so many digits, by its value: `0`, `"0"` and `"00"` are one."""
    text = written(value)
    return text.zfill(width) if text.isascii() and text.isdigit() else text


def flag(value: object) -> bool | None:
    """A yes or no, as itself, by its name or as 1 or 0; None where it is neither."""
    return value if isinstance(value, bool) else listed(value, _FLAGS)


def listed(value: object, table: Mapping[str, T]) -> T | None:
    """What a closed list of words says of a partner's word, in whichever letters it is written; None where it is not
    listed.
    """
    word = written(value)
    if word in table:
        return table[word]
    folded = word.casefold()
    return next((meaning for each, meaning in table.items() if each.casefold() == folded), None)


def reference(value: object) -> str | None:
    """A reference as a list of bookings shows it: ours, whatever stands around it or was put into it, else theirs."""
    return within(value) or number(value)


def within(text: object) -> str | None:
    """Our reference, 19 digits, out of a text that names one alone; line breaks may part it."""
    found = set(_OURS.findall(written(text))) or set(_OURS.findall(unbroken(text)))
    return found.pop() if len(found) == 1 else None


def unbroken(value: object) -> str:
    """A string or number without any white space, which lines of a fixed width put into it."""
    return "".join(written(value).split())


def stale(reply: Response) -> bool:
    """Whether a cache says that it answered in the partner's place, with what was true a while ago."""
    return age_s(reply) > STALE_S


def age_s(reply: Response) -> float:
    """How long an answer lay in a cache, by its own word."""
    age = reply.headers.get("age", "").split(",")[0].strip()
    return float(age) if _SECONDS.fullmatch(age) else 0.0


def nothing(value: object) -> bool:
    """Whether it is what programs write where they have nothing."""
    return value is None or isinstance(value, str) and _BEARER.sub("", value, count=1).strip().casefold() in _NOTHING


def must_be_fresh(reply: Response) -> None:
    """For whatever may have changed since a cache was told it; raises `PartnerUnavailable` where a cache answered."""
    if stale(reply):
        raise PartnerUnavailable("an answer out of a cache", retry_after_s=retry_after_s(reply))


def lasting(said: Outcome, reply: Response) -> Outcome:
    """A look-up's word. That a payment was made stays true however old the answer is; all else may have changed."""
    if said.kind is not OutcomeKind.SUCCEEDED:
        must_be_fresh(reply)
    return said


def items(value: object, what: str) -> list[Any]:
    """A list; one entry alone may stand without it, as what turns XML into JSON leaves it."""
    return typed([value] if value and isinstance(value, dict) else value, list[Any], what)


def time(value: object) -> datetime | None:
    """ISO 8601, with or without an offset, of a year that can be meant: the first and the last date of a calendar are
    somebody's "none" or "for ever", and no dates at all in another zone. A zone's name behind the offset adds nothing;
    a leap second is the one before it, and 24:00 the beginning of the next day.
    """
    text = _ZONE.sub("", written(value).upper())
    text = _APART.sub(lambda found: f"{found[1]}{found[2] or '+'}{found[3]}", _LEAP.sub(r"\1:59", text))
    text, midnights = _MIDNIGHT.subn("00", text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed + timedelta(days=midnights) if parsed.year in _YEARS else None


def moment(text: object, field: str) -> datetime:
    """ISO 8601 with an offset."""
    parsed = said_at(text)
    if parsed is None:
        raise PartnerProtocolError(f"field {field} is not a time with an offset")
    return parsed


def said_at(value: object) -> datetime | None:
    """When a partner says that something holds, or None where it says so in no form that puts words in order: a time
    without an offset may be of any zone.
    """
    parsed = time(value)
    return None if parsed is None or parsed.tzinfo is None else parsed


def whole(value: object, field: str, *, sen: bool = False) -> int:
    """A decimal string, or a number, as whole rupiah. `sen`: where it is no payment, they may stand behind it and are
    left out.
    """
    text = written(value)
    try:
        return parse_decimal_string(without_sen(text) if sen else text)
    except ValueError:
        raise PartnerProtocolError(f"field {field} is not a whole amount of rupiah") from None


def secret(value: object, field: str) -> Secret:
    """A token that can stand in a header; `Bearer` and white space before it, or a line break behind it, are not it. A
    word for nothing is none.
    """
    text = _BEARER.sub("", value, count=1).strip() if isinstance(value, str) else ""
    if _TOKEN.fullmatch(text) is None or nothing(text):
        raise PartnerProtocolError(f"field {field} is missing or not a token")
    return Secret(text)


def of_now(said_at: datetime, now: datetime) -> bool:
    """Whether it was said just now, by clocks that may lie `TOLERANCE_S` apart (decision X6)."""
    return abs((now - said_at).total_seconds()) <= TOLERANCE_S


_BROUGHT = {
    name.lower(): name
    for name in (
        *("st", "state", "authCode", "error", "errorCode", "errCode", "errorResponse", "responseCode"),
        *("success", "result"),
    )
}


def brought(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The query of a browser that comes back, by name. Names are taken in other letters, with `_` between their words
    and behind what HTML makes of an ampersand (`amp;`); what stands twice with two values has none.
    """
    found: dict[str, str | Ambiguous] = unambiguous((_name(name), value) for name, value in pairs)
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _name(name: str) -> str:
    plain = name.removeprefix("amp;")
    return _BROUGHT.get(plain.replace("_", "").lower(), plain)


def told(error: str | None) -> str | None:
    """A code of refusal that a browser brings back, None where none is told: some partners send the parameter in any
    case: empty, as `null` or `none`, as 0, or with SNAP's code of a success.
    """
    return None if error is None or error.casefold() in _NOTHING or _NO_ERROR.fullmatch(error) else error


def auth_code(query: Mapping[str, str]) -> str:
    """The code of a consent that a browser brings back, empty where there is none. No code has a space in it: that is a
    plus that was put into the address as it is.
    """
    code = query.get("authCode", "").replace(" ", "+")
    return "" if code.casefold() in _NOTHING or _AUTH_CODE.fullmatch(code) is None else code


def plain(text: object) -> str | None:
    """A partner's code as it may be kept and shown, or None where it is anything but a short plain one."""
    return text if isinstance(text, str) and _CODE.fullmatch(text) else None


def at(body: Any, *path: str) -> Any:
    """The value at a path of names, None where there is none."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body


def typed(value: Any, shape: type[T], what: str) -> T:
    """A part of an answer as `shape`; a `PartnerProtocolError` names `what` alone: a decoder's own text may quote."""
    try:
        return msgspec.convert(value, shape, dec_hook=_seal)
    except (msgspec.ValidationError, RecursionError):
        raise PartnerProtocolError(f"{what} cannot be read") from None


def _whole(digits: str) -> int | Ambiguous:
    """A whole number; one so long that nobody can mean it is none, and costs nobody the rest of the answer."""
    return int(digits) if len(digits) <= _LONGEST else AMBIGUOUS


def unambiguous(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """By name; one that stands twice with two values has none."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        same = name not in found or (type(found[name]) is type(value) and found[name] == value)
        found[name] = value if same else AMBIGUOUS
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=unambiguous, parse_int=_whole, strict=False)
"""Made once: `json.loads` makes one for each text, which takes as long as reading an answer."""


def _seal(shape: type[Any], value: Any) -> Any:
    if shape is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError("a string is wanted")
