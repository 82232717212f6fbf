"""The mock partners of one seed, in process and under its clock, and what their customers do there."""

from __future__ import annotations

import heapq
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from mock_partners.gopay.payouts import Ledger, Status
from mock_partners.kit.clock import Item, Scheduler
from mock_partners.kit.host import package
from mock_partners.kit.http import Call, MockApp, Reply, Route
from mock_partners.kit.notify import Notice
from mock_partners.kit.scenario.play import Player
from mock_partners.kit.scenario.roles import concerns
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from mock_partners.registry import PARTNERS
from tests.partners import each
from tests.sim.manners import HOLES_S, DriftingClock, Manners, OddPayouts, in_turn, instruction_as_it_was

MOCKS: dict[str, Any] = {name: package(name) for name in PARTNERS}
_STORIES = each("story")
PUBLIC = "https://gateway.test"
"""Where the gateway is, for browsers and notifications."""
Rest = Callable[[float], Awaitable[None]]
Send = Callable[[str, Notice], Awaitable[int | None]]


class StepScheduler(Scheduler):
    """The mock's later work, one item at a time; a nap hands the baton on."""

    def __init__(self, clock: DriftingClock, rest: Rest) -> None:
        super().__init__(clock, auto=False)
        self._own, self._rest = clock, rest

    async def sleep(self, delay_s: float) -> None:
        await self._rest(self._own.real_seconds() + delay_s)

    def next_due_s(self) -> float | None:
        """By our clock, whatever the partner's shows."""
        due_s = super().next_due_s()
        return None if due_s is None else due_s - self._own.skew_s()

    def take(self) -> Item | None:
        """The next item if it is due; the caller runs it."""
        if not self._heap or self._heap[0].due_s > self.clock.seconds():
            return None
        return heapq.heappop(self._heap)

    async def run(self, item: Item) -> None:
        """What the item does."""
        await self._run(item)


class PartnerSide:
    """One partner: its world, its app's handlers, whether it can be reached."""

    def __init__(
        self, slug: str, seed: int, clock: DriftingClock, rest: Rest, send: Send, manners: Manners, *, forgets: bool
    ) -> None:
        self.slug = slug
        self.host = f"{slug}.mock"
        self.world = World(slug, seed=seed)
        self.on_taking: Callable[[], None] | None = None
        """Called when the request under way has money taken out of the deposit; once."""
        self._withdraw = self.world.withdraw
        self.world.withdraw = self._watched  # type: ignore[method-assign]
        self.scheduler = StepScheduler(clock, rest)
        self.down_until_s = 0.0
        self.down_how = "refuses"
        self.holes_until_s, self.holes_n = 0.0, 1
        """Until then its lists leave out every so many-th row."""
        self.had_holes = self.holes_armed = False
        """Armed: from the next list that is asked for."""
        self.then_pays: dict[str, float] = {}
        """References that it calls failed, and how long after that it pays them."""
        self.player: Player | None = None
        """What the seed's crowd is told there."""
        self._manners, self.behind = manners, manners.behind(slug)
        waits = Waits()
        if slug != "gopay":
            self.world.keep(
                "payouts",
                lambda: OddPayouts(
                    self.world, clock, self.scheduler, waits, forgets=forgets, then=self.then_pays, behind=self.behind
                ),
            )
        self.app: MockApp = MOCKS[slug].create_app(
            self.world, clock=clock, waits=waits, notify_base=PUBLIC, scheduler=self.scheduler, send=send
        )
        self._routes = [_compiled(route) for route in self.app.routes]
        self.clock = clock

    def _watched(self, amount_rupiah: int) -> bool:
        taken = self._withdraw(amount_rupiah)
        if taken and self.on_taking is not None:
            told, self.on_taking = self.on_taking, None
            told()
        return taken

    async def answer(
        self, method: str, target: str, headers: dict[str, str], content: bytes, moves: str | None = None
    ) -> Reply:
        """What the partner does with a request and says to it; raises `Abort` where it loses its answer. `moves`: the
        reference of the payout that it moves money for.
        """
        path, _, query = target.partition("?")
        for route, pattern in self._routes:
            found = pattern.fullmatch(path) if route.method == method else None
            if found is not None:
                named = {"host": self.host, "content-length": str(len(content)), **headers}
                if self.holes_armed and self.lists(path):
                    self.holes_armed, self.holes_until_s = False, self.clock.real_seconds() + HOLES_S
                call = Call(method, path, query, named, content, found.groupdict())
                with in_turn(self._manners.effects(self, moves)) as turn:
                    if self.player is not None:
                        return await self.player.play(route, call, turn)
                    return self._as_it_was(method, call, await route.handler(call))
        return Reply(404, b'{"error":"no such path"}', {"Content-Type": "application/json"})

    def lists(self, path: str) -> bool:
        """Whether it is of the partner's statement, by the word that its mock has for it."""
        statements = (way for route, way in self._routes if concerns("statement", route.operation))
        return any(way.fullmatch(path) for way in statements)

    def _as_it_was(self, method: str, call: Call, reply: Reply) -> Reply:
        """What a copy of Iris' books that is behind says to a look-up."""
        number = call.params.get("reference_no") if method == "GET" and reply.status == 200 else None
        if number is None or (behind_s := self.behind.looks_s()) == 0.0:
            return reply
        desk: Ledger = self.world.keep("gopay.payouts", Ledger)
        body = instruction_as_it_was(desk.payouts.get(number), reply.body, self.clock.now(), behind_s)
        return (
            Reply(404, b'{"error_message":"Payout not found"}', reply.headers)
            if body is None
            else replace(reply, body=body)
        )

    def ends(self, reference: str) -> None:
        """The partner's staff refuse what still stands unapproved under a reference."""
        if self.slug == "gopay":
            desk: Ledger = self.world.keep("gopay.payouts", Ledger)
            for payout in desk.payouts.values():
                if payout.reference == reference and payout.status is Status.QUEUED:
                    payout.status = Status.REJECTED

    async def revoke(self, account: Account) -> bool:
        """The customer ends the link in the partner's own app; False: there is none."""
        return bool(await _STORIES[self.slug].revoke(self, account))


def _compiled(route: Route) -> tuple[Route, re.Pattern[str]]:
    pattern = re.sub(r"\{(\w+):str\}", r"(?P<\1>[^/]+)", route.path)
    return route, re.compile(pattern)
