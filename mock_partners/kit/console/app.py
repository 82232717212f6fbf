"""The console's pages and buttons. Everything works without scripts; with them the page keeps itself up to date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib import resources

import msgspec

from mock_partners.kit import views
from mock_partners.kit.console import html, panels
from mock_partners.kit.console.calls import Filter
from mock_partners.kit.control import ClockOrder, Wrong, local_only, move_clock
from mock_partners.kit.host import Mock, read_scenario
from mock_partners.kit.http import Call, MockApp, Reply, Route, json_reply, redirect
from mock_partners.kit.scenario import ScenarioError
from mock_partners.kit.verify import Asked, problems
from mock_partners.kit.world import WorldError
from mock_partners.registry import name_of

COOKBOOK = resources.files("mock_partners").joinpath("cookbook")
ASSETS = {"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8"}


def console(mocks: Mapping[str, Mock]) -> MockApp:
    """The console of some mocks that run in this process."""
    pages = _Console(mocks)
    actions = {
        "clock": pages.move_clock, "scenario": pages.set_scenario, "again": pages.send_again,
        "customer": pages.change_customer, "verify": pages.verify, "reset": pages.reset,
    }  # fmt: skip
    return MockApp(
        [
            Route("GET", "/", local_only(pages.index)),
            Route("GET", "/panels", local_only(pages.overview)),
            Route("GET", "/assets/{name:str}", local_only(_asset)),
            Route("GET", "/{partner:str}", local_only(pages.partner)),
            Route("GET", "/{partner:str}/panels", local_only(pages.panels)),
            *(Route("POST", f"/{{partner:str}}/{name}", local_only(act)) for name, act in actions.items()),
        ]
    )


async def _asset(call: Call) -> Reply:
    name = call.params["name"]
    if name not in ASSETS:
        raise Wrong(404, f"no such file; there are: {', '.join(ASSETS)}")
    body = resources.files("mock_partners.kit.console").joinpath(name).read_bytes()
    return Reply(200, body, {"Content-Type": ASSETS[name], "Cache-Control": "no-cache"})


class _Console:
    def __init__(self, mocks: Mapping[str, Mock]) -> None:
        self._mocks = mocks

    async def index(self, _call: Call) -> Reply:
        cards = f'<div class="partners" id="overview" data-live="/panels">{panels.overview(self._mocks)}</div>'
        return html.page("Mock partners", html.tabs(self._mocks, ""), cards)

    async def overview(self, _call: Call) -> Reply:
        return json_reply(200, {"tabs": html.tabs(self._mocks, ""), "overview": panels.overview(self._mocks)})

    async def partner(self, call: Call) -> Reply:
        return self._page(self._mock(call), call.query_values())

    async def panels(self, call: Call) -> Reply:
        """What the script lays over the page: the HTML of each part by its id."""
        mock, asked = self._mock(call), call.query_values()
        return json_reply(200, {"tabs": html.tabs(self._mocks, mock.name), **panels.changing(mock, Filter.read(asked))})

    async def move_clock(self, call: Call) -> Reply:
        mock, fields = self._mock(call), call.form()
        text, moment = fields.get("advance_s", ""), fields.get("set", "")
        try:
            order = ClockOrder(
                advance_s=float(text) if text else None, freeze="freeze" in fields, thaw="thaw" in fields,
                set=datetime.fromisoformat(moment) if moment else None,
            )  # fmt: skip
        except ValueError:
            raise Wrong(400, "advance_s must be a number of seconds, set a date and time") from None
        await move_clock(mock.backstage, order)
        return _back(mock)

    async def set_scenario(self, call: Call) -> Reply:
        """Sets the text in the box, or puts a scenario of the cookbook into the box to be looked at first."""
        mock, fields = self._mock(call), call.form()
        if fields.get("do") == "open":
            return self._page(mock, {}, toml=_from_cookbook(fields.get("cookbook", "")))
        text = fields.get("toml", "")
        try:
            mock.set_scenario(read_scenario(text) if text.strip() else None)
        except ScenarioError as error:
            found = html.notice("bad", "This scenario cannot be used.", error.problems)
            return self._page(mock, {}, toml=text, notice=found, status=400)
        return _back(mock)

    async def send_again(self, call: Call) -> Reply:
        mock, number = self._mock(call), call.form().get("number", "")
        if not number.isdecimal() or len(number) > 9 or not mock.backstage.send_again(int(number)):
            raise Wrong(404, "no such notification in the log")
        return _back(mock)

    async def change_customer(self, call: Call) -> Reply:
        mock, fields = self._mock(call), call.form()
        account = mock.world.accounts.get(fields.pop("account", ""))
        if account is None:
            raise Wrong(404, "no such account")
        problem = views.change_problem(fields)
        if problem:
            raise Wrong(400, problem)
        views.change(account, fields)
        return _back(mock)

    async def verify(self, call: Call) -> Reply:
        mock, text = self._mock(call), call.form().get("expect", "")
        try:
            asked = msgspec.json.decode(text.encode(), type=Asked)
        except (msgspec.DecodeError, RecursionError) as problem:
            found = html.notice("bad", "These expectations cannot be read.", [str(problem)])
            return self._page(mock, {}, expect=text, notice=found, status=400)
        wrong = problems(asked, mock.backstage.log, mock.world, mock.backstage.operations)
        said = "The mock saw something else." if wrong else "All as expected."
        notice = html.notice("bad" if wrong else "good", said, wrong)
        return self._page(mock, {}, expect=text, notice=notice, status=409 if wrong else 200)

    async def reset(self, call: Call) -> Reply:
        mock, rows = self._mock(call), call.form().get("world", "")
        try:
            await mock.reset(rows if rows.strip() else None)
        except WorldError as problem:
            found = html.notice("bad", "This world cannot be used.", [str(problem)])
            return self._page(mock, {}, world=rows, notice=found, status=400)
        return _back(mock)

    def _page(
        self, mock: Mock, asked: Mapping[str, str], *, toml: str = "", expect: str = "", world: str = "",
        notice: str = "", status: int = 200,
    ) -> Reply:  # fmt: skip
        filled = panels.Filled(Filter.read(asked), toml, expect, world, _cookbook())
        return html.page(
            f"{name_of(mock.name)} mock",
            html.tabs(self._mocks, mock.name),
            notice + panels.all_of(mock, filled),
            status,
        )

    def _mock(self, call: Call) -> Mock:
        mock = self._mocks.get(call.params["partner"])
        if mock is None:
            raise Wrong(404, f"no such partner; there are: {', '.join(self._mocks)}")
        return mock


def _cookbook() -> list[str]:
    return sorted(found.name.removesuffix(".toml") for found in COOKBOOK.iterdir() if found.name.endswith(".toml"))


def _from_cookbook(name: str) -> str:
    if name not in _cookbook():
        raise Wrong(404, "no such scenario in the cookbook")
    return COOKBOOK.joinpath(f"{name}.toml").read_text("utf-8")


def _back(mock: Mock) -> Reply:
    """After a button: the page again, so that going back or reloading presses nothing twice."""
    return Reply(303, b"", redirect(f"/{mock.name}").headers)
