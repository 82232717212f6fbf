"""One person is entitled once in a programme, also where it is a correction that shows who they are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.gateway.api.kit import Api, nik, row
from tests.gateway.api.test_tenancy import MAKING, admit
from tests.gateway.intake.test_free_participants import WAITED_S, waits
from tests.gateway.plans.kit import approved, complete, entitle, outcomes, person, plan, say
from tests.gateway.plans.test_plans import today

BONUS = {"purpose": "survey", "period": 9, "amount_rupiah": 600_000, "due_after_days": 7, "deadline_after_days": 60}
FIRST, SECOND = (row(number)["participant_id"] for number in (1, 2))


async def correct(api: Api, role: str = "maker") -> Any:
    """The second one is given the first one's NIK."""
    return await api.call("PUT", f"/v1/participants/{SECOND}", role=role, json={"nik": nik(1)})


@pytest.fixture
async def plans(api: Api) -> tuple[str, str]:
    """Two plans of one programme; somebody is entitled under each."""
    both = await approved(api), await approved(api, "second", name="bonus", instalments=[BONUS])
    assert [outcomes(await entitle(api, one, person(n + 1))) for n, one in enumerate(both)] == [["made"]] * 2
    return both


@pytest.mark.parametrize("noticed", [False, True])
async def test_a_corrected_nik_makes_nobody_entitled_twice(api: Api, plans: tuple[str, str], noticed: bool) -> None:
    if noticed:
        assert outcomes(await complete(api, plans[0], FIRST, finished_on=today(api).isoformat())) == ["made"]
    refused = await correct(api)
    assert refused.status_code == 409, "POST /v1/entitlements refuses the NIK too"
    (fault,) = refused.json()["faults"]
    assert (fault["code"], FIRST in fault["remedy"]["en"]) == ("nik_duplicate", True)
    assert "/v1/entitlements/{entitlement_id}/cancel" in fault["remedy"]["en"]
    (theirs,) = await api.fetch("SELECT id FROM entitlements WHERE participant_id = $1", FIRST)
    assert (await api.call("POST", f"/v1/entitlements/{theirs['id']}/cancel")).status_code == 200
    assert (await correct(api)).status_code == 200
    assert outcomes(await complete(api, plans[1], SECOND, finished_on=today(api).isoformat())) == ["made"]
    paid = await api.fetch("SELECT participant_id FROM incentives WHERE NOT cancelled")
    assert {one["participant_id"] for one in paid} == {SECOND}


async def test_who_is_another_organisations_is_not_named(api: Api, plans: tuple[str, str]) -> None:
    await admit(api, "other maker", MAKING)
    theirs = (await api.call("POST", "/v1/plans", role="other maker", key="theirs", json=plan())).json()
    for role in ("one", "two"):
        assert (await say(api, theirs, role)).status_code == 200
    third = person(3)
    assert outcomes(await entitle(api, theirs["plan_id"], third, role="other maker")) == ["made"]
    path = f"/v1/participants/{third['participant_id']}"
    refused = await api.call("PUT", path, role="other maker", json={"nik": nik(1)})
    assert refused.status_code == 409 and FIRST not in refused.text


async def test_a_nik_is_corrected_after_whoever_is_being_entitled(api: Api, plans: tuple[str, str]) -> None:
    await api.fetch("UPDATE entitlements SET state = 'cancelled' WHERE participant_id = $1", FIRST)
    async with api.core.resources.database.connection() as other:
        work = other.transaction()
        await work.start()
        await other.execute("SELECT pg_advisory_xact_lock(hashtext('entitlements'), hashtext($1))", plan()["programme"])
        corrected = asyncio.create_task(correct(api))
        await waits(api)
        await other.execute("UPDATE entitlements SET state = 'open' WHERE participant_id = $1", FIRST)
        await work.commit()
    async with asyncio.timeout(WAITED_S):
        assert (await corrected).status_code == 409
