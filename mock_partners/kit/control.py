"""The control API beside every mock: `/__mock__/books`, `/pending`, `/sms` and `/health` (decisions X3)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from mock_partners.kit.clock import Clock, Scheduler
from mock_partners.kit.http import Call, Reply, Route, json_reply
from mock_partners.kit.world import World, normal_phone


def control_routes(
    world: World, clock: Clock, scheduler: Scheduler, *, unsettled: Callable[[], int] = lambda: 0
) -> list[Route]:
    """The control routes of one mock; `unsettled` adds payouts that wait for a look-up rather than for the clock."""

    async def books(_call: Call) -> Reply:
        lines = b"".join(msgspec.json.encode(booking.as_json()) + b"\n" for booking in world.books)
        return Reply(200, lines, {"Content-Type": "application/x-ndjson"})

    async def pending(_call: Call) -> Reply:
        counts = scheduler.pending()
        counts["unsettled"] += unsettled()
        return json_reply(200, counts)

    async def sms(call: Call) -> Reply:
        phone = call.query_values().get("phone", "")
        if not phone:
            return json_reply(400, {"error": "ask for ?phone=+62..."})
        return json_reply(200, world.sms.newest_first(normal_phone(phone)))

    async def health(_call: Call) -> Reply:
        return json_reply(200, {"status": "ok", "partner": world.partner, "now": clock.now().isoformat()})

    return [
        Route("GET", "/__mock__/books", books),
        Route("GET", "/__mock__/pending", pending),
        Route("GET", "/__mock__/sms", sms),
        Route("GET", "/__mock__/health", health),
    ]
