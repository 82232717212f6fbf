"""Behind one mock: its log, its clock and its scenario. Every call passes here on its way to a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.http import Abort, Call, HangUp, Reply, Route
from mock_partners.kit.log import CLOSED, FAILED, MISSED, RESET, Log
from mock_partners.kit.notice import Deliver, Notice
from mock_partners.kit.scenario.model import Scenario
from mock_partners.kit.scenario.notices import NoticeFate
from mock_partners.kit.scenario.play import Player
from mock_partners.kit.turn import CURRENT
from mock_partners.kit.world import World

Reset = Callable[[str | None], Awaitable[None]]
"""Starts the mock anew, on the world in a text or on the one that it began with."""


class Backstage:
    """Kept in the world, so that log and scenario outlive a restarted app. `reset` is set by whoever can restart it."""

    def __init__(self, world: World, clock: Clock, scheduler: Scheduler) -> None:
        self.world, self.log = world, Log()
        self.player: Player | None = None
        self.reset: Reset | None = None
        self.operations: tuple[str, ...] = ()
        self.attach(clock, scheduler)

    def attach(self, clock: Clock, scheduler: Scheduler) -> None:
        """Goes by the clock and scheduler of the app that was just made."""
        self.clock, self.scheduler = clock, scheduler
        self._fate = NoticeFate(scheduler)
        scheduler.tap = self

    def set_scenario(self, scenario: Scenario | None) -> None:
        """Begins a scenario with fresh counts, or goes back to none; sets the clock if the scenario says so."""
        if scenario is None:
            self.player = None
            return
        self.player = Player(scenario, self.world, self.clock, self.scheduler)
        self.player.learn_from((exchange.call, exchange.reply) for exchange in self.log.calls)
        stage = self.clock.stage
        if scenario.clock_at is not None:
            stage.set(scenario.clock_at.timestamp())
        if scenario.skew_s:
            stage.set(self.clock.machine_seconds() + scenario.skew_s)
        if scenario.frozen:
            stage.freeze(stage.seconds())
        self.scheduler.rearm()

    async def run(self, route: Route, call: Call) -> Reply:
        """Serves one call: logged, and under the scenario if there is one."""
        exchange = self.log.begin(route.operation, call, self.clock.seconds())
        token = CURRENT.set(exchange)
        try:
            reply = await (route.handler(call) if self.player is None else self.player.play(route, call, exchange))
        except (Abort, HangUp) as lost:
            exchange.outcome = RESET if isinstance(lost, Abort) else CLOSED
            raise
        except Exception:
            exchange.outcome = FAILED
            raise
        finally:
            exchange.took_s = self.clock.seconds() - exchange.at_s
            CURRENT.reset(token)
        self.log.end(exchange, reply)
        return reply

    def missed(self, call: Call, status: int) -> None:
        """Logs a call to a path or method that the partner does not have."""
        exchange = self.log.begin(f"{call.method} {call.path}", call, self.clock.seconds())
        exchange.outcome, exchange.reply = MISSED, Reply(status)

    def post(self, notice: Notice, after_s: float, retries_s: Sequence[float], deliver: Deliver) -> None:
        """Logs a notification, and delivers it as the scenario wants."""
        entry = self.log.sent(notice, self.clock.seconds())
        self._deliver_again = deliver

        def send(notice: Notice, after_s: float, retries_s: Sequence[float]) -> None:
            deliver(notice, after_s=after_s, retries_s=retries_s, outcome=entry.tries.append)

        do: dict[str, Any] = {}
        if self.player is not None:
            headers = {name.lower(): value for name, value in notice.headers.items()}
            facts = self.player.facts(Call(notice.method, notice.path, "", headers, notice.body))
            now = self.clock.now()
            fired = self.player.fire(facts, f"notification {notice.path}", now)
            entry.rules = [track.rule.name for track in fired]
            for track in fired:
                do |= track.does(now)
        self._fate.deliver(do, notice, after_s, retries_s, send)

    def send_again(self, number: int) -> bool:
        """Sends a logged notification once more, the same bytes; False if it is not in the log."""
        entry = self.log.notice(number)
        if entry is None:
            return False
        self._deliver_again(entry.notice, after_s=0.0, retries_s=(), outcome=entry.tries.append)
        return True
