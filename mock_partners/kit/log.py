"""The request log of one mock: the last calls and notifications, with the verdict of every check, secrets masked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from mock_partners.kit.clock import JAKARTA
from mock_partners.kit.http import Call, Reply
from mock_partners.kit.mask import masked_body, masked_headers, masked_target
from mock_partners.kit.notice import Notice
from mock_partners.kit.turn import Turn

KEPT_CALLS = 2_000
KEPT_NOTICES = 1_000
KEPT_BODY_BYTES = 32_768
ANSWERED, RESET, CLOSED, FAILED, MISSED = "answered", "reset", "closed", "failed", "no such path"


class Exchange(Turn):
    """One call with its answer. `checks` are those that were begun; the last one refused if the call was refused."""

    __slots__ = ("at_s", "call", "number", "operation", "outcome", "reply", "took_s")

    def __init__(self, number: int, at_s: float, operation: str, call: Call) -> None:
        super().__init__()
        self.number, self.at_s, self.operation, self.call = number, at_s, operation, call
        self.outcome = "running"
        self.reply: Reply | None = None
        self.took_s = 0.0

    @property
    def code(self) -> str:
        """The partner's own code in the answer; an empty text if it has none."""
        if self.reply is None or not self.reply.body:
            return ""
        try:
            told = msgspec.json.decode(self.reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""
        return _code(told)

    def verdicts(self) -> list[dict[str, str]]:
        """Each check with `ok`, or with the code or outcome that it ended the call with."""
        refused = self.reply is None or not 200 <= self.reply.status < 300
        last = self.code or (str(self.reply.status) if self.reply is not None else self.outcome)
        names = list(dict.fromkeys(self.checks))
        return [
            {"check": name, "verdict": last if refused and place == len(names) else "ok"}
            for place, name in enumerate(names, 1)
        ]

    def as_json(self) -> dict[str, Any]:
        call, reply = self.call, self.reply
        return {
            "number": self.number,
            "at": _moment(self.at_s),
            "operation": self.operation,
            "method": call.method,
            "target": masked_target(call.path, call.query, call.params),
            "headers": masked_headers(call.headers),
            "body": masked_body(call.header("content-type"), call.body),
            "checks": self.verdicts(),
            "rules": self.rules,
            "outcome": self.outcome,
            "took_ms": round(self.took_s * 1_000),
            "status": reply.status if reply is not None else None,
            "code": self.code,
            "answer": masked_body(reply.headers.get("Content-Type", ""), reply.body) if reply is not None else None,
        }


@dataclass(repr=False, slots=True)
class Sent:
    """One notification with what became of it. `tries` are HTTP statuses, None where no answer came."""

    number: int
    at_s: float
    notice: Notice
    rules: list[str] = field(default_factory=list)
    tries: list[int | None] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": _moment(self.at_s),
            "method": self.notice.method,
            "path": self.notice.path,
            "headers": masked_headers(self.notice.headers),
            "body": masked_body("application/json", self.notice.body),
            "rules": self.rules,
            "tries": self.tries,
        }


class Log:
    """The last calls and notifications, numbered from 1; older ones are dropped, but counted."""

    def __init__(self) -> None:
        self.calls: deque[Exchange] = deque(maxlen=KEPT_CALLS)
        self.notices: deque[Sent] = deque(maxlen=KEPT_NOTICES)
        self.total_calls = self.total_notices = 0

    def begin(self, operation: str, call: Call, at_s: float) -> Exchange:
        self.total_calls += 1
        if len(call.body) > KEPT_BODY_BYTES:
            call = replace(call, body=call.body[:KEPT_BODY_BYTES])
        exchange = Exchange(self.total_calls, at_s, operation, call)
        self.calls.append(exchange)
        return exchange

    @staticmethod
    def end(exchange: Exchange, reply: Reply) -> None:
        exchange.outcome = ANSWERED
        if len(reply.body) > KEPT_BODY_BYTES:
            reply = replace(reply, body=reply.body[:KEPT_BODY_BYTES])
        exchange.reply = reply

    def sent(self, notice: Notice, at_s: float) -> Sent:
        self.total_notices += 1
        entry = Sent(self.total_notices, at_s, notice)
        self.notices.append(entry)
        return entry

    def notice(self, number: int) -> Sent | None:
        return next((entry for entry in self.notices if entry.number == number), None)

    def since(self, number: int) -> Iterator[Exchange]:
        """The kept calls after one number."""
        return (exchange for exchange in self.calls if exchange.number > number)


def _code(told: Any) -> str:
    if not isinstance(told, dict):
        return ""
    for name in ("responseCode", "status", "error_message"):
        if isinstance(told.get(name), str | int):
            return str(told[name])
    if len(told) == 1:  # One Gate Payment names its envelope after the operation (snap-bni.md 2.2)
        return _code(next(iter(told.values())))
    return _code(told.get("data") or told.get("parameters"))


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, JAKARTA).isoformat(timespec="milliseconds")
