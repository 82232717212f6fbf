"""Hides what belongs to a person or opens a door, so that a request log can be shown and kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

HIDDEN = re.compile(
    r"(^|[-_.])(pin|otp|nik|ktp|dob|name|ilp)($|[-_.])"
    r"|authorization|signature|token|secret|password|cookie|(api|client|customer)[-_]?key|client[-_]?id|partner[-_]id"
    r"|card|phone|msisdn|mobile|user[-_]?name|customer[-_]?n|cust[-_]?name|holder|beneficiary|account[-_]?(no|num|name)"
    r"|identif|document|birth|email|address|seamless|submission[-_]?data"
    r"|session|journey|auth[-_]?code|page[-_]?id|redirect|location|[-_]url",
    re.IGNORECASE,
)
"""Names of fields and headers whose values are hidden; humps of camelCase count as dashes."""
SHOWN = re.compile(r"token[-_]?(type|expires[-_]?in)$", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LONG_SECRET = re.compile(r"[A-Za-z0-9+/=_.-]{40,}")
_PERSONAL_DIGITS = re.compile(r"(?<![0-9])(?:\+?62|0)8[0-9]{7,12}(?![0-9])|(?<![0-9])[0-9]{16}(?![0-9])")
MAX_DEPTH = 20


def masked(value: Any, name: str = "", depth: int = 0) -> Any:
    """The same JSON value, with hidden parts as `***` and their last two characters where that tells nobody apart."""
    if depth > MAX_DEPTH:
        return "***"
    if isinstance(value, dict):
        return {str(key): masked(part, str(key), depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [masked(part, name, depth + 1) for part in value]
    if value is None or isinstance(value, bool):
        return value
    if name and is_hidden(name):
        return _tail(str(value))
    return _text(value) if isinstance(value, str) else value


def is_hidden(name: str) -> bool:
    """Whether the value under a name belongs to a person or opens a door."""
    dashed = _CAMEL.sub("-", name)
    return HIDDEN.search(dashed) is not None and SHOWN.search(dashed) is None


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Every header, hidden ones masked."""
    return {name: masked(value, name) for name, value in headers.items()}


def masked_body(content_type: str, body: bytes) -> Any:
    """A JSON or form body, hidden parts masked; of anything else its size and type."""
    if not body:
        return None
    if content_type.startswith("application/x-www-form-urlencoded"):
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: masked(value, name) for name, value in pairs}
    try:
        return masked(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return f"<{len(body)} bytes of {content_type.partition(';')[0] or 'no type'}>"


def masked_target(path: str, query: str, params: Mapping[str, Any]) -> str:
    """Path and query; a page's id, and hidden query values, are masked."""
    for name, value in params.items():
        if is_hidden(name):
            path = path.replace(str(value), "***")
    if not query:
        return path
    pairs = [(name, masked(value, name)) for name, value in parse_qsl(query, keep_blank_values=True)]
    return f"{path}?{urlencode(pairs, safe='*:/+')}"


def _tail(value: str) -> str:
    return f"***{value[-2:]}" if len(value) >= 6 and value.lstrip("+").isdecimal() else "***"


def _text(value: str) -> str:
    """A text under an innocent name: phone numbers, NIKs and long random texts inside it are hidden all the same."""
    hidden = _PERSONAL_DIGITS.sub(lambda found: _tail(found[0]), value)
    return _LONG_SECRET.sub("***", hidden)
