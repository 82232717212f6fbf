"""The mock partners of one seed, in process and under its clock, and what their customers do there."""

from __future__ import annotations

import heapq
import re
from collections.abc import Awaitable, Callable
from typing import Any

from mock_partners.kit.clock import Clock, Item, Scheduler
from mock_partners.kit.host import package
from mock_partners.kit.http import Call, Handler, MockApp, Reply, Route
from mock_partners.kit.notify import Notice
from mock_partners.kit.payouts import Duplicate, Payouts
from mock_partners.kit.waits import Waits
from mock_partners.kit.world import Account, World
from mock_partners.registry import PARTNERS
from tests.partners import each

MOCKS: dict[str, Any] = {name: package(name) for name in PARTNERS}
_STORIES = each("story")
PUBLIC = "https://gateway.test"
"""Where the gateway is, for browsers and notifications."""
Rest = Callable[[float], Awaitable[None]]
Send = Callable[[str, Notice], Awaitable[int | None]]


class StepScheduler(Scheduler):
    """The mock's later work, one item at a time; a nap hands the baton on."""

    def __init__(self, clock: Clock, rest: Rest) -> None:
        super().__init__(clock, auto=False)
        self._rest = rest

    async def sleep(self, delay_s: float) -> None:
        await self._rest(self.clock.seconds() + delay_s)

    def take(self) -> Item | None:
        """The next item if it is due; the caller runs it."""
        if not self._heap or self._heap[0].due_s > self.clock.seconds():
            return None
        return heapq.heappop(self._heap)

    async def run(self, item: Item) -> None:
        """What the item does."""
        await self._run(item)


class ForgetfulPayouts(Payouts):
    """A partner that forgets at 00:00 Jakarta which references it has booked, but for look-ups (such exist)."""

    def duplicate(self, reference: str, parameters: tuple[Any, ...]) -> Duplicate:
        known = self._payouts.get(reference)
        if known is not None and known.accepted_at.date() != self._clock.today():
            return Duplicate.NEW
        return super().duplicate(reference, parameters)


class PartnerSide:
    """One partner: its world, its app's handlers, whether it can be reached."""

    def __init__(self, slug: str, seed: int, clock: Clock, rest: Rest, send: Send, *, forgets: bool) -> None:
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
        waits = Waits()
        if forgets:
            self.world.keep("payouts", lambda: ForgetfulPayouts(self.world, clock, self.scheduler, waits))
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

    async def answer(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Reply:
        """What the partner does with a request and says to it; raises `Abort` where it loses its answer."""
        path, _, query = target.partition("?")
        for wanted, pattern, handler in self._routes:
            found = pattern.fullmatch(path) if wanted == method else None
            if found is not None:
                named = {"host": self.host, "content-length": str(len(content)), **headers}
                return await handler(Call(method, path, query, named, content, found.groupdict()))
        return Reply(404, b'{"error":"no such path"}', {"Content-Type": "application/json"})

    async def revoke(self, account: Account) -> bool:
        """The customer ends the link in the partner's own app; False: there is none."""
        return bool(await _STORIES[self.slug].revoke(self, account))


def _compiled(route: Route) -> tuple[str, re.Pattern[str], Handler]:
    pattern = re.sub(r"\{(\w+):str\}", r"(?P<\1>[^/]+)", route.path)
    return route.method, re.compile(pattern), route.handler
