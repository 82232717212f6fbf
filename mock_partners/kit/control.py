"""The control API beside every mock, under `/__mock__/`: read, steer, assert. README.md has the JSON shapes."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from mock_partners.kit import views
from mock_partners.kit.backstage import Backstage
from mock_partners.kit.clock import JAKARTA, Clock, Scheduler
from mock_partners.kit.host import read_scenario
from mock_partners.kit.http import Call, Handler, Reply, Route, json_reply
from mock_partners.kit.scenario import ScenarioError
from mock_partners.kit.scenario.kinds import LONGEST_S
from mock_partners.kit.scenario.roles import concerns
from mock_partners.kit.verify import Asked, problems
from mock_partners.kit.world import World, WorldError, normal_phone

MOST_SHOWN = 500
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
T = TypeVar("T")


class ClockOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /__mock__/clock`; done in this order, so that one call can set and freeze."""

    thaw: bool = False
    set: datetime | None = None
    advance_s: float | None = None
    freeze: bool = False


class Wrong(Exception):
    """A control call that cannot be done: HTTP status and what to do instead."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


def backstage_of(world: World, clock: Clock, scheduler: Scheduler) -> Backstage:
    """The world's backstage, going by the clock and scheduler of the app that is being made."""
    made = world.keep("backstage", lambda: Backstage(world, clock, scheduler))
    made.attach(clock, scheduler)
    return made


def control_routes(
    world: World, clock: Clock, scheduler: Scheduler, *, unsettled: Callable[[], int] = lambda: 0
) -> list[Route]:
    """The control routes of one mock; `unsettled` adds payouts that wait for a look-up rather than for the clock."""
    backstage = backstage_of(world, clock, scheduler)
    api = ControlApi(backstage, unsettled)
    open_to_all: list[tuple[str, Handler]] = [
        ("books", api.books), ("pending", api.pending), ("sms", api.sms), ("health", api.health),
    ]  # fmt: skip
    local: list[tuple[Any, str, Handler]] = [
        ("GET", "requests", api.requests),
        ("GET", "notifications", api.notifications),
        ("POST", "notifications/{number:int}/again", api.send_again),
        ("GET", "customers", api.customers),
        ("POST", "customers", api.change_customer),
        ("GET", "links", api.links),
        ("GET", "clock", api.clock),
        ("POST", "clock", api.move_clock),
        ("GET", "scenario", api.scenario),
        ("PUT", "scenario", api.set_scenario),
        ("DELETE", "scenario", api.end_scenario),
        ("POST", "verify", api.verify),
        ("POST", "reset", api.reset),
    ]
    return [
        *(Route("GET", f"/__mock__/{name}", handler, runner=backstage) for name, handler in open_to_all),
        *(Route(method, f"/__mock__/{name}", local_only(handler), runner=backstage) for method, name, handler in local),
    ]


def local_only(handler: Handler) -> Handler:
    """Refuses callers from other machines, and pages of other sites in a local browser, also those under a name that
    was made to lead here; tells what was wrong.
    """

    async def guarded(call: Call) -> Reply:
        if not _is_local(call.client):
            return json_reply(403, {"error": "the control API answers this machine only"})
        origin = call.header("origin")
        if origin and not _is_local(urlsplit(origin).hostname or ""):
            return json_reply(403, {"error": "the control API answers no page of another site"})
        if not _is_ours(call.header("host")):
            return json_reply(403, {"error": "ask by address or by a name without a dot: another one may be a trap"})
        try:
            return await handler(call)
        except Wrong as wrong:
            return json_reply(wrong.status, {"error": wrong.error})

    return guarded


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_ours(host: str) -> bool:
    """Whether a page under this `Host` can be none of another site: nobody else's site is an address, or a name without
    a dot.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return "." not in name.removesuffix(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class ControlApi:
    """The handlers of the control API of one mock."""

    def __init__(self, backstage: Backstage, unsettled: Callable[[], int]) -> None:
        self._backstage, self._world, self._unsettled = backstage, backstage.world, unsettled

    async def books(self, _call: Call) -> Reply:
        lines = b"".join(msgspec.json.encode(booking.as_json()) + b"\n" for booking in self._world.books)
        return Reply(200, lines, {"Content-Type": "application/x-ndjson"})

    async def pending(self, _call: Call) -> Reply:
        counts = self._backstage.scheduler.pending()
        counts["unsettled"] += self._unsettled()
        return json_reply(200, counts)

    async def sms(self, call: Call) -> Reply:
        phone = call.query_values().get("phone", "")
        if not phone:
            return json_reply(400, {"error": "ask for ?phone=+62..."})
        return json_reply(200, self._world.sms.newest_first(normal_phone(phone)))

    async def health(self, _call: Call) -> Reply:
        now = self._backstage.clock.now().isoformat()
        return json_reply(200, {"status": "ok", "partner": self._world.partner, "now": now})

    async def requests(self, call: Call) -> Reply:
        """The log's calls after `since`, of one `operation` if asked for, the newest `limit` of them."""
        asked, log = call.query_values(), self._backstage.log
        since, limit = _number(asked, "since", 0), min(_number(asked, "limit", MOST_SHOWN), MOST_SHOWN)
        wanted = asked.get("operation", "")
        found = [one for one in log.since(since) if not wanted or concerns(wanted, one.operation)]
        shown = [exchange.as_json() for exchange in found[max(len(found) - limit, 0) :]]
        return json_reply(200, {"total": log.total_calls, "kept": len(log.calls), "requests": shown})

    async def notifications(self, call: Call) -> Reply:
        since, log = _number(call.query_values(), "since", 0), self._backstage.log
        shown = [entry.as_json() for entry in log.notices if entry.number > since]
        return json_reply(200, {"total": log.total_notices, "notifications": shown[-MOST_SHOWN:]})

    async def send_again(self, call: Call) -> Reply:
        if not self._backstage.send_again(call.params["number"]):
            raise Wrong(404, "no such notification in the log: see GET /__mock__/notifications")
        return json_reply(202, {"status": "scheduled"})

    async def customers(self, call: Call) -> Reply:
        wanted = call.query_values().get("account", "")
        found = self._accounts(wanted) if wanted else list(self._world.accounts.values())[:MOST_SHOWN]
        rows = [views.customer(account) for account in found]
        return json_reply(200, {"total": len(self._world.accounts), "customers": rows})

    async def change_customer(self, call: Call) -> Reply:
        asked = _read(call, views.Change)
        found = self._accounts(asked.account)
        if len(found) != 1:
            raise Wrong(404, "no such account: see GET /__mock__/customers")
        problem = views.change_problem(asked.set)
        if problem:
            raise Wrong(400, problem)
        views.change(found[0], asked.set)
        return json_reply(200, views.customer(found[0]))

    async def links(self, _call: Call) -> Reply:
        rows = views.links(self._world)
        return json_reply(200, {"total": len(rows), "links": rows[-MOST_SHOWN:]})

    async def clock(self, _call: Call) -> Reply:
        return json_reply(200, self._clock_told())

    async def move_clock(self, call: Call) -> Reply:
        await move_clock(self._backstage, _read(call, ClockOrder))
        return json_reply(200, self._clock_told())

    async def scenario(self, _call: Call) -> Reply:
        return json_reply(200, self._scenario_told())

    async def set_scenario(self, call: Call) -> Reply:
        try:
            scenario = read_scenario(call.body.decode("utf-8"), more=self._backstage.operations)
        except UnicodeDecodeError:
            raise Wrong(400, "the body must be the scenario's TOML in UTF-8") from None
        except ScenarioError as error:
            return json_reply(400, {"error": "the scenario cannot be used", "problems": error.problems})
        self._backstage.set_scenario(scenario)
        return json_reply(200, self._scenario_told())

    async def end_scenario(self, _call: Call) -> Reply:
        self._backstage.set_scenario(None)
        return json_reply(200, self._scenario_told())

    async def verify(self, call: Call) -> Reply:
        found = problems(_read(call, Asked), self._backstage.log, self._world, self._backstage.operations)
        return json_reply(409 if found else 200, {"ok": not found, "problems": found})

    async def reset(self, call: Call) -> Reply:
        if self._backstage.reset is None:
            raise Wrong(409, "this mock was not started by `mock-partners serve` or the pytest plug-in")
        try:
            await self._backstage.reset(call.body.decode("utf-8") if call.body else None)
        except (WorldError, UnicodeDecodeError) as problem:
            raise Wrong(400, str(problem) if isinstance(problem, WorldError) else "the world must be UTF-8") from None
        return json_reply(200, {"status": "ok"})

    def _accounts(self, wanted: str) -> list[Any]:
        found = self._world.accounts.get(wanted)
        return [found] if found is not None else self._world.by_phone(wanted)

    def _clock_told(self) -> dict[str, Any]:
        clock = self._backstage.clock
        machine = datetime.fromtimestamp(clock.machine_seconds(), JAKARTA)
        return {
            "now": clock.now().isoformat(),
            "frozen": clock.stage.frozen,
            "ahead_s": round(clock.seconds() - clock.machine_seconds(), 3),
            "machine": machine.isoformat(),
        }

    def _scenario_told(self) -> dict[str, Any]:
        player = self._backstage.player
        if player is None:
            return {"title": None, "state": None, "rules": []}
        rules = [
            {"name": track.rule.name, "line": track.rule.line, "matched": track.matched.total(), "fired": track.fired}
            for track in player.tracks
        ]
        return {"title": player.scenario.title, "state": player.state, "rules": rules}


async def move_clock(backstage: Backstage, order: ClockOrder) -> None:
    """Thaws, sets, advances, freezes. On the way forward everything that falls due happens at its own time."""
    stage = backstage.clock.stage
    if order.set is not None and not EARLIEST <= _aware(order.set) <= LATEST:
        raise Wrong(400, "set must lie between the years 2000 and 2100")
    if order.advance_s is not None and not 0 <= order.advance_s <= LONGEST_S:
        raise Wrong(400, f"advance_s must be from 0 to {LONGEST_S}; to go back use set")
    if order == ClockOrder():
        raise Wrong(400, "say what to do: set, advance_s, freeze or thaw")
    if order.thaw:
        stage.thaw()
    if order.set is not None:
        await backstage.scheduler.travel(_aware(order.set).timestamp())
    if order.advance_s is not None:
        await backstage.scheduler.travel(stage.seconds() + order.advance_s)
    if order.freeze:
        stage.freeze(stage.seconds())
    backstage.scheduler.rearm()


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=JAKARTA)


def _read(call: Call, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(call.body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        # A validation error of msgspec names type and place; only an invalid enum would echo a value.
        raise Wrong(400, str(problem)) from None


def _number(asked: dict[str, str], name: str, usual: int) -> int:
    text = asked.get(name, str(usual))
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise Wrong(400, f"{name} must be a whole number")
    return int(text)
