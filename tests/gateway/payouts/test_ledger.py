"""What the database itself refuses of the ledger: whoever writes to it, it cannot leave its payouts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from contracts.payout import PayoutState
from gateway.storage.base.database import Connection, Database
from gateway.storage.payouts import ledger
from gateway.storage.payouts.ledger import ACCOUNTS, PLACE, Entry, entries_between
from tests.gateway.payouts.town import Town, open_town
from tests.turns import in_turn

AMOUNT_RUPIAH = 600_000


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    async with open_town(database) as town:
        yield town


async def reserved(town: Town) -> int:
    """A payout that has not been sent; its reserve stands in the ledger."""
    town.partner()
    incentive = await town.due(amount=AMOUNT_RUPIAH)
    await town.worker().claim("fake", 1)
    return (await town.payout(incentive)).id


async def move(town: Town, payout: int, entry: str, **changes: object) -> None:
    """One movement, right but for some changes."""
    debit, credit = ACCOUNTS[Entry(entry)] if entry in {one.value for one in Entry} else ("paid", "reserved")
    row = {"partner": "fake", "debit": debit, "credit": credit, "amount": AMOUNT_RUPIAH} | changes
    await town.execute(
        "INSERT INTO ledger (payout, partner, kind, debit, credit, amount_rupiah, at)"
        " VALUES ($1, $2, $3, $4, $5, $6, now())",
        payout, row["partner"], entry, row["debit"], row["credit"], row["amount"],
    )  # fmt: skip


async def imbalance(town: Town) -> int:
    async with town.database.connection() as connection:
        return await ledger.imbalance(connection)


@in_turn("state", list(PayoutState))
async def test_exactly_the_movements_of_a_state_are_taken(town: Town, state: PayoutState) -> None:
    payout = await reserved(town)
    await town.execute("UPDATE payouts SET state = $2 WHERE id = $1", payout, state.value)
    wanted = entries_between(PayoutState.RESERVED, state)
    taken = []
    for entry in (Entry.SETTLE, Entry.RELEASE, Entry.RETURN):
        try:
            await move(town, payout, entry.value)
            taken.append(entry)
        except asyncpg.IntegrityConstraintViolationError:
            continue
    assert tuple(taken) == wanted
    if state is not PayoutState.REVERSED:
        assert len(taken) == (PLACE[state] != "reserved")


@pytest.mark.parametrize(
    ("entry", "changes"),
    [
        ("settle", {"amount": AMOUNT_RUPIAH + 1}),
        ("settle", {"amount": -AMOUNT_RUPIAH}),
        ("settle", {"partner": "other"}),
        ("settle", {"debit": "fee"}),
        ("settle", {"credit": "float"}),
        ("settle", {"debit": "reserved"}),
        ("reserve", {}),
        ("gift", {}),
    ],
)
async def test_a_movement_that_its_payout_does_not_bear_out_is_refused(
    town: Town, entry: str, changes: dict[str, object]
) -> None:
    payout = await reserved(town)
    await town.execute("UPDATE payouts SET state = 'succeeded' WHERE id = $1", payout)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await move(town, payout, entry, **changes)
    await move(town, payout, "settle")
    assert await imbalance(town) == 0


async def test_an_amount_leaves_once_settled_or_released(town: Town) -> None:
    payout = await reserved(town)
    await town.execute("UPDATE payouts SET state = 'rejected' WHERE id = $1", payout)
    await move(town, payout, "release")
    await town.execute("UPDATE payouts SET state = 'succeeded' WHERE id = $1", payout)
    with pytest.raises(asyncpg.UniqueViolationError):
        await move(town, payout, "settle")
    await move(town, payout, "settle_late")
    assert await imbalance(town) == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger SET amount_rupiah = 1",
        "DELETE FROM ledger",
        "DELETE FROM payouts",
        "UPDATE payouts SET amount_rupiah = 1",
        "UPDATE payouts SET partner = 'other'",
        "UPDATE payouts SET incentive = incentive + 1",
        "UPDATE payouts SET participant = participant + 1",
        "UPDATE payouts SET link_id = 'another'",
        "DELETE FROM incentives",
        "DELETE FROM links",
        "DELETE FROM participants",
        "UPDATE incentives SET id = DEFAULT",
        "UPDATE links SET id = 'another'",
    ],
)
async def test_what_was_booked_is_not_changed(town: Town, change: str) -> None:
    await reserved(town)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await town.execute(change)


@pytest.mark.parametrize(
    "stray",
    ["incentive + 1, participant, link_id", "incentive, participant + 1, link_id", "incentive, participant, 'L'"],
)
async def test_a_payout_belongs_to_an_incentive_of_its_participant_and_to_a_link(town: Town, stray: str) -> None:
    await reserved(town)
    await town.execute("UPDATE payouts SET state = 'cancelled'")
    copy = (
        "INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state,"
        " created_at, updated_at) SELECT id + 1, $1, {}, partner, amount_rupiah, 'reserved', created_at, updated_at"
        " FROM payouts"
    )
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await town.execute(copy.format(stray), "one")
    await town.execute(copy.format("incentive, participant, link_id"), "another")


async def test_a_movement_belongs_to_a_payout(town: Town) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await move(town, 1, "reserve")


@pytest.mark.parametrize("by_key", [True, False], ids=["a worker", "the API"])
@pytest.mark.parametrize("statistics", ["of an empty table", "true ones"])
async def test_a_movement_reads_no_payout_but_its_own(town: Town, statistics: str, by_key: bool) -> None:
    town.partner()
    if statistics == "of an empty table":
        await town.execute("VACUUM ANALYZE payouts")
    for _ in range(80):
        await town.due(amount=AMOUNT_RUPIAH)
    ids = [leased.payout.id for leased in await town.worker().claim("fake", 80)][:5]
    if statistics == "true ones":
        await town.execute("VACUUM ANALYZE payouts")
    await town.execute("UPDATE payouts SET state = 'succeeded' WHERE id = ANY($1)", ids)

    async def read(connection: Connection) -> int:
        found = await connection.fetchval(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'payouts'"
        )
        return int(found or 0)

    other = await Database.open(town.settings.database_url.reveal(), size=1, by_key=by_key)
    try:
        async with other.transaction() as connection:
            before = await read(connection)
            await connection.execute(
                "INSERT INTO ledger (payout, partner, kind, debit, credit, amount_rupiah, at)"
                " SELECT id, partner, 'settle', 'paid', 'reserved', amount_rupiah, now()"
                " FROM unnest($1::bigint[]) WITH ORDINALITY AS own (id, n)"
                " CROSS JOIN (SELECT 'fake' AS partner, 600000 AS amount_rupiah) AS all_alike",
                ids,
            )
            assert await read(connection) - before <= 2 * len(ids)
    finally:
        await other.close()
