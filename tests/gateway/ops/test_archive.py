"""What is old leaves the store for files, whole and once, whenever the command dies; what is open stays."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.errors import Conflict, InvalidRequest
from gateway.cursors import cursor_of
from gateway.security.vault import Vault
from gateway.services.messages.webhooks import Webhooks
from gateway.services.ops import archive
from gateway.services.ops.archive import Archive, Filed
from gateway.storage.base.database import Database
from gateway.storage.messages import events
from tests.bench.reading import FILL
from tests.gateway.payouts.fake import VirtualClock

NOW = datetime(2026, 11, 28, 1, 2, 3, 456789, tzinfo=UTC)
DAY = timedelta(days=1)
KEPT = 90 * DAY
ROWS = 60
VAULT = Vault(bytes(32))


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    opened = await Database.open(database, size=3)
    async with opened.connection() as connection:
        await connection.execute("SET session_replication_role = replica")
        for statement in FILL:
            await connection.execute(statement, ROWS, NOW)
        await connection.execute("DELETE FROM events")
        await connection.execute("RESET session_replication_role")
    yield opened
    await opened.close()


async def _tell(store: Database, *ages: int) -> None:
    """An event of each age in days, in this order."""
    for age in ages:
        async with store.transaction() as connection:
            await connection.execute(
                "INSERT INTO events (type, subject, data, at) VALUES ('partner.paused', $1, '{}', $2)",
                str(age),
                NOW - age * DAY,
            )


async def _call(store: Database, age: int, subject: str) -> None:
    async with store.connection() as connection:
        await connection.execute(
            "INSERT INTO exchanges (at, partner, operation, effect, subject, status, left_us, took_ms)"
            " VALUES ($1, 'bni', 'payout', 'write', $2, 200, true, 7)",
            NOW - age * DAY,
            subject,
        )


async def _subjects(store: Database, table: str) -> list[str]:
    async with store.connection() as connection:
        return [row[0] for row in await connection.fetch(f"SELECT subject FROM {table} ORDER BY at")]


async def _run(store: Database, folder: Path, piece: int = 4) -> list[Filed]:
    made = Archive(store, VirtualClock(NOW), folder)
    return [filed async for filed in made.run(KEPT, "op-me", piece=piece)]


def _read(folder: Path, kind: str) -> list[dict[str, Any]]:
    files = sorted(folder.glob(f"{kind}-*.jsonl.gz"), key=lambda path: path.name.rsplit("-", 1)[1])
    return [msgspec.json.decode(line) for path in files for line in gzip.decompress(path.read_bytes()).splitlines()]


async def _ended(store: Database) -> list[str]:
    async with store.connection() as connection:
        return [str(row[0]) for row in await connection.fetch("SELECT id FROM payouts ORDER BY id")]


async def test_old_events_go_in_order_up_to_the_first_that_is_not_old(store: Database, tmp_path: Path) -> None:
    await _tell(store, *range(209, 199, -1), 10, 150)
    filed = await _run(store, tmp_path)
    assert [one.rows for one in filed] == [4, 4, 2]
    assert [line["subject"] for line in _read(tmp_path, "events")] == [str(age) for age in range(209, 199, -1)]
    assert sorted(await _subjects(store, "events")) == ["10", "150"], "what lies behind a newer one waits for it"
    assert archive.verify(tmp_path) == []
    assert (tmp_path / filed[0].file).stat().st_mode & 0o077 == 0
    async with store.connection() as connection:
        last = _read(tmp_path, "events")[-1]
        assert await events.is_purged(connection, last["tx"], last["seq"] - 1)
        assert not await events.is_purged(connection, last["tx"], last["seq"])
        told = await connection.fetch("SELECT actor, subject, data FROM audit_log WHERE action = 'archive.filed'")
    assert [(row["actor"], row["subject"], row["data"]["sha256"]) for row in told] == [
        ("op-me", one.file, one.sha256) for one in filed
    ]
    assert await _run(store, tmp_path) == []


async def test_what_an_endpoint_has_not_taken_stays(store: Database, tmp_path: Path) -> None:
    await _tell(store, *range(209, 199, -1))
    async with store.connection() as connection:
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ('c', 'c', '', '{}', $1)", NOW
        )
        third, sixth = (await connection.fetch("SELECT tx::text, seq FROM events e ORDER BY e.tx, e.seq"))[2:6:3]
        await connection.execute(
            "INSERT INTO webhook_endpoints (id, client_id, url, secret_sealed, created_at, tx, seq)"
            " VALUES ('w', 'c', 'https://x', '', $1, $2::text::xid8, $3)",
            NOW,
            sixth["tx"],
            sixth["seq"],
        )
        await connection.execute(
            "INSERT INTO webhook_deliveries (endpoint, tx, seq, subject, tries, since, next_at)"
            " VALUES ('w', $1::text::xid8, $2, '', 1, $3, $3)",
            third["tx"],
            third["seq"],
            NOW,
        )
    assert sum(one.rows for one in await _run(store, tmp_path)) == 2, "up to the delivery that waits, without it"
    async with store.connection() as connection:
        await connection.execute("DELETE FROM webhook_deliveries")
    assert sum(one.rows for one in await _run(store, tmp_path)) == 4, "up to what the endpoint has taken"
    async with store.connection() as connection:
        await connection.execute("UPDATE webhook_endpoints SET disabled_at = $1, disabled_because = 'failing'", NOW)
    assert sum(one.rows for one in await _run(store, tmp_path)) == 4


_UNCALLED = {
    "the endpoint is disabled": "UPDATE webhook_endpoints SET disabled_at = now(), disabled_because = 'failing'",
    "its client is": "UPDATE clients SET disabled_at = now()",
}


async def _endpoint(store: Database, place: int, *, waiting: int | None = None, replay: int | None = None) -> None:
    """One that has taken up the first `place` events, but for one that waits, or is told anew from one on."""
    async with store.connection() as connection:
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ('c', 'c', '', '{}', $1)", NOW
        )
        places = await connection.fetch("SELECT tx::text, seq FROM events e ORDER BY e.tx, e.seq")
        await connection.execute(
            "INSERT INTO webhook_endpoints (id, client_id, url, secret_sealed, created_at, tx, seq)"
            " VALUES ('w', 'c', 'https://x', '', $1, $2::text::xid8, $3)",
            NOW,
            *places[place - 1],
        )
        if waiting is not None:
            await connection.execute(
                "INSERT INTO webhook_deliveries (endpoint, tx, seq, subject, tries, since, next_at)"
                " VALUES ('w', $1::text::xid8, $2, '', 1, $3, $3)",
                *places[waiting - 1],
                NOW,
            )
        if replay is not None:
            await connection.execute(_REPLAY, *places[replay - 1], *places[place - 1])


_REPLAY = (
    "UPDATE webhook_endpoints SET replay_tx = $1::text::xid8, replay_seq = $2, until_tx = $3::text::xid8,"
    " until_seq = $4"
)


@pytest.mark.parametrize("uncalled", list(_UNCALLED))
@pytest.mark.parametrize("left", [{"waiting": 3}, {"replay": 2}, {}], ids=["a delivery", "a replay", "nothing"])
async def test_what_is_left_where_nobody_is_called_keeps_nothing(
    store: Database, tmp_path: Path, uncalled: str, left: dict[str, int]
) -> None:
    """Else the archive stands still for ever, without a word, because a client has gone."""
    await _tell(store, *range(209, 199, -1))
    await _endpoint(store, 5, **left)
    assert sum(one.rows for one in await _run(store, tmp_path)) == (2 if left else 5)
    async with store.connection() as connection:
        await connection.execute(_UNCALLED[uncalled])
    await _run(store, tmp_path)
    assert await _subjects(store, "events") == []


@pytest.mark.parametrize(("left", "enabled"), [({"waiting": 3}, False), ({"replay": 2}, False), ({}, True)])
async def test_an_endpoint_of_which_something_was_taken_out_is_not_enabled_as_if_nothing_were(
    store: Database, tmp_path: Path, left: dict[str, int], *, enabled: bool
) -> None:
    await _tell(store, 209, 208, 207, 206, 205, 4, 3, 2, 1, 0)
    await _endpoint(store, 8, **left)
    async with store.connection() as connection:
        await connection.execute(_UNCALLED["the endpoint is disabled"])
    assert sum(one.rows for one in await _run(store, tmp_path)) == 5
    webhooks = Webhooks(store, VirtualClock(NOW), VAULT, ())
    if enabled:
        assert (await webhooks.enable(None, "w", actor="op-me")).disabled_at is None
        return
    with pytest.raises(Conflict) as told:
        await webhooks.enable(None, "w", actor="op-me")
    assert told.value.code == "cursor_too_old"


async def test_a_replay_that_is_asked_for_meanwhile_misses_nothing(store: Database, tmp_path: Path) -> None:
    """Between the archive's look at the endpoints and its taking out."""
    await _tell(store, *range(209, 199, -1))
    await _endpoint(store, 10)
    webhooks = Webhooks(store, VirtualClock(NOW), VAULT, ())
    async with store.transaction() as connection:
        await events.stay(connection)
        run = asyncio.create_task(_run(store, tmp_path, piece=6))
        while not list(tmp_path.glob("archive.jsonl")):
            await asyncio.sleep(0.01)
        places = await connection.fetch("SELECT tx::text, seq FROM events e ORDER BY e.tx, e.seq")
        await connection.execute(_REPLAY, *places[3], *places[9])
    with pytest.raises(Conflict, match="told once more"):
        await run
    assert len(await _subjects(store, "events")) == 10
    with pytest.raises(Conflict, match="told once more"):
        await _run(store, tmp_path, piece=6)
    async with store.connection() as connection:
        await connection.execute("UPDATE webhook_endpoints SET replay_tx = NULL, until_tx = NULL")
    await _run(store, tmp_path, piece=6)
    assert (await _subjects(store, "events"), archive.verify(tmp_path)) == ([], [])
    with pytest.raises(InvalidRequest) as told:
        await webhooks.replay(None, "w", cursor_of(int(places[3][0]), places[3][1]), None, dead=False, actor="op-me")
    assert told.value.code == "cursor_too_old"


async def test_calls_of_what_is_open_stay(store: Database, tmp_path: Path) -> None:
    under_way, doubted, *ended = (await _ended(store))[:6]
    async with store.connection() as connection:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE payouts SET state = 'unknown', ended_at = NULL WHERE id = $1", int(under_way))
        await connection.execute("RESET session_replication_role")
        await connection.execute(
            "INSERT INTO cases (id, code, partner, payout, detail, opened_at, due_at)"
            " VALUES (1, 'contradiction', 'bni', $1, '', $2, $2)",
            int(doubted),
            NOW,
        )
    for number, subject in enumerate((under_way, doubted, *ended, "lnk_x")):
        for age in (100, 130 + number, 89):
            await _call(store, age, subject)
    filed = await _run(store, tmp_path, piece=3)
    gone = sorted(line["subject"] for line in _read(tmp_path, "exchanges"))
    assert gone == sorted([*ended, "lnk_x"] * 2)
    assert max(one.rows for one in filed) == 3
    assert sorted(await _subjects(store, "exchanges")) == sorted(
        [under_way, doubted] * 2 + [under_way, doubted, *ended, "lnk_x"]
    )
    async with store.connection() as connection:
        await connection.execute("UPDATE cases SET closed_at = $1, closed_by = 'x'", NOW)
    assert [one.rows for one in await _run(store, tmp_path)] == [1, 1], "a day each"


async def _filed_and_killed(store: Database, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that dies once its first file is on record, before its rows go."""

    async def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "_take_out", killed)
        with pytest.raises(KeyboardInterrupt):
            await _run(store, folder)


@pytest.mark.parametrize("dies", ["before the record", "before rows go", "with half a line on record"])
async def test_killed_in_between_the_next_run_goes_on(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    await _tell(store, *range(209, 199, -1))
    for age in (200, 201):
        await _call(store, age, "lnk_x")
    await _filed_and_killed(store, tmp_path, monkeypatch)
    record = tmp_path / "archive.jsonl"
    if dies == "before the record":
        record.unlink()
    elif dies == "with half a line on record":
        record.write_bytes(record.read_bytes()[:-20])
    assert len(await _subjects(store, "events")) == 10
    await _run(store, tmp_path)
    assert [line["subject"] for line in _read(tmp_path, "events")] == [str(age) for age in range(209, 199, -1)]
    assert len(_read(tmp_path, "exchanges")) == 2
    assert await _subjects(store, "events") == await _subjects(store, "exchanges") == []
    assert archive.verify(tmp_path) == []


async def test_two_at_once_take_nothing_out_that_neither_filed(store: Database, tmp_path: Path) -> None:
    await _tell(store, *range(209, 199, -1))
    one = Archive(store, VirtualClock(NOW), tmp_path / "one").run(KEPT, "op-me", piece=4)
    await anext(one)
    async with store.transaction() as connection:  # another one takes a part of what comes next
        await connection.execute("SET LOCAL gateway.purging = 'on'")
        await connection.execute("DELETE FROM events WHERE subject = '204'")
    file = Archive._file

    async def late(self: Archive, kind: str, rows: Any, actor: str) -> Filed:
        async with store.transaction() as connection:
            await connection.execute("SET LOCAL gateway.purging = 'on'")
            await connection.execute("DELETE FROM events WHERE subject = '203'")
        return await file(self, kind, rows, actor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Archive, "_file", late)
        with pytest.raises(Conflict, match="another folder"):
            await anext(one)
    assert await _subjects(store, "events") == ["205", "202", "201", "200"], "nothing went but what others took"
    assert sum(one.rows for one in await _run(store, tmp_path / "two")) == 4


async def test_two_at_once_into_one_folder_are_one(store: Database, tmp_path: Path) -> None:
    """Both would count the same files, and one of them write over what the other has taken out."""
    await _tell(store, *range(209, 199, -1))
    one = Archive(store, VirtualClock(NOW), tmp_path).run(KEPT, "op-me", piece=4)
    filed = [await anext(one)]
    with pytest.raises(Conflict, match="Another run"):
        await _run(store, tmp_path)
    filed += [each async for each in one]
    assert [each.rows for each in filed] == [4, 4, 2]
    assert await _run(store, tmp_path) == [], "it has ended"
    assert archive.verify(tmp_path) == []


@pytest.mark.parametrize("change", ["a byte", "a file", "a line", "rows"])
async def test_what_was_changed_is_named_and_nothing_more_is_filed(
    store: Database, tmp_path: Path, change: str
) -> None:
    await _tell(store, *range(209, 199, -1))
    path, record = tmp_path / (await _run(store, tmp_path))[-1].file, tmp_path / "archive.jsonl"
    if change == "a byte":
        content = bytearray(path.read_bytes())
        content[-7] ^= 1
        path.write_bytes(bytes(content))
    elif change == "a file":
        path.unlink()
    elif change == "a line":
        record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[1:]))
    else:
        record.write_bytes(record.read_bytes().replace(b'"rows":2', b'"rows":3'))
    assert archive.verify(tmp_path)
    await _tell(store, 199)
    with pytest.raises(InvalidRequest, match="another folder"):
        await _run(store, tmp_path)
    assert await _subjects(store, "events") == ["199"]


async def test_a_run_reads_no_more_of_what_was_filed_than_its_last_file(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _tell(store, *range(219, 199, -1))
    before, rows = await _run(store, tmp_path), archive._rows
    read: list[str] = []
    monkeypatch.setattr(archive, "_rows", lambda path, kind: read.append(path.name) or rows(path, kind))
    await _tell(store, 199)
    (new,) = await _run(store, tmp_path)
    assert set(read) == {before[-1].file, new.file}
    (tmp_path / before[1].file).write_bytes(b"")
    assert await _run(store, tmp_path) == []
    assert [one.file for one in archive.verify(tmp_path)] == [before[1].file], "asked for, all of it is"
    (tmp_path / before[1].file).unlink()
    with pytest.raises(InvalidRequest, match=before[1].file):
        await _run(store, tmp_path)


@pytest.mark.parametrize("other", ["empty", "as many at the same places"])
async def test_another_stores_folder_takes_nothing_out(
    store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """What a folder says was filed is looked for row by row, not by its number and place."""
    await _tell(store, *range(203, 199, -1))
    await _filed_and_killed(store, tmp_path, monkeypatch)
    filed = _read(tmp_path, "events")
    async with store.transaction() as connection:
        await connection.execute("SET LOCAL gateway.purging = 'on'; DELETE FROM events")
        if other != "empty":
            for line in filed:
                await connection.execute(
                    "INSERT INTO events (tx, seq, type, subject, data, at) OVERRIDING SYSTEM VALUE"
                    " VALUES ($1::text::xid8, $2, 'partner.paused', 'another', '{}', $3)",
                    str(line["tx"]),
                    line["seq"],
                    NOW - 200 * DAY,
                )
    if other == "empty":
        assert await _run(store, tmp_path) == []
    else:
        with pytest.raises(Conflict, match="another folder"):
            await _run(store, tmp_path)
        assert len(await _subjects(store, "events")) == 4
    async with store.connection() as connection:
        assert not await events.is_purged(connection, 0, 0), "no reader is told that something is gone"


async def test_what_is_young_never_goes(store: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="45 days"):
        async for _ in Archive(store, VirtualClock(NOW), tmp_path).run(44 * DAY, "op-me"):
            pass
