"""Whom a client of another organisation handed over by mistake, and nobody did anything about, goes to their own."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.gateway.api.kit import Api, as_csv, nik, row
from tests.gateway.api.test_tenancy import MAKING, admit
from tests.gateway.intake.test_corrections import OTHER
from tests.gateway.plans.kit import entitle, outcomes, person, plan, say

WAITED_S = 20.0


@pytest.fixture
async def mistaken(api: Api) -> str:
    """The id of somebody whom the wrong organisation handed over in a file that was rejected."""
    await admit(api, "other maker", MAKING)
    batch = (await api.submit(as_csv([row(1), row(2)]))).json()
    assert (await api.decide(batch, "one", "reject")).status_code == 200
    participant_id: str = row(1)["participant_id"]
    return participant_id


async def _hand_over(api: Api, way: str, line: dict[str, Any], role: str = "other maker") -> str:
    """The code of what speaks against it; '' where nothing does."""
    if way == "batch":
        batch = (await api.submit(as_csv([line]), role=role, key=f"{role[:5]}-file")).json()
        results = (await api.call("GET", f"/v1/batches/{batch['batch_id']}/results", role=role)).json()
        return "".join(each["code"] or "" for each in results["rows"])
    reply = await api.call("POST", "/v1/incentives", role=role, key=f"{role[:5]}-single", json=line)
    return "" if reply.status_code == 201 else str(reply.json()["code"])


@pytest.mark.parametrize("other", [{}, OTHER])
@pytest.mark.parametrize("way", ["batch", "single"])
async def test_a_rejected_file_keeps_nobody_from_their_own(
    api: Api, mistaken: str, way: str, other: dict[str, Any]
) -> None:
    assert await _hand_over(api, way, row(1) | other) == ""
    (known,) = await api.fetch("SELECT * FROM participants WHERE participant_id = $1", mistaken)
    assert (known["organisation"], known["partner"]) == ("other-maker", (row(1) | other)["partner"])
    name = api.core.resources.vault.open(f"participants.name|{mistaken}", known["name_sealed"])
    assert name == (row(1) | other)["full_name"]
    path = f"/v1/participants/{mistaken}"
    assert (await api.call("GET", path, role="maker")).status_code == 404
    assert (await api.call("GET", path, role="other maker")).status_code == 200
    listed = {
        role: (await api.call("GET", "/v1/incentives", role=role)).json()["incentives"]
        for role in ("maker", "other maker")
    }
    assert [len(each) for each in listed.values()] == [2, 1], "what was rejected stays whose it was"
    for again in ("batch", "single"):
        assert await _hand_over(api, again, row(1, period="2"), role="maker") == "participant_taken"
    (untouched,) = await api.fetch("SELECT organisation FROM participants WHERE participant_id <> $1", mistaken)
    assert untouched["organisation"] != "other-maker", "only who was handed over"


async def test_a_plan_takes_them_as_well(api: Api, mistaken: str) -> None:
    theirs = (await api.call("POST", "/v1/plans", role="other maker", key="theirs", json=plan())).json()
    for role in ("one", "two"):
        assert (await say(api, theirs, role)).status_code == 200
    assert outcomes(await entitle(api, theirs["plan_id"], person(1), role="other maker")) == ["made"]
    (known,) = await api.fetch("SELECT organisation FROM participants WHERE participant_id = $1", mistaken)
    assert known["organisation"] == "other-maker"


THERE = {
    "an incentive": "UPDATE incentives SET cancelled = false WHERE participant = $1",
    "a payment": "UPDATE incentives SET payout = 'succeeded', payouts = 1 WHERE participant = $1",
    "a try": "UPDATE incentives SET payouts = 1 WHERE participant = $1",
    "a link that is over": "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed,"
    " state, return_url, created_at, updated_at) SELECT 'l1', p.id, c.id, partner, account_index, account_sealed,"
    " 'revoked', '', now(), now() FROM participants p, clients c WHERE p.id = $1 LIMIT 1",
    "a proof of their account": "INSERT INTO account_proofs (participant, partner, account_index, nik_index, document,"
    " given_by, given_at) SELECT id, partner, account_index, nik_index, 'letter', 'one', now() FROM participants"
    " WHERE id = $1",
}


@pytest.mark.parametrize("there", THERE)
async def test_whoever_has_anything_keeps_them(api: Api, mistaken: str, there: str) -> None:
    (known,) = await api.fetch("SELECT id FROM participants WHERE participant_id = $1", mistaken)
    await api.fetch(THERE[there], known["id"])
    before = await api.fetch("SELECT * FROM participants ORDER BY id")
    for way in ("batch", "single"):
        assert await _hand_over(api, way, row(1, period="2") | OTHER) == "participant_taken"
    assert await api.fetch("SELECT * FROM participants ORDER BY id") == before
    with pytest.raises(asyncpg.RestrictViolationError):
        await api.fetch("UPDATE participants SET organisation = 'other-maker' WHERE id = $1", known["id"])


@pytest.mark.parametrize("way", ["batch", "single"])
async def test_whoever_has_entitled_them_keeps_them_though_it_is_over(api: Api, mistaken: str, way: str) -> None:
    ours = (await api.call("POST", "/v1/plans", role="maker", key="ours", json=plan())).json()
    for role in ("one", "two"):
        assert (await say(api, ours, role)).status_code == 200
    assert outcomes(await entitle(api, ours["plan_id"], person(1))) == ["made"]
    assert (await api.call("POST", f"/v1/participants/{mistaken}/stop", role="one")).status_code == 200
    (state,) = await api.fetch("SELECT state FROM entitlements")
    assert state["state"] == "cancelled"
    assert await _hand_over(api, way, row(1, period="2") | OTHER) == "participant_taken"


@pytest.mark.parametrize("way", ["batch", "single"])
@pytest.mark.parametrize("whose", ["maker", "other maker"])
async def test_what_is_handed_over_meanwhile_binds_them(api: Api, mistaken: str, way: str, whose: str) -> None:
    """Somebody else's transaction has handed the person over and not ended when these rows are decided about."""
    database = api.core.resources.database
    async with database.connection() as other:
        work = other.transaction()
        await work.start()
        participant = await other.fetchval("SELECT id FROM participants WHERE participant_id = $1 FOR SHARE", mistaken)
        given = asyncio.create_task(_hand_over(api, way, row(1, period="2") | OTHER, role=whose))
        await waits(api)
        await other.execute("UPDATE incentives SET cancelled = false WHERE participant = $1", participant)
        await work.commit()
    async with asyncio.timeout(WAITED_S):
        told = await given
    assert told == ("participant_conflict" if whose == "maker" else "participant_taken")
    (known,) = await api.fetch("SELECT * FROM participants WHERE id = $1", participant)
    assert (known["partner"], known["organisation"] == "other-maker") == (row(1)["partner"], False)
    (approved_as,) = await api.fetch(
        "SELECT nik_index FROM incentives WHERE participant = $1 AND NOT cancelled", participant
    )
    assert approved_as["nik_index"] == known["nik_index"], nik(1)


async def waits(api: Api) -> None:
    """Until somebody waits for a row, or a turn, that another one holds."""
    async with asyncio.timeout(WAITED_S):
        while not await api.fetch(
            "SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple', 'advisory')"
        ):
            await asyncio.sleep(0.02)
