"""What the documents say is held of a person, against the schema: nothing is left out, and what is called erased is."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.security import places
from gateway.services.messages import retention
from gateway.storage.access import idempotency
from gateway.storage.base.database import Database
from tests.gateway.messages.test_erasure import ACCOUNT, NIK, Past, end, past

__all__ = ["past"]  # the fixture

DOCUMENT = Path(__file__).parents[3] / "docs" / "personal-data.md"
ROW = re.compile(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|(?: [^|]+ \| ([^|]+) \|)?$", re.MULTILINE)
KEPT = {
    "inbox": retention.NOTIFICATIONS_KEPT,
    "idempotency": timedelta(seconds=idempotency.KEPT_S),
    "events": retention.EVENTS_KEPT,
    "exchanges": retention.EXCHANGES_KEPT,
}


def said() -> list[tuple[str, str, str | None]]:
    """Table, column, and how it ends; None: it holds nothing of anybody."""
    rows = ROW.findall(DOCUMENT.read_text())
    return [(table, name, ends or None) for table, names, ends in rows for name in re.findall(r"\w+", names)]


async def test_every_column_is_of_a_person_or_of_nobody(database: str) -> None:
    store = await Database.open(database, size=1)
    try:
        async with store.connection() as connection:
            found = await connection.fetch(
                "SELECT table_name::text, column_name::text FROM information_schema.columns"
                " WHERE table_schema = 'public'"
                " AND data_type IN ('text', 'bytea', 'jsonb', 'json', 'ARRAY', 'character varying', 'xml')"
            )
    finally:
        await store.close()
    told = [(table, name) for table, name, _ in said()]
    assert len(told) == len(set(told)), "each stands in one list"
    there = {tuple(row) for row in found}
    assert there - set(told) == set(), (
        f"say in {DOCUMENT.name} whether these hold something of a person, and what ends it"
    )
    assert set(told) - there == set(), "these are gone"


def test_what_is_forgotten_by_itself_is_forgotten_after_what_is_said() -> None:
    days = {(table, ends) for table, _, ends in said() if ends and ends.endswith(" days")}
    assert days == {(table, f"{kept.days} days") for table, kept in KEPT.items()}
    assert {ends for *_, ends in said()} - {f"{kept.days} days" for kept in KEPT.values()} == {None, "erased", "kept"}


async def everything(past: Past) -> None:
    """Rows of the person in all those tables in which a payout leaves none."""
    town, vault = past.town, past.town.vault
    account, nik = vault.index(places.account_index("fake"), ACCOUNT), vault.index(places.NIK_INDEX, NIK)
    await town.execute("UPDATE participants SET name_index = $1", vault.index(places.NAME_INDEX, "Name 1"))
    await town.execute("UPDATE links SET carry_sealed = $1", vault.seal(places.link_carry("L00001"), "{}"))
    await town.execute("UPDATE incentives SET content_hash = $1", vault.index(places.CONTENT_INDEX, "row"))
    await town.execute("UPDATE batches SET content_key_sealed = $1", vault.seal(places.content_key("b"), "00"))
    await town.execute(
        "INSERT INTO verifications (id, participant, link_id, nik_index, state, created_at)"
        " SELECT 1, id, link_id, $1, 'decided', created_at FROM participants",
        nik,
    )
    await town.execute(
        "INSERT INTO nik_corrections (participant, nik_index, asked_by, asked_at) SELECT id, $1, 'c', created_at"
        " FROM participants",
        vault.index(places.NIK_INDEX, NIK[::-1]),
    )
    await town.execute(
        "INSERT INTO refusals (partner, stage, known, participant, account_index, code, weighed, good_before, said_at)"
        " SELECT 'fake', 'payout', true, id, $1, 'account_blocked', false, 0, created_at FROM participants",
        account,
    )
    await town.execute(
        "INSERT INTO reapprovals (batch_id, line, incentive, digest, lapsed_at)"
        " SELECT 'b', 1, id, digest, created_at FROM incentives"
    )
    other = vault.index(places.account_index("fake"), ACCOUNT[::-1])
    await town.execute("UPDATE participants SET account_index = $1", other)  # since, and never linked
    for reference, index in (("1", account), ("2", other)):
        await town.execute(
            "INSERT INTO strays (partner, reference, amount_rupiah, account_index, booked_at, seen_at, settled_at)"
            " SELECT 'fake', $1, 1, $2, created_at, created_at, created_at FROM participants",
            reference,
            index,
        )


async def held(past: Past, table: str, column: str) -> set[Any]:
    return {row[column] for row in await past.town.fetch(f"SELECT {column} FROM {table}") if row[column]}


async def test_what_is_called_erased_is_gone(past: Past) -> None:
    await everything(past)
    await end(past)
    erased = [(table, column) for table, column, ends in said() if ends == "erased"]
    before = {one: await held(past, *one) for one in erased}
    assert [one for one, values in before.items() if not values] == [], "nothing was there to be erased"
    for who in ("eva", "fay"):
        await past.erasing.erase(past.pid, who)
    left = {one: values & await held(past, *one) for one, values in before.items()}
    assert [one for one, values in left.items() if values] == []


async def test_the_key_of_a_root_goes_with_the_last_one_of_its_batch(past: Past) -> None:
    await everything(past)
    stays = await past.town.person()
    await past.town.incentive(stays, period="2")
    await end(past)
    for who in ("eva", "fay"):
        await past.erasing.erase(past.pid, who)
    assert await held(past, "batches", "content_key_sealed"), "somebody else may still compute the root"


async def test_a_notification_is_known_by_a_name_in_capitals_and_by_a_token_alone(past: Past) -> None:
    notes = {
        "capitals": b'{"name":"NAME 1"}',
        "token": rb'{"accessToken":"x\/y","other":"token-1"}',
        "others": b'{"name":"NOBODY","token":"token-2"}',
    }
    for number, (key, body) in enumerate(notes.items(), 1):
        await past.raw(number, key, body)
    await end(past)
    for who in ("eva", "fay"):
        done = await past.erasing.erase(past.pid, who)
    assert done.notifications == 2
    assert await held(past, "inbox", "event_key") == {"others"}
