"""Runs one partner's mock and can start it anew: what `mock-partners serve` and the pytest plug-in stand on."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from mock_partners.kit.backstage import Backstage
from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.http import MockApp
from mock_partners.kit.notify import Send
from mock_partners.kit.scenario import Scenario, ScenarioError, parse_scenario
from mock_partners.kit.scenario.reach import reach_problems
from mock_partners.kit.scenario.routes import operation_problems
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import World, parse_worlds
from mock_partners.registry import PARTNERS


def package(name: str) -> Any:
    """A partner's package, imported only when it is needed."""
    return importlib.import_module(f"mock_partners.{name}")


def read_scenario(
    text: str, name: str = "scenario", *, partners: Sequence[str] = tuple(PARTNERS), more: Sequence[str] = ()
) -> Scenario:
    """The scenario in a TOML text; an operation that none of `partners` has, nor `more` names, is a problem too."""
    scenario = parse_scenario(text, name)
    known = {partner: (*operations(partner), *more) for partner in partners}
    found = operation_problems(scenario, known, name) or reach_problems(scenario, known, name)
    if found:
        raise ScenarioError(found)
    return scenario


@cache
def operations(name: str) -> tuple[str, ...]:
    """What a partner's mock answers beside the control API."""
    return Mock(World(name), waits=Waits(), notify_base="http://127.0.0.1").backstage.operations


class Mock:
    """One partner's mock as an ASGI application. A reset gives it a new world, clock, log and scheduler.

    The scenario stays set over a reset, with fresh counts; so does what `world` the mock was begun with.
    """

    def __init__(
        self, world: World, *, waits: Waits, notify_base: str, scenario: Scenario | None = None,
        send: Send | None = None, source: Callable[[], float] | None = None, auto: bool = True,
    ) -> None:  # fmt: skip
        self.name = world.partner
        self._first = copy.deepcopy(world)
        self._waits, self._notify_base, self._send, self._auto = waits, notify_base, send, auto
        self._source = source
        self._begin(world, scenario)

    def _begin(self, world: World, scenario: Scenario | None) -> None:
        self.clock = Clock(self._source) if self._source is not None else Clock()
        self.scheduler = Scheduler(self.clock, auto=self._auto)
        self.world = world
        self.app: MockApp = package(self.name).create_app(
            world, clock=self.clock, scheduler=self.scheduler, waits=self._waits, notify_base=self._notify_base,
            send=self._send,
        )  # fmt: skip
        self.backstage: Backstage = world.keep("backstage", _none)
        self.backstage.reset = self.reset
        self.set_scenario(scenario)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    @property
    def scenario(self) -> Scenario | None:
        player = self.backstage.player
        return player.scenario if player is not None else None

    def set_scenario(self, scenario: Scenario | None) -> None:
        """Begins a scenario, or ends the one there is."""
        self.backstage.set_scenario(scenario)

    async def reset(self, rows: str | None = None) -> None:
        """Starts anew on the world in the text of a world.csv, or on the first one; what was due is dropped."""
        scenario = self.scenario
        world = copy.deepcopy(self._first)
        if rows is not None:
            now: datetime = Clock(self._source).now() if self._source is not None else Clock().now()
            given = parse_worlds(rows, "world", deposits={self.name: world.deposit_rupiah}, seed=world.seed, at=now)
            world = given[self.name]
        await self.scheduler.close()
        self._begin(world, scenario)


def _none() -> Backstage:
    raise AssertionError("a mock's app has no control routes")
