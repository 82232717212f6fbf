"""What is old is forgotten, in order, and who would read on behind it is told."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from contracts.events import EventType
from gateway.core import Core
from gateway.services.messages.retention import EVENTS_KEPT, EXCHANGES_KEPT, NOTIFICATIONS_KEPT, Retention
from gateway.storage.messages import events
from tests.gateway.api.kit import Api

_DAY = timedelta(days=1)


async def _tell(core: Core, subject: str, age: timedelta) -> None:
    async with core.resources.database.transaction() as connection:
        at = core.resources.clock.now() - age
        await events.emit(connection, at, [(EventType.PARTNER_PAUSED, subject, {"by": "x", "reason": "y"})])


async def _page(api: Api, cursor: str | None = None) -> tuple[list[str], str]:
    asked = {"cursor": cursor} if cursor else {}
    page = (await api.call("GET", "/v1/events", role="operator", params=asked)).json()
    return [event["subject"] for event in page["events"]], page["next_cursor"]


async def test_events_go_from_the_oldest_on_and_a_reader_behind_them_is_told(api: Api, core: Core) -> None:
    for subject, age in (("a", 2 * EVENTS_KEPT), ("b", EVENTS_KEPT + _DAY), ("c", EVENTS_KEPT - _DAY),
                         ("d", 2 * EVENTS_KEPT), ("e", _DAY)):  # fmt: skip
        await _tell(core, subject, age)
    page = (await api.call("GET", "/v1/events", role="operator")).json()["events"]
    cursors = {event["subject"]: event["cursor"] for event in page}
    retention = Retention(core.resources.database, core.resources.clock, core.resources.vault)
    assert await retention.tick(most=1) == 1
    assert await retention.tick() == 1
    assert await retention.tick() == 0, "what lies behind a newer one waits for it"
    assert (await _page(api))[0] == ["c", "d", "e"]
    told = await api.call("GET", "/v1/events", role="operator", params={"cursor": cursors["a"]})
    assert (told.status_code, told.json()["code"]) == (410, "cursor_too_old")
    assert (await _page(api, cursors["b"]))[0] == ["c", "d", "e"], "who had read all that is gone has missed nothing"
    assert (await _page(api, cursors["c"]))[0] == ["d", "e"]


async def test_nobody_else_deletes_an_event(api: Api, core: Core) -> None:
    await _tell(core, "a", 2 * EVENTS_KEPT)
    with pytest.raises(asyncpg.RestrictViolationError):
        await api.fetch("DELETE FROM events RETURNING 1")
    with pytest.raises(asyncpg.RestrictViolationError):
        await api.fetch("UPDATE events SET subject = 'b' RETURNING 1")
    await Retention(core.resources.database, core.resources.clock, core.resources.vault).tick()
    await _tell(core, "b", 2 * EVENTS_KEPT)
    with pytest.raises(asyncpg.RestrictViolationError):
        await api.fetch("DELETE FROM events RETURNING 1")


async def test_notifications_and_calls_go_once_they_are_old_and_done(api: Api, core: Core) -> None:
    now = core.resources.clock.now()
    async with core.resources.database.connection() as connection:
        for number, (applied, received) in enumerate((
            (now - NOTIFICATIONS_KEPT - _DAY, now - 2 * NOTIFICATIONS_KEPT),
            (now - NOTIFICATIONS_KEPT + _DAY, now - 2 * NOTIFICATIONS_KEPT),
            (None, now - 2 * NOTIFICATIONS_KEPT),
        )):  # fmt: skip
            await connection.execute(
                "INSERT INTO inbox (id, partner, kind, event_key, raw_sealed, received_at, applied_at)"
                " VALUES ($1, 'gopay', 'k', $1::bigint::text, '', $2, $3)",
                number,
                received,
                applied,
            )
        for age in (EXCHANGES_KEPT + _DAY, EXCHANGES_KEPT - _DAY):
            await connection.execute(
                "INSERT INTO exchanges (at, partner, operation, effect, subject, left_us, took_ms)"
                " VALUES ($1, 'bni', 'o', 'read', 's', true, 1)",
                now - age,
            )
    assert await Retention(core.resources.database, core.resources.clock, core.resources.vault).tick() == 2
    assert [row["id"] for row in await api.fetch("SELECT id FROM inbox ORDER BY id")] == [1, 2], "not applied: kept"
    assert len(await api.fetch("SELECT FROM exchanges")) == 1
