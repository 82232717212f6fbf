"""Whoever was paid an instalment is not paid it again after having been erased, whatever id and way they come by."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.storage.intake import erasures, rules, staging
from gateway.storage.intake.rules import Against
from tests.gateway.api.kit import Api, as_csv, nik, row
from tests.gateway.api.test_tenancy import MAKING, admit
from tests.gateway.intake.test_free_participants import WAITED_S, waits

TURN = 4_242
WAITS = Against(
    f"SELECT 0, '', '', '' FROM (SELECT pg_advisory_xact_lock({TURN})::text AS done) w WHERE done = 'never'"
)


@pytest.fixture
async def paid(api: Api) -> None:
    """The first person was paid period 1, handed over period 2 and never paid it."""
    made = (await api.submit(as_csv([row(1), row(1, period="2")]))).json()
    assert made["rows_accepted"] == 2
    await api.fetch("UPDATE incentives SET payout = 'succeeded', payouts = 1 WHERE period = '1'")


@pytest.fixture
async def erased(api: Api, paid: None) -> None:
    """Then erased."""
    await erase(api)


async def erase(api: Api) -> None:
    now = datetime.now(UTC)
    async with api.core.resources.database.transaction() as connection:
        (person,) = await connection.fetch("SELECT id FROM participants")
        await erasures.ask(connection, person["id"], "one", now)
        await erasures.erase(connection, person["id"], "two", now)


@pytest.mark.usefixtures("erased")
async def test_under_another_id(api: Api) -> None:
    again = row(2, nik=nik(1))
    single = await api.call("POST", "/v1/incentives", key="s1", json=again)
    assert (single.status_code, single.json()["code"]) == (409, "instalment_paid")
    batch = (await api.submit(as_csv([again, row(3)]), key="b1")).json()
    assert (batch["rows_accepted"], batch["rows_rejected"]) == (1, 1)
    (refused,) = (await api.call("GET", batch["results_url"] + "?outcome=rejected")).json()["rows"]
    assert refused["code"] == "instalment_paid"
    unpaid = await api.call("POST", "/v1/incentives", key="s2", json=row(2, nik=nik(1), period="2"))
    assert unpaid.status_code == 201, "only what was paid is held against them"


@pytest.mark.usefixtures("paid")
@pytest.mark.parametrize("looks", range(len(rules.against("''", "true")) + 1))
async def test_while_a_file_is_decided_about(api: Api, monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """Each look at what is stored is a statement that sees what was committed before it: the erasure is between two."""
    asked = staging._AGAINST
    monkeypatch.setattr(staging, "_AGAINST", (*asked[:looks], WAITS, *asked[looks:]))
    async with api.core.resources.database.connection() as other:
        await other.execute(f"SELECT pg_advisory_lock({TURN})")
        given = asyncio.create_task(api.submit(as_csv([row(2, nik=nik(1))]), key="b1"))
        await waits(api)
        await erase(api)
        await other.execute(f"SELECT pg_advisory_unlock({TURN})")
    async with asyncio.timeout(WAITED_S):
        assert (await given).json()["rows_accepted"] == 0, "they were paid this instalment"


@pytest.mark.usefixtures("erased")
async def test_by_a_corrected_nik(api: Api) -> None:
    made = await api.call("POST", "/v1/incentives", key="s1", json=row(2))
    assert made.status_code == 201
    changed = await api.call("PUT", "/v1/participants/P00000002", key="c1", json={"nik": nik(1)})
    assert (changed.status_code, changed.json()["code"]) == (409, "instalment_paid"), changed.text


@pytest.mark.usefixtures("erased")
async def test_what_is_left_tells_nothing_of_anybody(api: Api) -> None:
    index = api.core.resources.vault.index("nik", nik(1))
    (mark,) = await api.fetch("SELECT mark FROM erased_instalments")
    assert mark["mark"] != index
    assert await api.fetch("SELECT 1 FROM incentives WHERE nik_index = $1", index) == []


async def test_an_id_that_was_erased_is_nobodys_anew(api: Api) -> None:
    """Erased for good: what came under it once more could not be erased again."""
    batch = (await api.submit(as_csv([row(1)]))).json()
    assert (await api.decide(batch, "one", "reject")).status_code == 200
    await erase(api)
    before = await api.fetch("SELECT * FROM participants")
    await admit(api, "other maker", MAKING)
    for role, code in (("maker", "participant_conflict"), ("other maker", "participant_taken")):
        single = await api.call("POST", "/v1/incentives", role=role, key=role[:5], json=row(1))
        assert (single.status_code, single.json()["code"]) == (409, code)
        batch = (await api.submit(as_csv([row(1)]), role=role, key=f"{role[:5]}-file")).json()
        assert (batch["rows_accepted"], batch["rows_rejected"]) == (0, 1)
    assert await api.fetch("SELECT * FROM participants") == before
    anew = await api.call("POST", "/v1/incentives", key="anew", json=row(1, participant_id="P-anew"))
    assert anew.status_code == 201
