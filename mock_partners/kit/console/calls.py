"""The request log on the console: which calls are shown, and one call with the verdict of every check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any, Self

import msgspec

from mock_partners.kit.console.html import form, hidden, options
from mock_partners.kit.host import Mock
from mock_partners.kit.log import ANSWERED, KEPT_CALLS, Exchange
from mock_partners.kit.scenario.facts import Facts, Handles
from mock_partners.kit.scenario.roles import ROLES, concerns, roles_of

SHOWN = 100
ALL, FAILING, FIRED, LOST = "all", "not good", "under a rule", "unanswered"
OUTCOMES = (ALL, FAILING, FIRED, LOST)


@dataclass(frozen=True)
class Filter:
    """Which calls to show: a word for the operation or an end of its path, how they ended, and a text in them.

    `who` is a text in the account, phone or name of the customers to show.
    """

    operation: str = ""
    outcome: str = ALL
    text: str = ""
    who: str = ""

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> Self:
        """Out of a page's query; what is unknown asks for everything."""
        outcome = asked.get("outcome", ALL)
        texts = {name: asked.get(name, "").strip() for name in ("operation", "q", "who")}
        return cls(texts["operation"], outcome if outcome in OUTCOMES else ALL, texts["q"], texts["who"])

    def admits(self, exchange: Exchange) -> bool:
        """Whether a call is to be shown."""
        if self.operation and not concerns(self.operation, exchange.operation):
            return False
        if not _ENDS[self.outcome](exchange):
            return False
        return not self.text or self.text.lower() in _text(exchange)


def good(exchange: Exchange) -> bool:
    """Whether a call got what it wanted, as far as status and code say; LinkAja refuses with two digits on HTTP 200."""
    if exchange.outcome != ANSWERED or exchange.reply is None or exchange.reply.status >= 400:
        return False
    code = exchange.code
    return code == "00" if len(code) == 2 and code.isdecimal() else not code.startswith(("4", "5"))


def _text(exchange: Exchange) -> str:
    """All that the log tells of a call. A running one changes; of one that has ended the text is kept."""
    return _told(exchange) if exchange.outcome == "running" else _kept(exchange)


def _told(exchange: Exchange) -> str:
    return msgspec.json.encode(exchange.as_json()).decode().lower()


_kept = lru_cache(maxsize=4 * KEPT_CALLS)(_told)


_ENDS: dict[str, Callable[[Exchange], bool]] = {
    ALL: lambda _exchange: True,
    FAILING: lambda exchange: not good(exchange),
    FIRED: lambda exchange: bool(exchange.rules),
    LOST: lambda exchange: exchange.outcome != ANSWERED,
}


def filters(mock: Mock, chosen: Filter) -> str:
    """The form above the log."""
    words = [word for word in ROLES if any(concerns(word, route.operation) for route in mock.app.routes)]
    listed = "".join(f'<option value="{word}">' for word in words)
    operation, text = escape(chosen.operation), escape(chosen.text)
    return (
        '<form id="filters" method="get" action="">'
        f'<label>Operation<input name="operation" list="words" value="{operation}" placeholder="any"></label>'
        f'<datalist id="words">{listed}</datalist>'
        f'<label>Calls<select name="outcome">{options(OUTCOMES, chosen.outcome)}</select></label>'
        f'<label>Containing<input name="q" type="search" value="{text}" placeholder="reference, code, field"></label>'
        f'<button>Filter</button><a href="/{mock.name}">Clear</a></form>'
    )


def calls(mock: Mock, chosen: Filter) -> str:
    """The newest calls that the filter admits, each with its details folded away."""
    log = mock.backstage.log
    if not log.calls:
        return '<p class="none">No call yet. Point a client at this partner\'s port.</p>'
    found = [exchange for exchange in reversed(log.calls) if chosen.admits(exchange)]
    player, nothing = mock.backstage.player, Handles()
    rows = "".join(
        _call(mock, exchange, player.facts(exchange.call) if player else Facts(exchange.call, mock.world, nothing))
        for exchange in found[:SHOWN]
    )
    shown = f"{len(found)} of {log.total_calls} calls" + (f", the newest {SHOWN} shown" if len(found) > SHOWN else "")
    return f'<p class="count">{shown}</p>{rows or "<p class=none>No call passes the filter.</p>"}'


def _call(mock: Mock, exchange: Exchange, facts: Facts) -> str:
    told = exchange.as_json()
    took = f"{told['took_ms']:,} ms"
    words = " ".join(roles_of(exchange.operation)) or exchange.operation.rpartition("/")[2]
    about = [*dict.fromkeys(facts.references)][:2]
    if facts.account is not None:
        about.append(facts.account.account)
    answer = " · ".join(str(part) for part in (told["status"], told["code"]) if part) or told["outcome"]
    answer = answer if exchange.outcome == ANSWERED else exchange.outcome
    rules = "".join(f'<span class="rule">{escape(rule)}</span>' for rule in told["rules"])
    path = f"{exchange.call.method} {escape(exchange.call.path)}"
    verdict = "good" if good(exchange) else "running" if exchange.outcome == "running" else "bad"
    return (
        f'<details class="call {verdict}" id="call-{exchange.number}"><summary>'
        f'<span class="number">{exchange.number}</span><time title="{took}">{told["at"][11:23]}</time>'
        f'<span class="what"><b>{escape(words)}</b><code>{path}</code></span>'
        f'<span class="about">{escape(", ".join(about))}</span>'
        f'<span class="marks">{_marks(told["checks"])}{rules}</span><span class="answer">{escape(answer)}</span>'
        f"</summary>{_detail(mock, exchange, told, facts)}</details>"
    )


def _marks(checks: list[dict[str, str]]) -> str:
    """How many checks passed, and the one that refused the call by its name."""
    passed = [check["check"] for check in checks if check["verdict"] == "ok"]
    count = "1 check" if len(passed) == 1 else f"{len(passed)} checks"
    refused = [check for check in checks if check["verdict"] != "ok"]
    return (f'<span class="ok" title="{escape(", ".join(passed))}">{count}</span>' if passed else "") + (
        "".join(_check(check) for check in refused)
    )


def _check(check: dict[str, str]) -> str:
    if check["verdict"] == "ok":
        return f'<span class="ok">{escape(check["check"])}</span>'
    return f'<span class="no">{escape(check["check"])}: {escape(check["verdict"])}</span>'


def _lost(mock: Mock, operation: str, facts: Facts) -> str:
    """A scenario in which this person's calls of the kind are done and never answered."""
    account = f'\naccount = "{facts.account.account}"' if facts.account is not None else ""
    return (
        f'title = "The answer is lost: {operation}"\n\n[[rule]]\nname = "done, and no answer"\n[rule.when]\n'
        f'partner = "{mock.name}"\noperation = "{operation}"{account}\n[rule.do]\ndrop_after_booking = true\n'
    )


def _detail(mock: Mock, exchange: Exchange, told: dict[str, Any], facts: Facts) -> str:
    took = f"{told['took_ms']:,} ms"
    headers = "\n".join(f"{name}: {value}" for name, value in told["headers"].items())
    request = escape(f"{told['method']} {told['target']}\n{headers}")
    expected = {"operation": next(iter(roles_of(exchange.operation)), exchange.operation)}
    expected |= {"reference": facts.references[0]} if facts.references else {}
    expected |= {"code": told["code"]} if told["code"] else {}
    checks = "".join(_check(check) for check in told["checks"]) or "no check was begun"
    lost = _lost(mock, expected["operation"], facts)
    return (
        f'<div class="detail"><div class="marks">{checks}</div>'
        f"<div><h3>Request</h3><pre>{request}</pre><pre>{_pretty(told['body'])}</pre></div>"
        f"<div><h3>Answer: {escape(told['outcome'])} after {took}</h3><pre>{_pretty(told['answer'])}</pre>"
        f"<h3>To expect it in Verify</h3><pre>{escape(msgspec.json.encode(expected).decode())}</pre>"
        f"<h3>To lose this person's answers from now on</h3><pre>{escape(lost)}</pre>"
        f"{form(mock, 'scenario', hidden('toml', lost) + '<button>Set it</button>')}</div></div>"
    )


def _pretty(value: Any) -> str:
    if value in (None, ""):
        return "(none)"
    if isinstance(value, str):
        return escape(value)
    return escape(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
