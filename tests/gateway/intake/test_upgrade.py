"""A database of before there were digests: nobody can vouch for its approvals, and two people give them anew, once."""

from __future__ import annotations

import json

import asyncpg
import pytest

from gateway.security import places
from gateway.security.vault import Vault
from gateway.services.intake.batches import Batches, Decision
from gateway.services.intake.programmes import Programmes
from gateway.storage.base import migrate
from gateway.storage.base.database import Database
from tests.conftest import MASTER_KEY
from tests.gateway.older import migrate_before
from tests.gateway.payouts.fake import NOON, VirtualClock, manifest

OLD = (
    ("1", "approved, and nothing of it left", True, False, None),
    ("2", "paid", True, False, "succeeded"),
    ("3", "its batch still waits", False, False, None),
    ("4", "cancelled", True, True, None),
)


async def _old(connection: asyncpg.Connection, vault: Vault) -> None:
    """Somebody's instalments of that time."""
    for client in ("core", "one", "two"):
        await connection.execute(
            "INSERT INTO clients (id, name, secret_hash, scopes, created_at) VALUES ($1, $1, '', '{}', $2)",
            client,
            NOON,
        )
    for batch, state in (("b", "approved"), ("w", "awaiting_approval")):
        await connection.execute(
            "INSERT INTO batches (id, client_id, state, rows_accepted, rows_rejected, rows_repeated, amount_rupiah,"
            " content_root, received_at) VALUES ($1, 'core', $2, 0, 0, 0, 0, '', $3)",
            batch,
            state,
            NOON,
        )
    person = await connection.fetchval(
        "INSERT INTO participants (participant_id, nik_sealed, nik_index, name_sealed, phone_sealed, partner,"
        " account_sealed, account_index, facts_at, created_at)"
        " VALUES ('P1', '', $1, '', '', 'fake', '', $2, $3, $3) RETURNING id",
        vault.index(places.NIK_INDEX, "1101010101019901"),
        vault.index(places.account_index("fake"), "0000000001"),
        NOON,
    )
    for period, _, approved, cancelled, payout in OLD:
        await connection.execute(
            "INSERT INTO incentives (batch_id, line, programme, purpose, period, participant, participant_id,"
            " nik_index, partner, amount_rupiah, due_on, deadline_on, content_hash, approved, cancelled, payout,"
            " link_active, verified, facts_at, created_at) SELECT $1, $2, 'kp', 'training', $3, t.id, 'P1',"
            " t.nik_index, 'fake', 600000, '2026-11-24', '2026-12-31', '', $4, $5, $6, false, false, $7, $7"
            " FROM participants t WHERE t.id = $8",
            "b" if approved else "w",
            int(period),
            period,
            approved,
            cancelled,
            payout,
            NOON,
            person,
        )


async def test_approvals_of_before_lapse_once_and_are_given_anew(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate_before("0014", empty_database, monkeypatch)
    vault = Vault(MASTER_KEY)
    connection = await asyncpg.connect(empty_database)
    try:
        await _old(connection, vault)
        await migrate.migrate(empty_database)
        assert await migrate.migrate(empty_database) == 0
        rows = await connection.fetch(
            "SELECT period, approved, lapsed_at IS NOT NULL AS lapsed FROM incentives ORDER BY 1"
        )
        stands = {row["period"]: (row["approved"], row["lapsed"]) for row in rows}
        assert stands == {"1": (False, True), "2": (True, False), "3": (False, True), "4": (True, False)}
    finally:
        await connection.close()
    database, clock = await Database.open(empty_database, size=4), VirtualClock(NOON)
    try:
        batches = Batches(database, clock, vault, {"fake": manifest("fake")}, Programmes(database, clock))
        batch = (await batches.reapprove("core")).batch
        assert batch.rows_accepted == 1, "the one whose batch was approved"
        for name in ("one", "two"):
            await batches.decide(name, batch.id, Decision.APPROVE, batch.content_root)
        async with database.connection() as one:
            found = await one.fetch("SELECT period FROM incentives WHERE approved AND digest IS NOT NULL")
        assert [row["period"] for row in found] == ["1"]
    finally:
        await database.close()


async def test_what_was_over_before_it_had_a_stage_is_returned_and_told_so(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate_before("0014", empty_database, monkeypatch)
    connection = await asyncpg.connect(empty_database)
    try:
        await _old(connection, Vault(MASTER_KEY))
        await migrate_before("0096", empty_database, monkeypatch)
        await connection.execute("UPDATE incentives SET past_deadline = true WHERE period <> '3'")
        heard = await connection.fetchval("SELECT count(*) FROM events")
        await migrate.migrate(empty_database)
        rows = await connection.fetch("SELECT period, stage, blocker FROM incentives ORDER BY 1")
        assert [tuple(row) for row in rows] == [
            ("1", "returned", "deadline_passed"), ("2", "paid", None), ("3", "awaiting_link", "link_required"),
            ("4", "cancelled", None),
        ]  # fmt: skip
        counted = "SELECT stage, coalesce(blocker, '') AS b, {} AS n, {} AS rupiah FROM {} GROUP BY 1, 2 HAVING {} <> 0"
        sums = ("sum(incentives)", "sum(amount_rupiah)", "funnel_counts", "sum(incentives)")
        kept = {tuple(row) for row in await connection.fetch(counted.format(*sums))}
        rows = await connection.fetch(counted.format("count(*)", "sum(amount_rupiah)", "incentives", "count(*)"))
        assert kept == {tuple(row) for row in rows}
        told = await connection.fetch("SELECT data FROM events ORDER BY seq OFFSET $1", heard)
        assert [(one["stage"], one["blocker"]) for one in (json.loads(row["data"]) for row in told)] == [
            ("returned", "deadline_passed")
        ]
    finally:
        await connection.close()
