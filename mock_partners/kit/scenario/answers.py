"""Changes an answer's bytes as a scenario says: fields, codes, amounts, and every way of not being JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from mock_partners.kit.http import Reply, json_reply
from mock_partners.kit.scenario.facts import Facts
from mock_partners.kit.snap.signatures import timestamp

HTML = {
    "bad_gateway": (502, "502 Bad Gateway"),
    "unavailable": (503, "503 Service Temporarily Unavailable"),
    "gateway_timeout": (504, "504 Gateway Time-out"),
    "maintenance": (503, "Under maintenance"),
    "html": (0, "Sorry, something went wrong"),
}
UNLISTED = "99"
_HOLE = re.compile(r"\{([A-Za-z0-9_.-]+)\}")
_CODE_NAMES = ("responseCode", "status")
_AMOUNT = re.compile(r"[0-9]{1,16}(\.[0-9]{2})?")


def page(name: str, status: int = 0) -> Reply:
    """A proxy's HTML page."""
    usual, text = HTML[name]
    body = f"<html><head><title>{text}</title></head><body><center><h1>{text}</h1></center></body></html>\n"
    headers = {"Content-Type": "text/html"}
    if name == "maintenance":
        headers["Retry-After"] = "3600"
    return Reply(status or usual, body.encode(), headers)


REFUSED_TOKEN = {
    "service_00": ("4010000", "Unauthorized. [Token]"),
    "invalid_00": ("4010001", "Invalid Token (B2B)"),
    "service_73": ("4017301", "Invalid Token (B2B)"),
    "called": ("401xx00", "Unauthorized. [Token]"),
}
"""A token is checked before the service is known (decisions X11); `called`: OVO's words for a customer's (O13)."""


def refused_token(how: str, service: str, now: datetime) -> Reply:
    """401 in SNAP's envelope, or in the words of an API gateway, which knows no responseCode (recalled)."""
    if how not in REFUSED_TOKEN:
        return json_reply(401, {"message": "Invalid authentication credentials"}, {"WWW-Authenticate": "Bearer"})
    code, message = REFUSED_TOKEN[how]
    told = {"responseCode": code.replace("xx", service), "responseMessage": message}
    return json_reply(401, told, {"X-TIMESTAMP": timestamp(now)})


def instead(do: Mapping[str, Any], facts: Facts, now: datetime, service: str) -> Reply:
    """The answer in place of the work: a SNAP envelope for a code, else the given body or an empty JSON object."""
    code, message = do.get("code"), do.get("message", "Staged")
    if do.get("cut_off"):
        code, message = "403xx06", "Feature Not Allowed At This Time. [Cut Off In Progress]"
    told: dict[str, Any] = {}
    status = do.get("status", 200)
    if code is not None:
        told = {"responseCode": code.replace("xx", service), "responseMessage": message}
        status = do.get("status", int(code[:3]))
    body = fill(do["body"], facts, now) if "body" in do else msgspec.json.encode(told)
    headers = {"Content-Type": "application/json", "X-TIMESTAMP": timestamp(now), **do.get("headers", {})}
    return Reply(status, body, headers)


def fill(template: str, facts: Facts, now: datetime) -> bytes:
    """Puts the call's fields into a body: `{partnerReferenceNo}`, `{amount.value}`, and `{now}`."""

    def one(found: re.Match[str]) -> str:
        name = found[1]
        if name == "now":
            return timestamp(now)
        value = facts.fields.get(name)
        return found[0] if value is None else str(value)

    return _HOLE.sub(one, template).encode()


def changed(do: Mapping[str, Any], reply: Reply) -> Reply:
    """The answer after every change: fields first, then the bytes, then status and headers."""
    headers, status, body = dict(reply.headers), reply.status, reply.body
    told = _decoded(body)
    if isinstance(told, dict):
        before = msgspec.json.encode(told)
        status = _change_code(do, told, status)
        for path, value in do.get("set", {}).items():
            _put(told, path.split("."), value)
        for path in do.get("remove", ()):
            _drop(told, path.split("."))
        for path in do.get("wrong_type", ()):
            _retype(told, path.split("."))
        if "wrong_amount_rupiah" in do:
            told = with_amounts(told, do["wrong_amount_rupiah"])
        after = msgspec.json.encode(told)
        body = body if before == after else after
    body = _damaged(do, body, told)
    if do.get("html"):
        other = page("html", status)
        body, headers = other.body, {**headers, **other.headers}
    if "content_type" in do:
        headers["Content-Type"] = do["content_type"]
    return Reply(do.get("http_status", status), body, {**headers, **do.get("set_headers", {})}, reply.wire)


def _change_code(do: Mapping[str, Any], told: dict[str, Any], status: int) -> int:
    """Another code takes the HTTP status with it, as a partner's would."""
    where, name = _code_place(told)
    if where is None:
        return status
    old = str(where[name])
    new = do.get("answer_code", old).replace("xx", old[3:5]) if len(old) == 7 else do.get("answer_code", old)
    if do.get("unlisted_code"):
        new = old[:-2] + UNLISTED
    if new != old:
        where[name] = new
        if len(old) == 7 and len(new) == 7:
            status = int(new[:3])
    if do.get("code_as_int") and new.isdecimal():
        where[name] = int(new)
    return status


def _code_place(told: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Where the answer has its code: at the top, or under `data` (wallets.md 12.5)."""
    for place in (told, told.get("data")):
        if isinstance(place, dict):
            for name in _CODE_NAMES:
                if isinstance(place.get(name), str):
                    return place, name
    return None, ""


def with_amounts(value: Any, amount_rupiah: int) -> Any:
    """The same value with every amount replaced, each in its own notation."""
    if isinstance(value, list):
        return [with_amounts(part, amount_rupiah) for part in value]
    if not isinstance(value, dict):
        return value
    changed_table = {}
    for name, part in value.items():
        is_amount = name == "amount" or (name == "value" and "currency" in value)
        changed_table[name] = _like(part, amount_rupiah) if is_amount else with_amounts(part, amount_rupiah)
    return changed_table


def _like(old: Any, amount_rupiah: int) -> Any:
    if isinstance(old, dict):
        return with_amounts(old, amount_rupiah)
    if isinstance(old, str) and _AMOUNT.fullmatch(old):
        if len(old) == 12 and old.isdecimal():
            return f"{amount_rupiah * 100:012d}"
        return f"{amount_rupiah}.00" if "." in old else str(amount_rupiah)
    return amount_rupiah if isinstance(old, int) else old


def _damaged(do: Mapping[str, Any], body: bytes, told: Any) -> bytes:
    if do.get("truncated"):
        return body[: len(body) // 2]
    if do.get("empty_body"):
        return b""
    if do.get("not_json"):
        return body[:-1] + b"," + body[-1:]
    if do.get("not_utf8"):
        return body[:-1] + b',"note":"\xff\xfe"' + body[-1:]
    if do.get("not_an_object"):
        return b"[" + body + b"]"
    if do.get("duplicate_keys") and isinstance(told, dict):
        twice = [
            msgspec.json.encode(name) + b":" + msgspec.json.encode(part)
            for name, value in told.items()
            for part in (None, value)
        ]
        return b"{" + b",".join(twice) + b"}"
    return body


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _inner(told: Any, path: list[str], *, make: bool = False) -> tuple[Any, Any]:
    """The table or list that holds the last part of a path, and that part as its key; None if there is no such."""
    for part in path[:-1]:
        if isinstance(told, dict):
            told = told.setdefault(part, {}) if make else told.get(part)
        elif isinstance(told, list) and part.isdecimal() and int(part) < len(told):
            told = told[int(part)]
        else:
            return None, None
    last: Any = path[-1]
    if isinstance(told, list) and last.isdecimal() and int(last) < len(told):
        return told, int(last)
    return (told, last) if isinstance(told, dict) else (None, None)


def _put(told: Any, path: list[str], value: Any) -> None:
    holder, key = _inner(told, path, make=True)
    if holder is not None:
        holder[key] = value


def _drop(told: Any, path: list[str]) -> None:
    holder, key = _inner(told, path)
    if isinstance(holder, dict):
        holder.pop(key, None)
    elif holder is not None:
        del holder[key]


def _retype(told: Any, path: list[str]) -> None:
    """Text to number, number to text, and anything else to a list of itself."""
    holder, key = _inner(told, path)
    if holder is None or (isinstance(holder, dict) and key not in holder):
        return
    old = holder[key]
    if isinstance(old, str):
        number = re.fullmatch(r"[0-9]{1,15}(\.[0-9]+)?", old)
        holder[key] = (float(old) if "." in old else int(old)) if number else [old]
    elif isinstance(old, int | float) and not isinstance(old, bool):
        holder[key] = str(old)
    else:
        holder[key] = [old]
