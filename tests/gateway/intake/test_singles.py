"""Single rows that are handed over together: each is decided about as in a batch, and for itself."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from contracts.batch import COLUMNS
from gateway.security.clients import register
from gateway.services.intake import batches
from gateway.services.intake.batches import BatchView
from gateway.services.intake.framing import CsvCells
from gateway.services.intake.incentives import IncentiveView
from gateway.services.intake.row_faults import RowConflict
from gateway.services.intake.singles import Handed
from gateway.services.messages.retention import Retention
from gateway.storage.access import idempotency
from gateway.storage.intake import incentives, singles
from tests.gateway.api.kit import Api, as_csv, nik, row

Row = dict[str, Any]
_READ = (
    "SELECT sum(pg_stat_get_xact_tuples_returned(oid))::int FROM pg_class WHERE relkind IN ('r', 'i') AND oid > 16383"
)
"""Entries of indexes and rows that this transaction has looked at."""


def _seal(incentive: IncentiveView, batch: BatchView) -> bytes:
    assert batch.batch.id == incentive.batch_id
    return incentive.incentive_id.encode()


async def _alone(api: Api, one: Row, client: str = "maker", key: str | None = None) -> Any:
    """What comes of it: `Handed`, None or a refusal."""
    cells = tuple(str(one[name]) for name in COLUMNS)
    try:
        return await api.core.singles.hand_over(client, cells, key or secrets.token_hex(8), b"f", _seal)
    except RowConflict as refused:
        return refused


async def _in_a_batch(api: Api, one: Row, client: str) -> Any:
    async def body() -> AsyncIterator[bytes]:
        yield as_csv([one])

    async def keep(*_: object) -> None:
        pass

    view = await api.core.batches.receive(client, CsvCells(), body(), keep)
    if view.batch.rows_rejected:
        (result,) = await api.core.batches.results(view.batch.id, None, 0, 2)
        return result
    return view


def _told(fate: Any) -> tuple[str | None, str]:
    """A refusal by its code and its faults but for what they name of the store, or that it was taken."""
    if isinstance(fate, RowConflict):
        (fault,) = fate.faults
        return fault.code.value, ", ".join(fault.fields)
    if isinstance(fate, Handed | BatchView):
        return None, ""
    ((_, code, _, fields),) = msgspec.json.decode(fate.faults)
    return code, ", ".join(fields)


def _crowd(rng: random.Random, first: int) -> list[tuple[str, Row]]:
    """Rows of four people and one who is always new, with whatever may contradict what another one said."""
    made = []
    for n in range(10):
        person = first + rng.randrange(4)
        one = row(person, period=str(rng.randrange(3)))
        for name, values in {
            "amount_rupiah": [1_000],
            "nik": [nik(first + 3), nik(first + 90)],
            "account": ["+6281299999999"],
            "full_name": ["Dewi L."],
            "phone": ["+6281200000001"],
            "participant_id": [f"P{first + 4 + n:08d}"],
            "deadline_on": ["2099-12-30"],
        }.items():
            if rng.random() < 0.12:
                one[name] = rng.choice(values)
        made.append(("other" if rng.random() < 0.15 else "maker", one))
    return made


@pytest.mark.parametrize("seed", range(4))
async def test_rows_handed_over_together_end_as_in_batches_one_after_the_other(api: Api, seed: int) -> None:
    now = api.core.resources.clock.now()
    await register(api.core.resources.database, now, name="other", scopes=("incentives",), organisation="another")
    ends: list[list[tuple[str | None, str]]] = []
    stored = []
    for first in (100, 10_005):
        rng, told = random.Random(seed), []
        for _ in range(3):
            crowd = _crowd(rng, first)
            if first == 100:
                fates = await asyncio.gather(*[_alone(api, one, client) for client, one in crowd])
            else:
                fates = [await _in_a_batch(api, one, client) for client, one in crowd]
            told += [_told(fate) for fate in fates]
            gone = f"P{first + rng.randrange(4):08d}"
            await api.fetch("UPDATE incentives SET cancelled = true WHERE participant_id = $1", gone)
            if rng.random() < 0.5:
                await api.fetch(
                    "UPDATE incentives SET payout = 'succeeded', payouts = 1 WHERE participant_id = $1",
                    f"P{first + rng.randrange(4):08d}",
                )
        ends.append(told)
        mine = [f"P{n:08d}" for n in range(first, first + 100)]
        people = await api.fetch(
            "SELECT p.participant_id, p.organisation, p.partner, encode(p.name_index, 'hex') AS name,"
            " p.corrected_at IS NULL AS as_first, p.link_id FROM participants p WHERE p.participant_id = ANY($1)"
            " ORDER BY 1",
            mine,
        )
        rows = await api.fetch(
            "SELECT i.participant_id, i.period, i.amount_rupiah, i.deadline_on, i.cancelled, i.organisation,"
            " b.rows_accepted, b.amount_rupiah AS total, b.organisation AS whose, b.partners, b.warnings,"
            " n.fields FROM incentives i JOIN batches b ON b.id = i.batch_id LEFT JOIN batch_notes n"
            " ON (n.batch_id, n.line) = (i.batch_id, i.line) WHERE i.participant_id = ANY($1)",
            mine,
        )
        stored.append(sorted((int(r[0][1:]) - first, *map(str, tuple(r)[1:])) for r in (*people, *rows)))
    assert ends[0] == ends[1]
    assert stored[0] == stored[1]
    lines = await api.fetch(
        "SELECT DISTINCT i.line FROM incentives i JOIN batches b ON b.id = i.batch_id WHERE b.single"
    )
    assert [r[0] for r in lines] == [1]
    assert len({code for code, _ in ends[0]}) > 2, "too tame to say anything"


async def test_who_waits_for_somebody_keeps_nobody_else_waiting(api: Api, database: str) -> None:
    """Two rows of a person whom an open transaction holds, as a merge does, wait as long as that takes; the others of
    their group, and all who come later, do not.
    """
    await _alone(api, row(4))
    other = await asyncpg.connect(database)
    held: list[asyncio.Task[Any]] = []
    try:
        block = other.transaction()
        await block.start()
        await other.execute("UPDATE participants SET facts_at = facts_at")
        held = [asyncio.create_task(_alone(api, row(4, period=str(n)))) for n in (2, 3)]
        async with asyncio.timeout(60):
            free = await asyncio.gather(*[_alone(api, row(n)) for n in (1, 2, 3)])
            later = await asyncio.gather(*[_alone(api, row(n)) for n in (5, 6)])
        assert all(isinstance(one, Handed) for one in (*free, *later))
        assert not any(one.done() for one in held)
        await block.rollback()
        async with asyncio.timeout(60):
            assert all(isinstance(one, Handed) for one in await asyncio.gather(*held))
    finally:
        await other.close()
        await asyncio.gather(*held, return_exceptions=True)


async def test_one_that_cannot_be_stored_takes_nobody_with_it(api: Api) -> None:
    def broken(incentive: IncentiveView, batch: BatchView) -> bytes:
        raise RuntimeError("no answer")

    cells = tuple(str(row(2)[name]) for name in COLUMNS)
    bad = asyncio.create_task(api.core.singles.hand_over("maker", cells, "bad", b"f", broken))
    good = await asyncio.gather(*[_alone(api, row(n)) for n in (1, 3, 4)])
    assert all(isinstance(one, Handed) for one in good)
    with pytest.raises(RuntimeError, match="no answer"):
        await bad
    found = await api.fetch("SELECT participant_id FROM incentives ORDER BY 1")
    assert [r[0] for r in found] == ["P00000001", "P00000003", "P00000004"]
    assert (await api.fetch("SELECT count(*) FROM batches"))[0][0] == 3


async def test_one_key_is_one_row_whoever_comes_with_it_at_once(api: Api) -> None:
    bodies = [row(1), row(1), row(2), row(1, amount_rupiah=1_000), row(1, nik="1")]
    replies = await asyncio.gather(
        *[api.call("POST", "/v1/incentives", key="same", json=body) for body in bodies],
        *[api.call("POST", "/v1/incentives", key=f"own{n}", json=row(10 + n)) for n in range(4)],
    )
    assert {r.status_code for r in replies[5:]} == {201}
    assert (await api.fetch("SELECT count(*) FROM incentives"))[0][0] == 5
    again = await api.call("POST", "/v1/incentives", key="same", json=row(1, nik="1"))
    assert again.json()["code"] == "idempotency_conflict", "the key is looked at before the row"
    taken = [r for r in replies[:4] if r.status_code == 201]
    for body, first in zip(bodies[:4], replies, strict=False):
        reply = await api.call("POST", "/v1/incentives", key="same", json=body)
        assert reply.status_code == first.status_code, "at once as one after the other"
        if reply.status_code == 201:
            assert reply.headers["Idempotent-Replayed"] == "true" and reply.text == first.text == taken[0].text
            assert reply.headers["Location"] == f"/v1/incentives/{reply.json()['incentive']['incentive_id']}"
        else:
            assert reply.json()["code"] == first.json()["code"] == "idempotency_conflict"


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    "change", [{}, {"period": "2"}, {"participant_id": "P00000009"}, {"account": "+6281299999999"}]
)
async def test_who_is_overtaken_is_decided_about_again(
    api: Api, monkeypatch: pytest.MonkeyPatch, known: bool, change: dict[str, str]
) -> None:
    """Between the decision and the storing somebody else's row is stored: all end as one after the other."""
    if known:
        await _alone(api, row(2, period="0"))
    real, others = singles.store, [row(1) | change]

    async def late(*values: Any) -> Any:
        if others:
            await _in_a_batch(api, others.pop(), "maker")
        return await real(*values)

    monkeypatch.setattr(singles, "store", late)
    fates = await asyncio.gather(*[_alone(api, row(n)) for n in (1, 2, 3)])
    same, person = not change, "participant_id" not in change
    expected = (None, "") if same or "period" in change else ("incentive_conflict", "account") if person else (
        "nik_duplicate", "nik")  # fmt: skip
    assert [_told(fate) for fate in fates] == [expected, (None, ""), (None, "")]
    held = await api.fetch("SELECT participant_id, period FROM incentives WHERE period <> '0' ORDER BY 1, 2")
    first = [("P00000009", "1")] if not person else [("P00000001", "1")] + [("P00000001", "2")] * ("period" in change)
    assert sorted(map(tuple, held)) == sorted([*first, ("P00000002", "1"), ("P00000003", "1")])


async def test_old_keys_are_forgotten(api: Api) -> None:
    for n in (1, 2):
        await _alone(api, row(n), key=f"k{n}")
    old = timedelta(seconds=idempotency.KEPT_S + 1)
    await api.fetch("UPDATE idempotency SET created_at = created_at - $1::interval WHERE key = 'k1'", old)
    assert await Retention(api.core.resources.database, api.core.resources.clock, api.core.resources.vault).tick() == 1
    assert [r[0] for r in await api.fetch("SELECT key FROM idempotency")] == ["k2"]


async def test_a_merge_counts_beside_those_who_hand_over_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_MANY", 2)
    await api.submit(as_csv([row(1), row(2)]))
    await _alone(api, row(3))
    slots = await api.fetch(
        "SELECT slot >= 64 AS merged, sum(incentives)::int FROM funnel_counts GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(r) for r in slots] == [(False, 1), (True, 2)]


async def test_what_stands_is_looked_up_by_whom_it_is_of_also_by_statistics_of_empty_tables(api: Api) -> None:
    """No plan is kept that was made while there was nothing: it would read the whole of some index later."""
    await api.fetch("ANALYZE incentives, participants, idempotency, links, entitlements, usual_amounts")
    await api.submit(as_csv([row(n) for n in range(60)]))
    plan: list[str] = []

    class Explains:
        def __init__(self, connection: Any) -> None:
            self.execute, self._connection = connection.execute, connection

        async def fetch(self, sql: str, *values: Any) -> list[Any]:
            plan.extend(line[0].strip() for line in await self._connection.fetch(f"EXPLAIN {sql}", *values))
            return []

    async with api.core.resources.database.transaction() as connection:
        await singles.fates(Explains(connection), [], api.core.resources.clock.now(), 1.0)  # type: ignore[arg-type]
        assert await connection.fetchval("SHOW plan_cache_mode") == "force_custom_plan"
    assert [line for line in plan if "hashed SubPlan" in line or "Seq Scan on" in line] == []
    leads = {"incentives_one_per_nik": "nik_index", "incentives_one_per_participant": "participant_id"}
    for index, column in leads.items():
        used = [after for line, after in itertools.pairwise(plan) if f"using {index}" in line]
        assert used and all(line.removeprefix("Index Cond: ").lstrip("(").startswith(column) for line in used), used


async def test_a_group_reads_no_more_as_the_store_grows(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its plans are kept from the first few hundred incentives on, by statistics of empty tables."""
    await api.fetch("ANALYZE incentives, participants, idempotency, links, entitlements, usual_amounts, payouts")
    read: list[int] = []

    def counted(real: Any) -> Any:
        async def asked(connection: Any, *values: Any) -> Any:
            before = await connection.fetchval(_READ)
            answer = await real(connection, *values)
            read.append(await connection.fetchval(_READ) - before)
            return answer

        return asked

    for module, name in ((singles, "fates"), (singles, "store"), (incentives, "several")):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    numbers, most = itertools.count(1), []
    for size in (0, singles._ENOUGH_BYTES, 3 * singles._ENOUGH_BYTES):
        while (await api.fetch("SELECT pg_relation_size('incentives')"))[0][0] < size:
            await asyncio.gather(*[_alone(api, row(next(numbers))) for _ in range(60)])
        read.clear()
        for _ in range(3):
            await asyncio.gather(*[_alone(api, row(next(numbers))) for _ in range(12)])
        most.append(max(read))
    assert most[0] >= most[1] == most[2], most
