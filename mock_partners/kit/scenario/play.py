"""Plays a scenario at one mock: finds the rules that a call fires, and gives the call the fate they describe."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.http import Abort, Call, HangUp, Reply, Route, Wire, gated_service
from mock_partners.kit.scenario.answers import changed, instead, page, refused_token
from mock_partners.kit.scenario.deeds import ACCOUNT_ATOMS, do_deeds, nik_on_file
from mock_partners.kit.scenario.facts import Facts, Handles
from mock_partners.kit.scenario.matching import Track
from mock_partners.kit.scenario.model import START, Scenario
from mock_partners.kit.scenario.statements import statement
from mock_partners.kit.scenario.vocabulary import LATER_S
from mock_partners.kit.turn import NOTHING, Turn
from mock_partners.kit.world import World

INSTEAD = frozenset({"code", "status", "body", "cut_off"})


class Player:
    """One scenario at one mock. Its draws and counts are its own: the world's tokens and references stay the same."""

    def __init__(self, scenario: Scenario, world: World, clock: Clock, scheduler: Scheduler) -> None:
        self.scenario = scenario
        self.state = START
        self._world, self._clock, self._scheduler = world, clock, scheduler
        self.tracks = [
            Track(rule, random.Random(f"{scenario.seed}:{world.partner}:{rule.name}"), begun_s=clock.seconds())
            for rule in scenario.of(world.partner)
        ]
        self._handles = Handles()
        self._learns = any(
            {"account", "crowd"} & rule.when.keys()
            or rule.when.get("per") == "account"
            or ACCOUNT_ATOMS & rule.do.keys()
            for rule in (track.rule for track in self.tracks)
        )
        self._previous: dict[str, Reply] = {}
        self._arrivals: dict[str, deque[float]] = {}

    def fire(self, facts: Facts, where: str, now: datetime) -> list[Track]:
        """The rules that fire, in file order; the first `goto` among them sets the state for the next call."""
        state = self.state
        fired = [track for track in self.tracks if track.fires(facts, where, state, now)]
        self.state = next((track.rule.do["goto"] for track in fired if "goto" in track.rule.do), state)
        return fired

    def facts(self, call: Call) -> Facts:
        return Facts(call, self._world, self._handles)

    def learn_from(self, exchanges: Iterable[tuple[Call, Reply | None]]) -> None:
        """Learns from earlier calls which references and tokens belong to which account."""
        if self._learns:
            for call, reply in exchanges:
                self.facts(call).learn(reply)

    async def play(self, route: Route, call: Call, turn: Turn) -> Reply:
        """Serves a call under the rules that it fires."""
        facts, now = self.facts(call), self._clock.now()
        fired = self.fire(facts, route.operation, now)
        turn.rules = [track.rule.name for track in fired]
        do: dict[str, Any] = {}
        for track in fired:
            do |= track.does(now)
        reply = await (self._perform(route, facts, do, turn) if do else route.handler(call))
        if self._learns:
            facts.learn(reply)
        self._previous[route.operation] = reply
        return reply

    async def _perform(self, route: Route, facts: Facts, do: dict[str, Any], turn: Turn) -> Reply:
        if "advance_clock_s" in do:
            await self._advance(do["advance_clock_s"])
        do_deeds(do, facts, self._world)
        stopped = self._at_the_door(route, facts, do)
        if stopped is not None:
            return stopped
        if "delay_s" in do:
            await self._scheduler.sleep(do["delay_s"])
        if do.get("drop_before_booking"):
            raise Abort
        reply = changed(do, await self._work(route, facts, do, turn))
        if do.get("repeat_previous_answer"):
            reply = self._previous.get(route.operation, reply)
        if "slow_answer_s" in do:
            await self._scheduler.sleep(do["slow_answer_s"])
        if do.get("drop_after_booking"):
            raise Abort
        if do.get("close_without_answer"):
            raise HangUp
        if "trickle_s" in do or "cut_answer" in do:
            wire = Wire(do.get("trickle_s", 0.0), do.get("cut_answer", False), self._scheduler.sleep)
            reply = Reply(reply.status, reply.body, reply.headers, wire)
        return reply

    async def _work(self, route: Route, facts: Facts, do: dict[str, Any], turn: Turn) -> Reply:
        """The work with a scenario's effects on it, or the answer that stands in its place."""
        now = self._clock.now()
        effects = dict(do)
        later_s = max((seconds for name, seconds in LATER_S.items() if do.get(name)), default=0.0)
        if later_s:
            effects["later_s"] = later_s
        change = statement(do, now, self.scenario.seed)
        if change is not None:
            effects["statement"] = change
        replaced = bool(INSTEAD & do.keys())
        if replaced and not do.get("booked"):
            if gated_service(route.handler) is None:
                return instead(do, facts, now, "00")
            effects["instead"] = lambda service: instead(do, facts, now, service)
        turn.effects = effects
        try:
            with nik_on_file(do, facts):
                reply = await route.handler(facts.call)
        finally:
            turn.effects = NOTHING
        if replaced and do.get("booked"):
            return instead(do, facts, now, _service_of(reply))
        return reply

    def _at_the_door(self, route: Route, facts: Facts, do: Mapping[str, Any]) -> Reply | None:
        """An answer that comes before any check, or None."""
        if "rate_limit" in do and self._too_many(route.operation, do["rate_limit"]):
            wait = str(do["rate_limit"].get("retry_after_s", 1))
            service = gated_service(route.handler) or "00"
            too_many = {"code": "429xx00", "message": "Too Many Requests", "headers": {"Retry-After": wait}}
            return instead(too_many, facts, self._clock.now(), service)
        if "refuse_token" in do:
            return refused_token(do["refuse_token"], gated_service(route.handler) or "00", self._clock.now())
        if "outage" in do:
            return page(do["outage"])
        return page("maintenance") if do.get("maintenance") else None

    def _too_many(self, operation: str, limit: Mapping[str, Any]) -> bool:
        """More than so many calls within so many seconds of the partner's clock; refused calls do not count."""
        now_s = self._clock.seconds()
        arrivals = self._arrivals.setdefault(operation, deque())
        while arrivals and arrivals[0] <= now_s - limit["per_s"]:
            arrivals.popleft()
        if len(arrivals) >= limit["calls"]:
            return True
        arrivals.append(now_s)
        return False

    async def _advance(self, seconds: float) -> None:
        """Moves the clock outside the call's own turn: what becomes due is no part of this call."""
        travel = self._scheduler.travel(self._clock.seconds() + seconds)
        await asyncio.create_task(travel, context=contextvars.Context())


def _service_of(reply: Reply) -> str:
    """The service code in an answer's own response code."""
    at = reply.body.find(b'"responseCode":"')
    return reply.body[at + 19 : at + 21].decode("ascii", "replace") if at >= 0 else "00"
