"""The web console on the port base: what every mock saw and keeps, with buttons for the control API. No scripts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec

from mock_partners.kit import views
from mock_partners.kit.control import ClockOrder, Wrong, local_only, move_clock
from mock_partners.kit.host import Mock
from mock_partners.kit.http import Call, MockApp, Reply, Route, redirect
from mock_partners.kit.scenario import ScenarioError, parse_scenario
from mock_partners.kit.world import WorldError

SHOWN = 100
STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:1.5rem;max-width:75rem}table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ddd;padding:.25rem .5rem;text-align:left;vertical-align:top}"
    "code,pre,textarea{font:13px/1.4 ui-monospace,monospace}textarea{width:100%;height:10rem}"
    "form{display:inline-block;margin:.2rem .6rem .2rem 0}.bad{color:#b00020}iframe{width:100%;height:24rem;border:0}"
    "summary{cursor:pointer}h2{margin-top:2rem}"
)
LOG_REFRESH = '<meta http-equiv="refresh" content="2">'


def console(mocks: Mapping[str, Mock]) -> MockApp:
    """The console of some mocks that run in this process."""
    pages = _Console(mocks)
    return MockApp(
        [
            Route("GET", "/", local_only(pages.index)),
            Route("GET", "/{partner:str}", local_only(pages.partner)),
            Route("GET", "/{partner:str}/log", local_only(pages.log)),
            Route("POST", "/{partner:str}/clock", local_only(pages.move_clock)),
            Route("POST", "/{partner:str}/scenario", local_only(pages.set_scenario)),
            Route("POST", "/{partner:str}/again", local_only(pages.send_again)),
            Route("POST", "/{partner:str}/status", local_only(pages.change_status)),
            Route("POST", "/{partner:str}/reset", local_only(pages.reset)),
        ]
    )


class _Console:
    def __init__(self, mocks: Mapping[str, Mock]) -> None:
        self._mocks = mocks

    async def index(self, _call: Call) -> Reply:
        rows = [
            [
                f'<a href="/{name}">{name}</a>', escape(mock.clock.now().isoformat(timespec="seconds")),
                str(mock.backstage.log.total_calls), str(len(mock.world.books)), str(len(mock.world.accounts)),
                escape(mock.scenario.title if mock.scenario is not None else "none"),
            ]
            for name, mock in self._mocks.items()
        ]  # fmt: skip
        head = ["Partner", "Its clock", "Calls", "Bookings", "Accounts", "Scenario"]
        return _page("Mock partners", _table(head, rows))

    async def partner(self, call: Call) -> Reply:
        mock = self._mock(call)
        return _page(
            f"{mock.name} mock",
            '<p><a href="/">All partners</a></p>'
            + f'<h2>Log</h2><iframe src="/{mock.name}/log" title="log"></iframe>'
            + _clock(mock) + _scenario(mock) + _notices(mock) + _links(mock) + _books(mock) + _customers(mock)
            + _form(mock, "reset", '<button>Reset to the first world</button>'),
        )  # fmt: skip

    async def log(self, call: Call) -> Reply:
        mock = self._mock(call)
        shown = list(mock.backstage.log.calls)[-SHOWN:][::-1]
        rows = []
        for exchange in shown:
            told = exchange.as_json()
            checks = " ".join(
                escape(check["check"]) if check["verdict"] == "ok"
                else f'<span class="bad">{escape(check["check"])}: {escape(check["verdict"])}</span>'
                for check in told["checks"]
            )  # fmt: skip
            detail = escape(msgspec.json.format(msgspec.json.encode(told), indent=1).decode())
            outcome = told["code"] or told["status"] or told["outcome"]
            rows.append(
                [
                    str(exchange.number), escape(told["at"][11:]), f"<code>{escape(exchange.operation)}</code>",
                    checks, escape(", ".join(exchange.rules)), escape(str(outcome)),
                    f"<details><summary>all</summary><pre>{detail}</pre></details>",
                ]
            )  # fmt: skip
        table = _table(["", "At", "Operation", "Checks", "Rules", "Answer", ""], rows)
        return _page("", table if rows else "<p>No call yet.</p>", LOG_REFRESH)

    async def move_clock(self, call: Call) -> Reply:
        mock, fields = self._mock(call), call.form()
        text = fields.get("advance_s", "")
        try:
            order = ClockOrder(
                advance_s=float(text) if text else None, freeze="freeze" in fields, thaw="thaw" in fields
            )
        except ValueError:
            raise Wrong(400, "advance_s must be a number of seconds") from None
        await move_clock(mock.backstage, order)
        return _back(mock)

    async def set_scenario(self, call: Call) -> Reply:
        mock, text = self._mock(call), call.form().get("toml", "")
        try:
            mock.set_scenario(parse_scenario(text) if text.strip() else None)
        except ScenarioError as error:
            problems = "".join(f"<li>{escape(problem)}</li>" for problem in error.problems)
            return _page(
                "This scenario cannot be used",
                f"<ul class=bad>{problems}</ul>"
                + _form(mock, "scenario", f'<textarea name="toml">{escape(text)}</textarea><button>Set</button>'),
                status=400,
            )
        return _back(mock)

    async def send_again(self, call: Call) -> Reply:
        mock, number = self._mock(call), call.form().get("number", "")
        if not number.isdecimal() or len(number) > 9 or not mock.backstage.send_again(int(number)):
            raise Wrong(404, "no such notification in the log")
        return _back(mock)

    async def change_status(self, call: Call) -> Reply:
        mock, account = self._mock(call), self._mock(call).world.accounts.get(call.form().get("account", ""))
        if account is None:
            raise Wrong(404, "no such account")
        account.status = "blocked" if account.active else "active"
        return _back(mock)

    async def reset(self, call: Call) -> Reply:
        mock = self._mock(call)
        try:
            await mock.reset()
        except WorldError as problem:
            raise Wrong(400, str(problem)) from None
        return _back(mock)

    def _mock(self, call: Call) -> Mock:
        mock = self._mocks.get(call.params["partner"])
        if mock is None:
            raise Wrong(404, f"no such partner; there are: {', '.join(self._mocks)}")
        return mock


def _clock(mock: Mock) -> str:
    stands = ", standing" if mock.clock.stage.frozen else ""
    now = mock.clock.now().isoformat(timespec="seconds")
    days = "".join(
        _form(mock, "clock", f'<input type="hidden" name="advance_s" value="{seconds}"><button>+ {label}</button>')
        for label, seconds in (("1 min", 60), ("6 min", 360), ("1 hour", 3_600), ("1 day", 86_400))
    )
    other = '<button name="thaw">Let it run</button>' if stands else '<button name="freeze">Stop it</button>'
    return f"<h2>Clock</h2><p>{now}{stands}</p>{days}{_form(mock, 'clock', other)}"


def _scenario(mock: Mock) -> str:
    player = mock.backstage.player
    table = "<p>None is set.</p>"
    if player is not None:
        rows = [
            [str(track.rule.line), escape(track.rule.name), str(track.matched.total()), str(track.fired)]
            for track in player.tracks
        ]
        title = f"<p>{escape(player.scenario.title)}, in the state <code>{escape(player.state)}</code></p>"
        table = title + _table(["Line", "Rule", "Matched", "Fired"], rows) + _form(
            mock, "scenario", '<input type="hidden" name="toml" value=""><button>End it</button>'
        )  # fmt: skip
    box = '<textarea name="toml" aria-label="scenario in TOML"></textarea><button>Set</button>'
    return f"<h2>Scenario</h2>{table}<details><summary>Set another</summary>{_form(mock, 'scenario', box)}</details>"


def _notices(mock: Mock) -> str:
    rows = [
        [
            str(entry.number), escape(entry.notice.method), f"<code>{escape(entry.notice.path)}</code>",
            escape(", ".join("no answer" if status is None else str(status) for status in entry.tries) or "not yet"),
            _form(mock, "again", f'<input type="hidden" name="number" value="{entry.number}"><button>Again</button>'),
        ]
        for entry in list(mock.backstage.log.notices)[-SHOWN:][::-1]
    ]  # fmt: skip
    return "<h2>Notifications</h2>" + _table(["", "Method", "Path", "Answers", ""], rows)


def _links(mock: Mock) -> str:
    rows = [
        [escape(row["account"]), escape(row["kind"]), f"<code>{escape(str(row['state']))}</code>"]
        for row in views.links(mock.world)[-SHOWN:]
    ]
    return "<h2>Links</h2>" + _table(["Account", "Kept as", "State"], rows)


def _books(mock: Mock) -> str:
    rows = [
        [
            escape(booking.booked_at.isoformat(timespec="seconds")), booking.kind.value, escape(booking.account),
            f"{booking.amount_rupiah:,}", f"<code>{escape(booking.reference)}</code>",
        ]
        for booking in mock.world.books[-SHOWN:][::-1]
    ]  # fmt: skip
    deposit = f"<p>Deposit: {mock.world.deposit_rupiah:,} rupiah</p>"
    return "<h2>Books</h2>" + deposit + _table(["At", "Kind", "Account", "Rupiah", "Reference"], rows)


def _customers(mock: Mock) -> str:
    rows = [
        [
            escape(account.account), escape(account.holder_name), account.kyc, account.status,
            f"{account.balance_rupiah:,}", escape(account.behaviour.value),
            _form(
                mock, "status",
                f'<input type="hidden" name="account" value="{escape(account.account)}">'
                f"<button>{'Block' if account.active else 'Unblock'}</button>",
            ),
        ]
        for account in list(mock.world.accounts.values())[:SHOWN]
    ]  # fmt: skip
    head = ["Account", "Holder", "KYC", "Status", "Balance", "Behaviour", ""]
    return f"<h2>Customers ({len(mock.world.accounts)})</h2>" + _table(head, rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{lines}</table>" if rows else "<p>None.</p>"


def _form(mock: Mock, action: str, content: str) -> str:
    return f'<form method="post" action="/{mock.name}/{action}">{content}</form>'


def _back(mock: Mock) -> Reply:
    """After a button: the page again, so that going back or reloading presses nothing twice."""
    return Reply(303, b"", redirect(f"/{mock.name}").headers)


def _page(title: str, content: str, head: str = "", status: int = 200) -> Reply:
    heading = f"<h1>{escape(title)}</h1>" if title else ""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}<title>{escape(title or "log")}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head>'
        f"<body>{heading}{content}</body></html>"
    )
    headers: dict[str, Any] = {
        "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; "
        "form-action 'self'; frame-ancestors 'self'; base-uri 'none'",
    }  # fmt: skip
    return Reply(status, text.encode(), headers)
