"""A large batch is approved in a moment: its first rows may be paid at once, the others by and by."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.storage.intake import batches as stored
from tests.gateway.api.kit import Api, as_csv, row


@pytest.fixture
async def approved(api: Api, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A batch of eight that two people have just approved, of which three rows are marked at once."""
    monkeypatch.setattr(stored, "AT_ONCE", 3)
    batch: dict[str, Any] = (await api.submit(as_csv([row(n) for n in range(1, 9)]))).json()
    for role in ("one", "two"):
        assert (await api.decide(batch, role)).status_code == 200
    return batch


async def _approved(api: Api) -> list[int]:
    return [r[0] - 1 for r in await api.fetch("SELECT line FROM incentives WHERE approved ORDER BY line")]


async def test_the_rest_is_marked_piece_by_piece_but_for_what_has_lapsed_or_ended(
    api: Api, approved: dict[str, Any]
) -> None:
    assert await _approved(api) == [1, 2, 3]
    assert (await api.call("GET", f"/v1/batches/{approved['batch_id']}")).json()["state"] == "approved"
    await api.fetch("UPDATE incentives SET cancelled = true WHERE line = 6")
    await api.fetch("UPDATE incentives SET lapsed_at = now() WHERE line = 8")
    sizes = []
    while size := await api.core.batches.tick_marking(2):
        sizes.append(size)
        assert len(sizes) < 9
    assert sizes == [2, 2, 1]
    assert await _approved(api) == [1, 2, 3, 4, 6, 8]
    assert [tuple(r) for r in await api.fetch("SELECT amount_rupiah, incentives FROM usual_amounts")] == [(600_000, 6)]
    assert await api.core.batches.tick_marking(2) == 0


async def test_a_batch_that_is_stopped_meanwhile_is_marked_no_further(api: Api, approved: dict[str, Any]) -> None:
    assert await api.core.batches.tick_marking(1) == 1
    stopped = await api.call("POST", f"/v1/batches/{approved['batch_id']}/stop", role="operator", json={})
    assert stopped.status_code == 200, stopped.text
    before = await api.state()
    assert await api.core.batches.tick_marking() == 1
    assert await api.core.batches.tick_marking() == 0
    assert {table for table, rows in (await api.state()).items() if before[table] != rows} == {"batches"}
    assert await _approved(api) == [1, 2, 3, 4]
    assert (await api.fetch("SELECT count(*) FROM incentives WHERE NOT cancelled"))[0][0] == 0
