"""Delivers events to webhook endpoints: each at least once, in order per subject, no endpoint at another's cost.

An endpoint's place in the events moves a page at a time; what it did not take waits in a row of its own, and what comes
after it for the same subject waits behind it. While an endpoint fails, its place stays: nothing piles up.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec
import structlog

from contracts.events import EventType
from gateway.clock import Clock
from gateway.cursors import cursor_of
from gateway.logs import frames
from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.messages.post import Delivery, Post
from gateway.storage.base.database import Database
from gateway.storage.messages import events, webhooks
from gateway.storage.messages.events import Event
from gateway.storage.messages.webhooks import EndpointRow, Place, Served, Waiting

ENDPOINTS_AT_ONCE = 64
"""Endpoints that one process serves side by side."""
CALLS_AT_ONCE = 8
"""Calls to one endpoint side by side, each for another subject."""
PAGE = 200
MOST_WAITING = 5_000
"""Deliveries that may wait for one endpoint; then its place in the events stays, and the oldest are given up."""
BUDGET_S = 20.0
"""How long an endpoint is served before its place is kept."""
LEASE = timedelta(seconds=90)
GIVE_UP = timedelta(hours=72)
GIVE_UP_EARLY = timedelta(hours=1)
"""Where so many wait that the others could not go on."""
DISABLE_AFTER = timedelta(days=5)
KEEP_DEAD = timedelta(days=30)
_FIRST_S, _MOST_S, _REST_MOST_S = 5.0, 43_200.0, 300.0
_PURGE_EVERY_S = 60.0
_GIVEN_UP = 1_000
"""At once, each second at most."""
_GONE = 410
_log = structlog.get_logger(__name__)


def backoff_s(tries: int) -> float:
    """Until the next try of one delivery: 5 s, three times as long each time, 12 hours at most."""
    return min(_FIRST_S * 3.0 ** min(tries - 1, 20), _MOST_S)


def message_id(place: Place) -> str:
    """The same for every try of an event."""
    return f"msg_{place[0]}_{place[1]}"


def body_of(event: Event) -> bytes:
    """The event as it is sent; `timestamp` is the time of the fact."""
    cursor = cursor_of(event.tx, event.seq)
    return msgspec.json.encode(
        {"type": event.type, "timestamp": event.at, "data": event.data, "subject": event.subject, "cursor": cursor}
    )


def secrets_of(vault: Vault, row: EndpointRow, now: datetime) -> list[str]:
    """The secrets that sign: during a rotation two."""
    found = [vault.open(places.webhook_secret(row.id), row.secret_sealed)]
    if row.old_secret_sealed is not None and row.old_until is not None and row.old_until > now:
        found.append(vault.open(places.webhook_secret(row.id), row.old_secret_sealed))
    return found


Call: TypeAlias = tuple[Place, Event | None, Waiting | None]
"""What to deliver; None: the event is no longer kept, and: it did not wait before."""


class _Round:
    """One endpoint, served for a while."""

    def __init__(self, deliverer: Deliverer, row: EndpointRow, by: str) -> None:
        self._deliverer, self._row, self.by = deliverer, row, by
        now = deliverer.clock.now()
        self._secrets = secrets_of(deliverer.vault, row, now)
        self._seats = asyncio.Semaphore(CALLS_AT_ONCE)
        self._ends_s = deliverer.clock.monotonic() + BUDGET_S
        self.delivered: list[Place] = []
        self.waits: list[Waiting] = []
        self.failing_since = row.failing_since
        self.failures = row.failures
        self.error = row.last_error
        self.gone = False
        self.wait_s = 0.0
        """How long the endpoint has asked to be left alone."""
        self._vain = 0
        """Failures in a row, in this round."""

    def over(self) -> bool:
        """Whether nothing more is to be tried in this round."""
        enough = self._vain >= CALLS_AT_ONCE or self.gone or self.wait_s > 0
        return enough or self._deliverer.clock.monotonic() > self._ends_s

    async def lane(self, subject: str, queue: Sequence[Call]) -> None:
        """One subject's events in order; the first that is not taken keeps the rest waiting."""
        blocked = False
        for place, event, before in queue:
            async with self._seats:
                clock = self._deliverer.clock
                if event is None:  # purged: there is nothing left to tell
                    self.delivered.append(place)
                    continue
                if blocked or self.over():
                    blocked = True
                    if before is None:
                        self._keep(place, subject, 0, clock.now(), clock.now(), None)
                    continue
                answer = await self._deliverer.call(self._row, self._secrets, place, event)
                blocked = not self._heard(place, subject, before, answer)

    def _heard(self, place: Place, subject: str, before: Waiting | None, answer: Delivery) -> bool:
        now = self._deliverer.clock.now()
        if answer.error is None:
            self.delivered.append(place)
            self.failing_since, self.failures, self.error, self._vain = None, 0, None, 0
            return True
        self.failing_since = self.failing_since or now
        self.failures += 1
        self._vain += 1
        self.error = answer.error
        self.gone = self.gone or answer.status == _GONE
        self.wait_s = max(self.wait_s, min(answer.wait_s, _MOST_S))
        tries, since = (before.tries + 1, before.since) if before else (1, now)
        dead = now - since >= GIVE_UP
        again = now + timedelta(seconds=max(backoff_s(tries), self.wait_s))
        again = min(again, max(since + GIVE_UP, now))  # a last try when time is up
        self._keep(place, subject, tries, since, again, now if dead else None)
        return dead  # given up: what waits behind it goes on

    def _keep(
        self, place: Place, subject: str, tries: int, since: datetime, next_at: datetime, dead_at: datetime | None
    ) -> None:
        self.waits.append(
            Waiting(
                tx=place[0], seq=place[1], subject=subject, tries=tries, since=since, next_at=next_at, dead_at=dead_at,
                error=self.error,
            )
        )  # fmt: skip


class Deliverer:
    """The worker's part: takes endpoints that something is due to, and serves each in a task of its own."""

    def __init__(self, database: Database, clock: Clock, vault: Vault, post: Post, *, name: str) -> None:
        """`name`: of this process, unlike all others'."""
        self.clock, self.vault = clock, vault
        self._database, self._post, self._name = database, post, name
        self._serving: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._leases = 0
        self._purged_s = float("-inf")

    async def tick(self) -> int:
        """Take what is due and begin with it; how many endpoints were taken. Waits for none of them."""
        self._serving = {key: task for key, task in self._serving.items() if not task.done()}
        room = ENDPOINTS_AT_ONCE - len(self._serving)
        now = self.clock.now()
        if room <= 0:
            return 0
        async with self._database.connection() as connection:
            self._leases += 1
            by = f"{self._name}.{self._leases}"  # one that was taken away and given again is another lease
            rows = await webhooks.lease(connection, now, now + LEASE, by, room)
        for row in rows:
            self._serving[row.id, by] = asyncio.create_task(self._serve(row, by))
        if self.clock.monotonic() - self._purged_s > _PURGE_EVERY_S:
            self._purged_s = self.clock.monotonic()
            async with self._database.connection() as connection:
                await webhooks.purge(connection, now, KEEP_DEAD, 1_000)
        return len(rows)

    async def settle(self) -> None:
        """Wait for what has been begun."""
        await asyncio.gather(*self._serving.values())

    async def close(self) -> None:
        """Finish what is in flight, within its time-outs."""
        if self._serving:
            _, left = await asyncio.wait(self._serving.values(), timeout=BUDGET_S)
            for task in left:
                task.cancel()
        await self._post.close()

    async def call(self, row: EndpointRow, secrets: Sequence[str], place: Place, event: Event) -> Delivery:
        """One event to one endpoint."""
        return await self._post.send(row.url, secrets, message_id(place), self.clock.now(), body_of(event))

    async def _serve(self, row: EndpointRow, by: str) -> None:
        try:
            await self._serve_once(row, by)
        except Exception as error:  # noqa: BLE001 - one endpoint's trouble is no other's; the lease runs out
            _log.error("webhooks_not_served", endpoint=row.id, error=type(error).__name__, frames=frames(error))

    async def _serve_once(self, row: EndpointRow, by: str) -> None:
        now = self.clock.now()
        failing = row.failing_since is not None
        async with self._database.connection() as connection:
            due = await webhooks.due(connection, row.id, now, 1 if failing else PAGE)
            waiting = Counter(await webhooks.subjects_waiting(connection, row.id))
        turn = _Round(self, row, by)
        lanes: dict[str, list[Call]] = {}
        for one, event in due:
            lanes.setdefault(one.subject, []).append(((one.tx, one.seq), event, one))
        await asyncio.gather(*(turn.lane(subject, queue) for subject, queue in lanes.items()))
        settled = {*turn.delivered, *((one.tx, one.seq) for one in turn.waits if one.dead_at is not None)}
        waiting -= Counter(one.subject for one, _ in due if (one.tx, one.seq) in settled)
        place, replayed, full = (row.tx, row.seq), None, waiting.total() >= MOST_WAITING
        if row.replay_tx is not None and row.replay_seq is not None:
            replayed = (row.replay_tx, row.replay_seq)
        # While it fails, or no more may wait, one delivery that waits tries it again now and then, and one that is new:
        # it may be that only what waits is refused, as often as it is sent, and everything else would wait for that.
        if not turn.over() or not waiting:
            if replayed is not None:
                replayed = await self._page(turn, row, replayed, waiting, _until(row), full=full)
            else:
                while (moved := await self._page(turn, row, place, waiting, None, full=full)) is not None:
                    place = moved
                    if turn.delivered or turn.waits or turn.over():
                        break  # else they were all others': it lags behind by no round of ours for each page of those
        await self._keep(row, turn, place, replayed, full=full)

    async def _page(
        self, turn: _Round, row: EndpointRow, after: Place, waiting: Counter[str], until: Place | None, *, full: bool
    ) -> Place | None:
        """Deliver the next page, of a failing or `full` endpoint one event, and say where it ends; None: there was
        nothing (more) to deliver.
        """
        async with self._database.connection() as connection:
            page = await events.read_after(connection, *after, PAGE, organisation=row.organisation)
        wanted = [one for one in page if until is None or (one.tx, one.seq) <= until]
        ended = until is not None and (len(wanted) < len(page) or not page)
        lanes: dict[str, list[Call]] = {}
        now = self.clock.now()
        retried = set(turn.delivered)
        for number, event in enumerate(wanted, 1):
            place = (event.tx, event.seq)
            if not event.mine or row.types and event.type not in row.types or place in retried:
                continue
            if event.subject in waiting:
                turn.waits.append(
                    Waiting(tx=event.tx, seq=event.seq, subject=event.subject, tries=0, since=now, next_at=now)
                )
            else:
                lanes.setdefault(event.subject, []).append((place, event, None))
            if full or lanes and turn.failing_since is not None:
                ended, wanted = ended and number == len(wanted), wanted[:number]
                break
        await asyncio.gather(*(turn.lane(subject, queue) for subject, queue in lanes.items()))
        if ended:
            return None
        return (wanted[-1].tx, wanted[-1].seq) if wanted else None

    async def _keep(self, row: EndpointRow, turn: _Round, place: Place, replayed: Place | None, *, full: bool) -> None:
        now = self.clock.now()
        tried = bool(turn.delivered) or turn.failures > row.failures  # else only events of others were passed by
        because = "gone" if turn.gone else None
        if tried and turn.failing_since is not None and now - turn.failing_since >= DISABLE_AFTER:
            because = "failing"
        rest_s = min(2.0 ** min(turn.failures, 10), _REST_MOST_S) if turn.failing_since and tried else float(full)
        rest_s = max(rest_s, turn.wait_s)
        after = Served(
            place=place, failing_since=turn.failing_since, failures=turn.failures, error=turn.error,
            next_at=now + timedelta(seconds=rest_s), disabled_because=because,
        )  # fmt: skip
        async with self._database.transaction() as connection:
            if not await webhooks.served(connection, row.id, turn.by, after, now):
                _log.warning("webhooks_taken_over", endpoint=row.id)
                return
            if row.replay_tx is not None:
                await webhooks.replayed(connection, row, replayed)
            await webhooks.delivered(connection, row.id, turn.delivered)
            await webhooks.wait(connection, row.id, turn.waits)
            if full and turn.failing_since is None:  # it takes others, which these keep waiting
                await webhooks.give_up(connection, row.id, now - GIVE_UP_EARLY, now, _GIVEN_UP)
            if because is not None:
                data = {"webhook_endpoint_id": row.id, "because": because, "last_error": turn.error}
                await events.emit(connection, now, [(EventType.WEBHOOK_DISABLED, row.id, data)])
                _log.warning("webhook_disabled", endpoint=row.id, because=because)


def _until(row: EndpointRow) -> Place:
    return row.until_tx or 0, row.until_seq or 0
