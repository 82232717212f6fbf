"""Two approvals at the same moment: the second one sees the first."""

from __future__ import annotations

import asyncio

from tests.gateway.api.kit import Api, as_csv, row

_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_an_approval_waits_for_another_one_and_counts_it(api: Api) -> None:
    batch = (await api.submit(as_csv([row(1)]))).json()
    database = api.core.resources.database
    async with database.transaction() as first:
        await first.fetchval("SELECT id FROM batches WHERE id = $1 FOR UPDATE", batch["batch_id"])
        await first.execute(
            "INSERT INTO approvals (batch_id, client_id, decision, content_root, at)"
            " VALUES ($1, $2, 'approve', $3, now())",
            batch["batch_id"],
            api.ids["one"],
            bytes.fromhex(batch["content_root"]),
        )
        second = asyncio.create_task(api.decide(batch, "two"))
        async with asyncio.timeout(20), database.connection() as watching:
            while not await watching.fetchval(_WAITS):
                await asyncio.sleep(0.01)
    assert (await second).json()["state"] == "approved"
    assert (await api.fetch("SELECT bool_and(approved) FROM incentives"))[0][0]
