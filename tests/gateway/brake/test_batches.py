"""A batch most of whose people are refused while others are not: it is told, and nobody else is held for it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest

from contracts.batch import BatchDoubt
from contracts.brake import HARD_LOOK, LOOKS_S, RING_LIFE_S
from contracts.identity import IdentityAnswer, Verdict
from gateway.services.brake import brake
from gateway.services.brake.batches import COUNTED, OTHERS
from gateway.services.brake.brake import Brake
from gateway.storage.base.database import Connection
from gateway.storage.brake import batches
from tests.gateway.linking.fake import granted
from tests.gateway.linking.world import World

MATCH, MISMATCH = IdentityAnswer(verdict=Verdict.MATCH), IdentityAnswer(verdict=Verdict.MISMATCH, partner_code="N")
_BATCH = """INSERT INTO batches (id, client_id, state, single, rows_accepted, rows_rejected, rows_repeated,
amount_rupiah, content_root, received_at) VALUES ($1, 'core', 'approved', $2, 0, 0, 0, 0, '', $3)
ON CONFLICT DO NOTHING"""
_PEOPLE = (
    """INSERT INTO participants (participant_id, nik_sealed, nik_index, name_sealed, phone_sealed, partner,
    account_sealed, account_index, facts_at, created_at)
    SELECT $1 || n, '', sha256(($1 || n)::bytea), '', '', $2, '', sha256(($1 || n)::bytea), $3, $3
    FROM generate_series(1, $4::int) n""",
    """INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,
    created_at, updated_at) SELECT participant_id, id, 'core', partner, account_index, '', 'active', 'x', $2, $2
    FROM participants WHERE participant_id LIKE $1 || '%'""",
    """INSERT INTO incentives (batch_id, line, programme, purpose, period, participant, participant_id, nik_index,
    partner, amount_rupiah, due_on, deadline_on, content_hash, approved, link_active, verified, facts_at, created_at)
    SELECT $2, id, 'kp', 'training', '1', id, participant_id, nik_index, partner, 1, '2026-01-02', '2026-12-31', '',
    true, false, false, $3, $3 FROM participants WHERE participant_id LIKE $1 || '%'""",
)
_MATCHED = (
    """UPDATE participants SET link_active = true, verified = true, link_id = participant_id,
    verified_until = $2::timestamptz + interval '90 days' WHERE participant_id LIKE $1 || '%'""",
    """INSERT INTO verifications (id, participant, link_id, nik_index, state, verdict, decided_at, created_at)
    SELECT id, id, participant_id, nik_index, 'decided', 'match', $2, $2
    FROM participants WHERE participant_id LIKE $1 || '%'""",
)
_PAID = (
    """INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state, created_at,
    updated_at, ended_at) SELECT id, 'R' || id, id, participant, participant_id, partner, 1, 'succeeded', $2, $2, $2
    FROM incentives WHERE participant_id LIKE $1 || '%'""",
    "UPDATE incentives SET payout = 'succeeded' WHERE participant_id LIKE $1 || '%' AND $2::timestamptz IS NOT NULL",
)


class Told(NamedTuple):
    """What a partner said of how many people: those of one batch, and others since then."""

    refused: int
    good: int
    others_refused: int = 0
    others_good: int = OTHERS
    code: str = "nik_mismatch"
    stage: str = "verify"
    ago_s: float = 60.0
    single: bool = False
    elsewhere: bool = False
    """The others are at another partner."""
    bad: bool = False


CASES = {
    "half": Told(20, 20, bad=True),
    "link": Told(20, 0, code="account_not_found", stage="link", bad=True),
    "paying": Told(20, 0, code="account_not_found", stage="payout", bad=True),
    "others-mixed": Told(30, 0, others_refused=3, others_good=3, bad=True),
    "too-few": Told(19, 0),
    "under-half": Told(20, 21),
    "one-other": Told(20, 0, others_good=1),
    "others-refused": Told(20, 0, others_refused=4, others_good=3),
    "others-elsewhere": Told(20, 0, elsewhere=True),
    "paying-verified": Told(20, 0, code="account_not_found", stage="payout", others_good=0),
    "tokens": Told(20, 0, code="link_revoked", stage="proof"),
    "long-ago": Told(20, 0, ago_s=RING_LIFE_S + 1.0),
    "singles": Told(20, 0, single=True),
}


async def add(
    connection: Connection, who: str, batch: str, partner: str, n: int, told: Told, at: datetime, *, good: bool
) -> None:
    """So many people of a batch of whom a partner said something then."""
    await connection.execute(_BATCH, batch, told.single, at)
    await connection.execute(_PEOPLE[0], who, partner, at, n)
    await connection.execute(_PEOPLE[1], who, at)
    await connection.execute(_PEOPLE[2], who, batch, at)
    if good or told.stage == "payout":
        for text in _MATCHED:
            await connection.execute(text, who, at - timedelta(days=1) if told.stage == "payout" else at)
    if good and told.stage == "payout":
        for text in _PAID:
            await connection.execute(text, who, at)
    if not good:
        await connection.execute(
            "INSERT INTO refusals (partner, stage, known, participant, account_index, code, weighed, good_before,"
            " said_at) SELECT partner, $2, false, id, account_index, $3, true, 0, $4 FROM participants"
            " WHERE participant_id LIKE $1 || '%'",
            who,
            told.stage,
            told.code,
            at,
        )
        table, column = ("incentives", "own") if told.stage == "payout" else ("participants", "standing")
        text = f"UPDATE {table} SET {column} = $2 WHERE participant_id LIKE $1 || '%'"
        await connection.execute(text, who, told.code)


async def doubted(world: World) -> set[str]:
    return {row["id"] for row in await world.all("SELECT id FROM batches WHERE doubted_at IS NOT NULL")}


async def test_which_batches_are_bad(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each at a partner of its own, all judged at once; told once, by numbers and codes, and counted for all."""
    now = world.clock.now()
    async with world.database.transaction() as connection:
        for name, told in CASES.items():
            at = now - timedelta(seconds=told.ago_s)
            await add(connection, f"{name}.r", name, name, told.refused, told, at, good=False)
            await add(connection, f"{name}.g", name, name, told.good, told, at, good=True)
            there, others = (f"{name}/2" if told.elsewhere else name), f"others of {name}"
            await add(connection, f"{name}/r", others, there, told.others_refused, told, now, good=False)
            await add(connection, f"{name}/g", others, there, told.others_good, told, now, good=True)
    counted: Counter[str] = Counter()
    whole = batches.counted

    async def counts(connection: Connection, batch: str, partner: str, *, paying: bool) -> BatchDoubt:
        counted[batch] += 1
        return await whole(connection, batch, partner, paying=paying)

    monkeypatch.setattr(batches, "counted", counts)
    workers = [Brake(world.database, world.clock) for _ in range(2)]
    for often in (1, 2):  # once when they come into doubt, and once again for all workers
        for worker in (*workers, *workers):
            await worker.tick_batches()
            assert await doubted(world) == {name for name, told in CASES.items() if told.bad}
        assert {counted[name] for name, told in CASES.items() if told.bad} == {often}
        world.clock.forward(COUNTED.total_seconds())
    told_of = await world.all("SELECT subject, data FROM events WHERE type = 'batch.doubted'")
    assert {row["subject"]: row["data"] for row in told_of} == {
        name: {
            "partner": name, "refused": told.refused, "answered": told.refused + told.good,
            "codes": {told.code: told.refused},
        }
        for name, told in CASES.items() if told.bad
    }  # fmt: skip
    cases = await world.all("SELECT code, partner, incentive, detail FROM cases WHERE closed_at IS NULL")
    assert {one["partner"]: one["code"] for one in cases} == {name: t.code for name, t in CASES.items() if t.bad}
    assert all(one["incentive"] is not None for one in cases), "else its organisation would not see it"
    weighed = await world.all("SELECT DISTINCT partner FROM refusals WHERE weighed AND NOT partner LIKE '%/%'")
    assert {row["partner"] for row in weighed} - {"others-mixed"} == {
        name for name, told in CASES.items() if not told.bad
    }


@pytest.mark.parametrize("remedy", ["stopped", "corrected"])
async def test_a_doubt_ends_with_its_cause(world: World, remedy: str) -> None:
    told, now = Told(20, 0), world.clock.now()
    async with world.database.transaction() as connection:
        await add(connection, "r", "bad", "bank", 20, told, now - timedelta(seconds=60), good=False)
        await add(connection, "g", "b", "bank", OTHERS, told, now, good=True)
    watch = Brake(world.database, world.clock)
    await watch.tick_batches()
    assert await doubted(world) == {"bad"}
    async with world.database.transaction() as connection:
        if remedy == "stopped":
            await connection.execute("UPDATE batches SET state = 'stopped' WHERE id = 'bad'")
            await connection.execute("UPDATE incentives SET cancelled = true WHERE batch_id = 'bad'")
        else:
            await connection.execute(
                "UPDATE participants SET standing = NULL, link_active = true, verified = true, verified_until = $1,"
                " link_id = participant_id WHERE participant_id LIKE 'r%' AND length(participant_id) < 4"
                " AND participant_id <= 'r19'",
                now + timedelta(days=90),
            )
    world.clock.forward(COUNTED.total_seconds())
    await watch.tick_batches()
    assert await doubted(world) == set()
    assert await world.all("SELECT FROM cases WHERE closed_at IS NULL") == []
    assert await world.all("SELECT FROM batches WHERE doubt IS NOT NULL") == []


async def test_a_bad_batch_holds_nobody_else_for_long_and_undoes_nothing(world: World) -> None:
    """All of one file are mismatched, others are not: the stage is held for moments, until that is known."""
    bank, watch, people = world.banks["sole"], Brake(world.database, world.clock), 0

    async def come(batch: str, n: int, token: str = "") -> list[str]:
        nonlocal people
        pids = []
        for _ in range(n):
            people += 1
            pids.append(await world.person("sole", f"+62812000{people:05d}", batch=batch))
            await world.linked(pids[-1], granted(f"{token or batch}-{people}"))
        return pids

    async def verify() -> IdentityAnswer:
        return MISMATCH if str(bank.sent[-1][1]["token"]).startswith("bad") else MATCH

    async with world.database.transaction() as connection:
        await connection.execute(_BATCH, "bad", False, world.clock.now())
    bank.always["verify"] = verify
    known = await come("b", 8)
    while await world.verification.tick(1):
        pass
    world.clock.forward(3_600)
    wrong = await come("bad", 40)
    holds = 0
    for _ in range(12):
        while await world.verification.tick(1):
            if await world.all("SELECT FROM holds WHERE released_at IS NULL"):
                break
        held = len(await world.all("SELECT FROM holds WHERE released_at IS NULL"))
        holds += held
        world.clock.forward(3)
        await watch.tick_batches()
        if held:  # only canaries leave: those chosen are the first in turn
            await world.verification.tick(brake.GOOD_ENOUGH)
            await watch.tick()
            assert not await world.all("SELECT FROM holds WHERE released_at IS NULL"), "nobody else is kept waiting"
            world.clock.forward(COUNTED.total_seconds())
            await watch.tick_batches()  # those refused are being asked again: a doubt does not end by it
    assert 3 <= holds <= 4
    assert await doubted(world) == {"bad"}
    (alone,) = await come("b", 1, token="bad")
    await world.verification.tick(1)
    assert (await world.facts(alone))[1:] == (False, "nik_mismatch")
    assert await world.all("SELECT FROM holds WHERE released_at IS NULL") == [], "one alone is no crowd"
    late = await come("b", 3)
    while await world.verification.tick(1):
        pass
    assert [(await world.facts(pid))[1:] for pid in [*known, *late]] == [(True, None)] * 11
    assert {(await world.facts(pid))[1:] for pid in wrong} == {(False, "nik_mismatch")}, "a named reason"
    (event,) = await world.all("SELECT subject FROM events WHERE type = 'batch.doubted'")
    assert event["subject"] == "bad"
    assert await world.all("SELECT FROM holds WHERE released_at IS NULL") == []
    doubt = (await world.one("SELECT min(doubted_at) AS at FROM batches"))["at"]
    assert doubt > (await world.one("SELECT min(said_at) AS at FROM refusals"))["at"]
    for ends_s, states in ((-1.0, {"active"}), (1.0, {"active", "unlinking"})):
        world.clock.forward((doubt - world.clock.now()).total_seconds() + LOOKS_S[HARD_LOOK] + ends_s)
        await watch.tick_looks()
        for pid in wrong[:1]:
            await world.verification.request(pid)
        while await world.verification.tick():
            pass
        links = await world.all("SELECT DISTINCT state FROM links")
        assert {row["state"] for row in links} == states, "nothing hard in the first day of the doubt"
