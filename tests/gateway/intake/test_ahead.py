"""A batch that is merged while it is received ends as one that is merged once it is complete, and holds nobody up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from adapters.registry import PARTNERS
from gateway.services.intake import ahead, batches, framing
from gateway.services.intake.ahead import Ahead
from gateway.services.intake.batches import Batches, BatchView
from gateway.services.intake.framing import CsvCells
from gateway.services.intake.merging import Merging
from gateway.storage.base.database import Connection
from gateway.storage.intake import staging
from tests.gateway.api.kit import Api, as_csv, nik, row
from tests.gateway.payouts.fake import NOON, VirtualClock

_SHOWN = (
    "SELECT line, programme, purpose, period, participant_id, nik_index, partner, amount_rupiah, due_on, deadline_on,"
    " content_hash, digest, stage, blocker, organisation FROM incentives WHERE batch_id = $1 ORDER BY line",
    "SELECT line, field, code, faults, programme, participant_id, purpose, period FROM batch_errors"
    " WHERE batch_id = $1 ORDER BY line",
    "SELECT line, fields FROM batch_notes WHERE batch_id = $1 ORDER BY line",
    "SELECT programme, code, rows FROM refused_counts WHERE batch_id = $1 ORDER BY programme, code",
    "SELECT participant_id, nik_index, name_index, phone_index, partner, account_index, organisation FROM participants"
    " WHERE $1 <> '' ORDER BY participant_id",
    "SELECT stage, sum(incentives), sum(amount_rupiah) FROM funnel_counts WHERE $1 <> '' GROUP BY stage ORDER BY stage",
    "SELECT state, rows_accepted, rows_rejected, rows_repeated, amount_rupiah, content_root, partners, warnings"
    " FROM batches WHERE id = $1",
)
_KEY = b"k" * 32


class _Undo(Exception):
    """Take it all back."""


class _Watched(Ahead):
    """Tells when it has nothing to do."""

    made: list[_Watched]
    moved = False

    async def __aenter__(self) -> Ahead:
        self.idle = asyncio.Event()
        self.made.append(self)
        return await super().__aenter__()

    async def _look(self) -> None:
        self.idle.set()
        await super()._look()

    async def _next(self, *args: Any, **options: Any) -> bool:
        self.moved = True
        return await super()._next(*args, **options)

    async def rest(self) -> None:
        """Until what was read is moved in, or nothing more is."""
        self.idle.clear()
        async with asyncio.timeout(300):
            while not (self._task.done() or (self.idle.is_set() and self._spool.waiting < ahead.PIECE_ROWS)):
                await asyncio.sleep(0.001)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[_Watched]:
    """Every upload's, in pieces of a few rows."""
    made: list[_Watched] = []
    monkeypatch.setattr(_Watched, "made", made, raising=False)
    monkeypatch.setattr(batches, "Ahead", _Watched)
    monkeypatch.setattr(framing, "_PIECE_CHARS", 1)
    return made


def _intake(api: Api, clock: VirtualClock) -> Batches:
    manifests = {slug: partner.manifest for slug, partner in PARTNERS.items()}
    resources = api.core.resources
    return Batches(resources.database, clock, resources.vault, manifests, api.core.programmes)


def _file(rng: random.Random, rows: int, *, people: int) -> list[dict[str, Any]]:
    """Rows that collide: the fewer people, the more."""
    return [
        row(
            person := rng.randrange(people),
            period=str(rng.randrange(3)),
            nik="1" if rng.random() < 0.05 else nik(person if rng.random() < 0.9 else rng.randrange(people)),
            account=f"+62812{person if rng.random() < 0.9 else rng.randrange(people):08d}",
            phone=f"+62812{person if rng.random() < 0.9 else 1:08d}",
            full_name="Dewi Lestari" if rng.random() < 0.9 else "DEWI LESTARI",
            amount_rupiah=600_000 if rng.random() < 0.9 else 700_000,
        )
        for _ in range(rows)
    ]


async def _ends(intake: Batches, client_id: str, lines: list[bytes], watched: list[_Watched]) -> list[Any]:
    """What a file would leave behind, which is then taken back."""
    found: list[Any] = []

    async def keep(connection: Connection, view: BatchView, now: datetime) -> None:
        for sql in _SHOWN:
            found.append([tuple(record) for record in await connection.fetch(sql, view.batch.id)])
        raise _Undo

    async def body() -> AsyncIterator[bytes]:
        for line in lines:
            yield line
            await watched[-1].rest()

    with pytest.raises(_Undo):
        await intake.receive(client_id, CsvCells(), body(), keep)
    return found


async def test_any_file_ends_the_same(api: Api, watched: list[_Watched], monkeypatch: pytest.MonkeyPatch) -> None:
    rng, intake = random.Random(11), _intake(api, VirtualClock(NOON))
    monkeypatch.setattr(batches.secrets, "token_bytes", lambda _: _KEY)
    for key, decision in (("a", "approve"), ("b", "reject")):
        batch = (await api.submit(as_csv(_file(rng, 40, people=60)), key=key)).json()
        await api.decide(batch, "one", decision)
    complete: list[bool] = []
    store = Merging.store

    async def once_complete(*args: Any, **options: Any) -> Any:
        complete.append(True)
        return await store(*args, **options)

    monkeypatch.setattr(Merging, "store", once_complete)
    given_up = 0
    for people in (5, 30, 100, 400, 4_000, 4_000):
        lines = as_csv(_file(rng, 60, people=people)).splitlines(keepends=True)
        pieces = [b"".join(lines[at : at + 6]) for at in range(0, len(lines), 6)]
        ends = []
        for size in (1_000_000, 5):
            monkeypatch.setattr(ahead, "PIECE_ROWS", size)
            complete.clear()
            ends.append(await _ends(intake, api.ids["maker"], pieces, watched))
            assert watched[-1].moved is (size == 5)
        given_up += len(complete)
        for one, other in zip(*ends, strict=True):
            assert one == other, people
    assert 0 < given_up < 6, "both ways were tried"


async def test_of_the_people_who_are_stored_only_those_are_read_whom_a_file_names(api: Api) -> None:
    """However many there are: a large file is moved in piece by piece."""
    intake, read = _intake(api, VirtualClock(NOON)), []

    async def keep(connection: Connection, view: BatchView, now: datetime) -> None:
        stored = "pg_stat_xact_user_tables WHERE relname = 'participants'"
        read.append(await connection.fetchval(f"SELECT seq_tup_read + idx_tup_fetch FROM {stored}"))
        await connection.execute("SELECT pg_stat_force_next_flush()")  # else the next transaction's go on from here

    async def body(rows: list[dict[str, Any]]) -> AsyncIterator[bytes]:
        yield as_csv(rows)

    five = range(5)
    await intake.receive(api.ids["maker"], CsvCells(), body([row(n) for n in range(500)]), keep)
    await api.fetch("ANALYZE participants, incentives")
    for rows in (
        [row(n, period="2") for n in five],
        [row(n, period="2") for n in five],
        [row(n, period="3", full_name="Dewi Lestari") for n in five],
        [row(500 + n) for n in five],
        [row(510), row(510, period="2"), row(511, nik=nik(1))],
    ):
        await intake.receive(api.ids["maker"], CsvCells(), body(rows), keep)
    assert len(read) == 6 and max(read[1:]) < 100, read


async def test_rows_that_share_nothing_but_a_person_or_a_nik_are_told_of_each_other(api: Api) -> None:
    for first, code, second in (
        (1, "participant_conflict", row(1, nik=nik(2), period="2")),
        (11, "nik_duplicate", row(12, nik=nik(11))),
    ):
        batch = (await api.submit(as_csv([row(first), second]), key=code)).json()
        assert (batch["rows_accepted"], batch["rows_rejected"]) == (1, 1)
        (told,) = await api.fetch("SELECT code, faults FROM batch_errors WHERE batch_id = $1", batch["batch_id"])
        assert told["code"] == code and '"line 2"' in told["faults"]
    people = await api.fetch("SELECT participant_id FROM participants")
    assert {one[0] for one in people} == {row(n)["participant_id"] for n in (1, 11)}


async def test_an_incentive_belongs_to_a_participant_and_a_batch(api: Api) -> None:
    await api.submit(as_csv([row(1)]))
    columns = "line, programme, purpose, participant_id, nik_index, partner, amount_rupiah, due_on, deadline_on,"
    columns += " content_hash, link_active, verified, facts_at, created_at"
    for participant, batch in (("participant", "'b0'"), ("0", "batch_id")):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await api.fetch(f"INSERT INTO incentives (period, participant, batch_id, {columns})"
                            f" SELECT '2', {participant}, {batch}, {columns} FROM incentives")  # fmt: skip


async def _nothing(connection: Connection, view: BatchView, now: datetime) -> None:
    """Keeps no answer."""


async def _free(api: Api) -> bool:
    """Whether no merge is under way."""
    async with api.core.resources.database.transaction() as connection:
        return await staging.take_turn(connection)


async def test_a_slow_upload_gives_its_place_back_and_loses_nothing(
    api: Api, watched: list[_Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "PIECE_ROWS", 5)
    clock = VirtualClock(NOON)
    intake, lines = _intake(api, clock), as_csv([row(n) for n in range(30)]).splitlines(keepends=True)

    async def body() -> AsyncIterator[bytes]:
        yield b"".join(lines[:12])
        await watched[-1].rest()
        assert watched[-1].moved and not await _free(api)
        clock.advance(2)
        async with asyncio.timeout(300):
            while not await _free(api):
                await asyncio.sleep(0.01)
        yield b"".join(lines[12:])

    view = await intake.receive(api.ids["maker"], CsvCells(), body(), _nothing)
    assert (view.batch.rows_accepted, view.batch.amount_rupiah) == (30, 30 * 600_000)
    assert (await api.fetch("SELECT count(*), count(DISTINCT batch_id) FROM incentives"))[0][:] == (30, 1)


async def test_an_upload_that_was_slow_from_the_start_takes_no_place(
    api: Api, watched: list[_Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "PIECE_ROWS", 5)
    clock = VirtualClock(NOON)
    intake, lines = _intake(api, clock), as_csv([row(n) for n in range(30)]).splitlines(keepends=True)

    async def body() -> AsyncIterator[bytes]:
        for line in lines:
            clock.advance(0.9)
            yield line

    view = await intake.receive(api.ids["maker"], CsvCells(), body(), _nothing)
    assert view.batch.rows_accepted == 30 and not watched[-1].moved


async def test_few_rows_wait_for_no_merge_but_one_that_holds_theirs(
    api: Api, watched: list[_Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "PIECE_ROWS", 5)
    lines = as_csv([row(n) for n in range(30)]).splitlines(keepends=True)
    intake = _intake(api, VirtualClock(NOON))
    small: list[asyncio.Task[BatchView]] = []

    async def receive(body: AsyncIterator[bytes]) -> BatchView:
        return await intake.receive(api.ids["maker"], CsvCells(), body, _nothing)

    async def of(*rows: dict[str, Any]) -> AsyncIterator[bytes]:
        yield as_csv(list(rows))

    async def body() -> AsyncIterator[bytes]:
        yield b"".join(lines[:12])
        await watched[0].rest()
        assert watched[0].moved and not await _free(api)
        async with asyncio.timeout(60):
            beside = await receive(of(row(41), row(42)))
        assert beside.batch.rows_accepted == 2 and not await _free(api)
        small.append(asyncio.create_task(receive(of(row(3), row(43)))))
        yield b"".join(lines[12:])

    large = await receive(body())
    met = await small[0]
    assert large.batch.rows_accepted == 30
    assert (met.batch.rows_accepted, met.batch.rows_repeated, met.batch.rows_rejected) == (1, 1, 0)


async def test_an_upload_that_breaks_off_while_it_is_merged_leaves_nothing(
    api: Api, watched: list[_Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "PIECE_ROWS", 5)
    lines = as_csv([row(n) for n in range(30)]).splitlines(keepends=True)
    before = await api.state()

    async def body() -> AsyncIterator[bytes]:
        yield b"".join(lines[:12])
        await watched[-1].rest()
        assert watched[-1].moved and not await _free(api)
        yield b"".join(lines[12:20])
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await _intake(api, VirtualClock(NOON)).receive(api.ids["maker"], CsvCells(), body(), _nothing)
    assert await _free(api) and await api.state() == before
