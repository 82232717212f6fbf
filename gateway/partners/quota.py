"""Calls a second at a partner: each takes its turn when it leaves, and all workers of all nodes count together.

The count is in Redis (`quota.lua`): no second, wherever it begins, holds more calls than the partner allows. A turn is
good for a moment only; what has not left by then gives it back and takes another. A partner that says "too many"
halves the rate, which then climbs again, for everybody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from pathlib import Path

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.partner import Manifest
from contracts.quotas import quota_of
from gateway.clock import Clock

MOST_WAIT_S = 4.0
"""Whoever waits longer for a turn is told that there is none: a call's time-outs and deadlines are short."""
MOST_AHEAD = 32
"""Turns taken beyond those that wait, where the quota is so far away that nobody else misses them."""
ALONE_SHARE = 0.25
"""What one worker allows itself of a quota while Redis cannot be asked: others may be doing the same."""
ASK_AGAIN_S = 2.0
SECOND_S = 1.0
SOON_S, LATE_S = 0.012, 0.25
"""So long a turn is good at least, and at most: a process that is slower than that to use it asks for longer ones, each
of which takes as much more of the quota.
"""
SLOWER, CALMER = 2.0, 0.97
"""By how much the next ones are good for longer where one came too late, and shorter with each question."""
CONNECT_STEP_S = 0.002
"""How far each call moves what is known of how long connecting takes: up or down, so that half of them take longer."""
SCRIPT = (Path(__file__).parent / "quota.lua").read_text()
_log = structlog.get_logger(__name__)


class NoTurn(Exception):
    """There is no turn within `MOST_WAIT_S`."""


class Lot:
    """Turns that were granted together; not good any more after `until` (monotonic)."""

    __slots__ = ("late", "left", "stamp", "until")

    def __init__(self, left: int, stamp: str, until: float) -> None:
        self.left = left
        self.stamp = stamp
        self.until = until
        self.late = False
        """Whether one of them was wanted and could not be used in time."""


class Turn:
    """One call's."""

    __slots__ = ("_clock", "_looked", "_lot", "_quota")

    def __init__(self, quota: Turns, lot: Lot, clock: Clock) -> None:
        self._quota = quota
        self._lot = lot
        self._clock = clock
        self._looked = lot.until

    def good(self) -> bool:
        """Whether the call may leave this moment."""
        self._looked = self._clock.monotonic()
        return self._looked < self._lot.until

    def give_back(self) -> None:
        """The call does not leave."""
        self._quota.returned(self._lot)

    def gone(self) -> None:
        """The call has left, just now."""
        self._quota.gone(self._lot, self._looked)


class Turns:
    """One quota of a partner; `name` is the same in all processes, `per_s` more than 0."""

    def __init__(
        self,
        redis: Redis | None,
        name: str,
        per_s: float,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._script = None if redis is None else redis.register_script(SCRIPT)
        self._keys = (f"quota:{name}", f"quota:{name}:calls", "quota:since")
        self.name = name
        self.per_s = per_s
        self.rate = per_s
        """Calls a second at present, as far as this process knows."""
        self._clock = clock
        self._sleep = sleep
        self._waiting: tuple[deque[asyncio.Future[Turn]], deque[asyncio.Future[Turn]]] = (deque(), deque())
        self._held: deque[Lot] = deque()
        self._unused: dict[str, int] = {}
        self._asking: asyncio.Task[None] | None = None
        self._late = 0
        """How many calls left when their turn was over, and nobody has been told yet."""
        self._telling: asyncio.Task[None] | None = None
        self._lost_redis = False
        self._ask_at = 0.0
        self._soon_s = SOON_S
        """How long a turn must be good for this process to use it, as lately seen."""
        self._connect_s = 0.0
        """How long after its last look every other call leaves: about nothing over kept connections."""
        self._own: deque[float] = deque()
        """When the calls of its own share leave at the latest, oldest first."""
        self._own_from = 0.0

    async def turn(self, *, first: bool = False) -> Turn:
        """Wait for a turn; `first`: before those who only ask. Raises `NoTurn`."""
        if not self._asking and (turn := self._in_hand()) is not None:
            return turn
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting[0 if first else 1].append(future)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_for_all(), name=f"quota:{self.name}")
        try:
            async with self._clock.timeout(MOST_WAIT_S):
                return await future
        except TimeoutError:
            raise NoTurn(f"the quota of {self.rate:g} calls a second leaves no room") from None
        finally:
            if future.cancelled() or not future.done():
                future.cancel()

    def returned(self, lot: Lot) -> None:
        """A turn that was not used; the next question takes it along."""
        if self._clock.monotonic() >= lot.until:
            self._too_late(lot)
        if lot.stamp:
            self._unused[lot.stamp] = self._unused.get(lot.stamp, 0) + 1

    def gone(self, lot: Lot, looked: float) -> None:
        """A call left. Between its last look and the socket a process may stand still, or connect: a call that left
        when its turn was over counts once more, as of now, before a second after its turn is over. Where a partner
        closes each connection that would take half of the quota: turns become good for as long as connecting takes.
        """
        now = self._clock.monotonic()
        slow = now - looked > max(SOON_S, self._connect_s)
        self._connect_s = min(LATE_S, max(0.0, self._connect_s + (CONNECT_STEP_S if slow else -CONNECT_STEP_S)))
        if now < lot.until:
            return
        if not lot.stamp:
            self._own.append(now)
            return
        self._late += 1
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(), name=f"quota:{self.name}:late")

    async def refused(self, retry_after_s: float | None) -> float:
        """The partner said that there were too many; returns the rate from now on. Without Redis this process slows
        down alone.
        """
        try:
            answer = await self._eval("refused", str(retry_after_s or 0.0))
        except RedisError as error:
            self._lost(error, self._clock.monotonic())
            self._own_from = max(self._own_from, self._clock.monotonic() + (retry_after_s or SECOND_S))
            return self.per_s * ALONE_SHARE
        self.rate = float(answer[4])
        for lot in self._held:
            self._unused[lot.stamp] = self._unused.get(lot.stamp, 0) + lot.left
        self._held.clear()
        return self.rate

    async def _tell(self) -> None:
        """That calls left late, at once: whoever waits for turns may ask again only when a second is over."""
        try:
            while self._late:
                late, self._late = self._late, 0
                await self._eval("0", "0", "0", str(late))
        except RedisError as error:
            self._lost(error, self._clock.monotonic())
        finally:
            self._telling = None

    def _too_late(self, lot: Lot) -> None:
        """It was over before it could be used: the next ones are good for longer."""
        if not lot.late:
            lot.late = True
            self._soon_s = min(LATE_S, self._soon_s * SLOWER)

    def _in_hand(self) -> Turn | None:
        now = self._clock.monotonic()
        while self._held:
            lot = self._held[0]
            if lot.left and now < lot.until:
                lot.left -= 1
                return Turn(self, lot, self._clock)
            self._held.popleft()
            if lot.left and lot.stamp:
                self._unused[lot.stamp] = self._unused.get(lot.stamp, 0) + lot.left
        return None

    def _next(self) -> asyncio.Future[Turn] | None:
        for queue in self._waiting:
            while queue:
                future = queue.popleft()
                if not future.done():
                    return future
        return None

    async def _ask_for_all(self) -> None:
        """One question at a time for all that wait."""
        try:
            while True:
                wanted = sum(not future.done() for queue in self._waiting for future in queue)
                if not wanted:
                    return
                wait_s = await self._fetch(wanted + min(MOST_AHEAD, int(self.rate * 0.005)))
                while self._held and (future := self._next()) is not None:
                    newest = self._held[-1]
                    turn = self._in_hand()
                    if turn is None:
                        if newest.left:
                            self._too_late(newest)
                        self._waiting[0].appendleft(future)
                        break
                    future.set_result(turn)
                if wait_s > 0.0:
                    await self._sleep(wait_s)
        except BaseException as error:
            while (future := self._next()) is not None:
                future.set_exception(error if isinstance(error, Exception) else NoTurn("stopped"))
            raise
        finally:
            self._asking = None

    async def _fetch(self, wanted: int) -> float:
        """Take up to so many turns; returns how long to wait before more are asked for."""
        began = self._clock.monotonic()
        if self._script is None or began < self._ask_at:
            return self._from_own_share(began)
        back, self._unused = self._unused, {}
        was_lost, soon = str(int(self._lost_redis)), f"{(self._soon_s + 2 * self._connect_s) * 1000:.3f}"
        self._soon_s = max(SOON_S, self._soon_s * CALMER)
        try:
            answer = await self._eval(
                str(wanted), was_lost, soon, "0", *(text for pair in back.items() for text in map(str, pair))
            )
        except RedisError as error:
            self._lost(error, began)
            return self._from_own_share(self._clock.monotonic())
        self.rate, self._lost_redis = float(answer[4]), False
        self._own.clear()
        if int(answer[0]):
            self._held.append(Lot(int(answer[0]), answer[1].decode(), began + float(answer[2]) / 1000))
        return min(float(answer[3]) / 1000, SECOND_S)

    async def _eval(self, *words: str) -> list[bytes]:
        assert self._script is not None
        answer: list[bytes] = await self._script(keys=self._keys, args=[str(self.per_s), *words])
        return answer

    def _lost(self, error: RedisError, asked_at: float) -> None:
        """Redis could not be asked. The own share begins when it cannot be asked again either: by then the others know,
        and what was granted last has left.
        """
        _log.warning("quota_without_redis", quota=self.name, error=type(error).__name__)
        if not self._lost_redis:
            self._lost_redis, self._own_from = True, asked_at + ASK_AGAIN_S
        self._ask_at = asked_at + ASK_AGAIN_S
        self._unused.clear()

    def _from_own_share(self, now: float) -> float:
        """One call at a time: of four workers each has a quarter."""
        per_s = self.per_s * ALONE_SHARE
        span_s = max(SECOND_S, 1.0 / per_s)
        while self._own and self._own[0] <= now - span_s:
            self._own.popleft()
        if now < self._own_from:
            return min(self._own_from - now, SECOND_S)
        if len(self._own) >= max(1, int(per_s)):
            return max(0.001, self._own[0] + span_s - now)
        self._own.append(now + self._soon_s)
        self._held.append(Lot(1, "", now + self._soon_s))
        return 0.0


STANDING_S, MOST_STANDING = 0.25, 256
"""What is begun ahead of its first call: what leaves in so much time."""


class Piece:
    """One piece of work that was let in, until its first call has left or it has ended."""

    def __init__(self, room: Room) -> None:
        self._room: Room | None = room

    def gone(self) -> None:
        """It waits no longer."""
        room, self._room = self._room, None
        if room is not None:
            room.leave()


PIECE: ContextVar[Piece | None] = ContextVar("PIECE", default=None)
"""Of which piece of work the calls of this task are."""


class Room:
    """How many pieces of work may stand before their first call: as many as leave in a part of a second."""

    def __init__(self, quotas: Sequence[Turns]) -> None:
        self._quotas = quotas
        self._inside = 0
        self._free = asyncio.Event()

    @property
    def free(self) -> int:
        """How many more may come in now."""
        return max(0, self._most() - self._inside)

    async def wait(self) -> None:
        """Wait until some more may come in: a half of all, so that they are fetched together."""
        while self.free < max(1, self._most() // 2):
            self._free.clear()
            await self._free.wait()

    def enter(self) -> Piece:
        """One more stands there."""
        self._inside += 1
        return Piece(self)

    def _most(self) -> int:
        return max(2, min(MOST_STANDING, int(min(quota.rate for quota in self._quotas) * STANDING_S)))

    def leave(self) -> None:
        """One of them stands there no longer."""
        self._inside -= 1
        self._free.set()


class Quotas:
    """All quotas of one partner: which one each operation takes its turns of."""

    def __init__(self, redis: Redis | None, manifest: Manifest, agreed_per_s: float | None, clock: Clock) -> None:
        self._redis = redis
        self._manifest = manifest
        self._agreed_per_s = agreed_per_s
        self._clock = clock
        self._quotas: dict[str, Turns] = {}
        self._by_operation: dict[str, Turns] = {}

    def of(self, operation: str) -> Turns:
        """The quota that an operation (`Request.operation`) counts to."""
        known = self._by_operation.get(operation)
        if known is not None:
            return known
        declared = quota_of(self._manifest, operation)
        agreed = self._agreed_per_s
        name = self._manifest.slug if agreed is not None else f"{self._manifest.slug}:{','.join(declared.operations)}"
        if name not in self._quotas:
            self._quotas[name] = Turns(self._redis, name, agreed or declared.per_s, self._clock)
        self._by_operation[operation] = self._quotas[name]
        return self._quotas[name]

    def room(self, family: str) -> Room:
        """For pieces of work that call operations that begin with `family`: as fast as the slowest of them may go."""
        named = {name for quota in self._manifest.quotas for name in quota.operations if name.startswith(family)} or {
            family
        }
        return Room([self.of(name) for name in sorted(named)])
