"""What the crash runs' operator takes for a breach: calls of payouts that were in no doubt once the pause held."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.crash import pauser
from tests.crash.pauser import CREATED_UNDER, CREATES, MOVES, Pauser
from tests.gateway.payouts.town import open_town

IN_DOUBT, OTHER = "0000000000000000001", "0000000000000000002"


@pytest.mark.parametrize(
    ("operation", "reference", "left"), [(CREATES, IN_DOUBT, 0), (CREATES, OTHER, 1), (MOVES, IN_DOUBT, 1)]
)
async def test_a_create_counts_unless_its_payout_was_in_doubt(
    database: str, operation: str, reference: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauser, "ON_ITS_WAY_S", -3_600.0)  # the call is looked for in this hour, whatever the clock
    async with open_town(database) as town:
        bank = town.partner("two", two_step=True)
        bank.script("create", "lost")
        await town.due("two")
        await town.worker().tick_send("two")
        await town.execute("UPDATE payouts SET reference = $1", IN_DOUBT)
        seen: dict[str, Any] = {
            "operation": operation,
            "at": (datetime.now(UTC) - timedelta(minutes=1)).isoformat(),
            "headers": {CREATED_UNDER: reference},
        }

        def logged(request: httpx.Request) -> httpx.Response:
            return httpx.Response(
                200, json={"requests": [seen] if request.url.params["operation"] == operation else []}
            )

        async def call(*_: object, **__: object) -> dict[str, Any]:
            return {"partner": "two", "paused": {"state": "paused"}}

        async with httpx.AsyncClient(transport=httpx.MockTransport(logged)) as pages:
            cluster = SimpleNamespace(mocks={"two": "http://mock"}, database_url=town.settings.database_url.reveal())
            operator = SimpleNamespace(call=call)
            watching = Pauser(operator, pages, cluster, random.Random(1))  # type: ignore[arg-type]
            in_doubt = await watching._pause("two")
            assert in_doubt == {IN_DOUBT}
            await watching._nothing_leaves("two", in_doubt, 3_600.0)
        assert (len(watching.left), watching.in_doubt) == (left, operation == CREATES and reference == IN_DOUBT)
