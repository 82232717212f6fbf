"""A core platform that reads nothing but events, and must end with exactly the state that the API shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import asyncpg

from adapters.registry import PARTNERS
from contracts.events import DATA, EventType
from gateway.services.intake.incentives import Incentives, IncentiveView
from gateway.storage.intake.incentives import IncentiveFilter
from gateway.storage.messages import events
from tests.gateway.messages.described import documented
from tests.sim.clock import VirtualClock
from tests.sim.town import Town

_PAGE, _MOST_WAITS = 7, 1_000
_DESCRIBED = documented()
_OWN_STEPS = ("reserved", "preparing", "prepared", "submitting")
"""Steps of the gateway's own before a partner's word: no event tells them apart (docs/events.md)."""


_BATCH = {"awaiting_approval": "batch.received", "approved": "batch.approved", "rejected": "batch.rejected"}


class Consumer:
    """What a reader of events makes of them, by the rules of docs/events.md."""

    def __init__(self) -> None:
        self.incentives: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, str] = {}
        self.links: dict[str, tuple[str, str | None]] = {}
        self.payouts: dict[str, str] = {}
        self.tried: dict[str, str] = {}
        """By incentive: what its last payout that was told of is."""
        self.accounts: dict[str, str] = {}
        self.verified: dict[str, str] = {}
        self.cases: set[str] = set()
        self.held: set[tuple[str, str]] = set()
        self.unread: set[str] = set()

    def take(self, event: events.Event) -> None:
        """One event, each after those before it."""
        data: dict[str, Any] = event.data
        assert set(data) == _DESCRIBED[event.type], f"{event.type} has other data than docs/events.md says"
        null = {f"{name}?" for name, value in data.items() if value is None}
        assert null <= set(DATA[EventType(event.type)]), f"{event.type} has null where the description has none"
        match event.type:
            case "incentive.changed":
                self.incentives[event.subject] = data
            case "batch.received" | "batch.approved" | "batch.rejected":
                self.batches[event.subject] = event.type
            case "batch.incentives_changed":
                self.unread.add(event.subject)
            case "link.changed":
                self.links[event.subject] = (data["state"], data["ended_because"])
            case "payout.changed":
                self.payouts[event.subject] = self.tried[data["incentive_id"]] = data["state"]
            case "participant.account_changed":
                self.accounts[event.subject] = data["partner"]
            case "verification.completed":
                self.verified[data["participant_id"]] = data["verdict"]
            case "verification.expired":
                self.verified[data["participant_id"]] = "expired"
            case "case.opened":
                self.cases.add(event.subject)
            case "case.closed":
                self.cases.remove(event.subject)
            case "partner.paused" | "partner.recovery_began":
                self.held.add((event.subject, event.type.split("_")[0]))
            case "partner.resumed":
                self.held.discard((event.subject, "partner.paused"))
            case "partner.held" | "partner.released" | "approval.lapsed" | "participant.changed":
                pass  # of the partner or person alone; an incentive's own change is told beside it
            case "partner.recovery_ended":
                self.held.discard((event.subject, "partner.recovery"))
            case _:
                raise AssertionError(f"{event.type} is no event of docs/events.md")

    def blocker(self, incentive: dict[str, Any], today: date) -> str | None:
        """As the API shows it: while a partner is held, what is due and would be paid there waits for it."""
        stored: str | None = incentive["blocker"]
        due = date.fromisoformat(incentive["due_on"]) <= today
        approved = self.batches[incentive["batch_id"]] == "batch.approved"
        held = any(partner == incentive["partner"] for partner, _ in self.held)
        stage, tried = incentive["stage"], self.tried.get(incentive["incentive_id"])
        waits = stage == "scheduled" or stage == "paying" and tried not in ("pending", "unknown")
        return "partner_paused" if stored is None and due and approved and held and waits else stored


class _Observed:
    """The observer's connection as the service takes it."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        yield self._connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        async with self._connection.transaction():
            yield self._connection


async def compare(town: Town, observer: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """Read every event from the first one on, in small pages; what differs from the API and the store."""
    consumer, tx, seq = Consumer(), 0, 0
    # Another seed's transaction on the same server holds back what is told, until it ends.
    left, waits = await observer.fetchval("SELECT count(*) FROM events"), 0
    while left and waits < _MOST_WAITS:
        page = await events.read_after(observer, tx, seq, _PAGE)
        if not page:
            waits += 1
            await asyncio.sleep(0.02)
            continue
        left -= len(page)
        for event in page:
            consumer.take(event)
        tx, seq = page[-1].tx, page[-1].seq
    manifests = {slug: partner.manifest for slug, partner in PARTNERS.items()}
    service = Incentives(_Observed(observer), VirtualClock(town), manifests)  # type: ignore[arg-type]
    shown = await service.find(IncentiveFilter(), 0, 10_000)
    return [*_incentives(town, consumer, shown), *_others(town, consumer)]


def _incentives(town: Town, consumer: Consumer, shown: list[IncentiveView]) -> Iterator[str]:
    today = town.local().date()
    if consumer.unread:
        yield f"batches of this size are told row by row, not {consumer.unread}"
    told = {
        key: (i["stage"], consumer.blocker(i, today), i["partner"], i["participant_id"], i["batch_id"])
        for key, i in consumer.incentives.items()
    }
    api = {
        str(i.incentive_id): (
            i.stage.value, i.blocker.code.value if i.blocker else None, i.partner, i.participant_id, i.batch_id
        )
        for i in shown
    }  # fmt: skip
    for key in told.keys() | api.keys():
        if told.get(key) != api.get(key):
            yield f"incentive {key}: told {told.get(key)}, the API shows {api.get(key)}"


def _others(town: Town, consumer: Consumer) -> Iterator[str]:
    state = town.state
    for payout in state.payouts:
        told = consumer.payouts.get(str(payout.id))
        if told != payout.state and payout.state not in _OWN_STEPS:
            yield f"payout {payout.id}: told {told}, it is {payout.state}"
    for link in state.links:
        if consumer.links.get(link.id) != (link.state, link.ended_because):
            yield f"link {link.id}: told {consumer.links.get(link.id)}, it is {link.state}, {link.ended_because}"
    for batch in state.batches:
        if consumer.batches.get(batch.id) != _BATCH[batch.state]:
            yield f"batch {batch.id}: told {consumer.batches.get(batch.id)}, it is {batch.state}"
    open_cases = {str(case.id) for case in state.cases if case.open}
    if consumer.cases != open_cases:
        yield f"cases: told {consumer.cases}, open are {open_cases}"
    paused = {row.partner for row in state.paused}
    if {partner for partner, _ in consumer.held} != paused:
        yield f"partners: told {consumer.held} are held, {paused} are"
    for person in state.participants:
        told = consumer.accounts.get(person.participant_id, person.partner)
        if told != person.partner:
            yield f"participant {person.participant_id}: told {told}, the account is at {person.partner}"
        if person.verified and consumer.verified.get(person.participant_id) != "match":
            yield f"participant {person.participant_id} is verified, told {consumer.verified}"
