"""Two approvals at the same moment: the second one sees the first."""

from __future__ import annotations

import asyncio

import httpx

from gateway.clock import jakarta_day
from gateway.security.clients import register
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.plans.kit import approved, complete, entitle, person

ACCOUNT = {"partner": "ovo", "account": "+6281200000099", "phone": "+6281200000099"}
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_an_approval_waits_for_another_one_and_counts_it(api: Api) -> None:
    batch = (await api.submit(as_csv([row(1)]))).json()
    database = api.core.resources.database
    async with database.transaction() as first:
        await first.fetchval("SELECT id FROM batches WHERE id = $1 FOR UPDATE", batch["batch_id"])
        await first.execute(
            "INSERT INTO approvals (batch_id, client_id, decision, content_root, at)"
            " VALUES ($1, $2, 'approve', $3, now())",
            batch["batch_id"],
            api.ids["one"],
            bytes.fromhex(batch["content_root"]),
        )
        second = asyncio.create_task(api.decide(batch, "two"))
        async with asyncio.timeout(20), database.connection() as watching:
            while not await watching.fetchval(_WAITS):
                await asyncio.sleep(0.01)
    assert (await second).json()["state"] == "approved"
    assert (await api.fetch("SELECT bool_and(approved) FROM incentives"))[0][0]


async def test_nobody_approves_anew_what_they_have_handed_over_themselves(api: Api) -> None:
    """Put up by a colleague: the maker has a client that approves besides, and has changed the account."""
    store, now = api.core.resources.database, api.core.resources.clock.now()
    colleague = await register(store, now, name="colleague", scopes=["batches"], organisation="prakerja")
    auth = httpx.BasicAuth(colleague.client_id, colleague.secret)
    token = await api.http.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=auth)
    api.tokens["colleague"] = token.json()["access_token"]
    plan_id = await approved(api)
    await entitle(api, plan_id, person(2), role="colleague")
    day = jakarta_day(now).isoformat()
    await complete(api, plan_id, str(person(2)["participant_id"]), finished_on=day, role="colleague")
    batch = (await api.submit(as_csv([row(1)]))).json()
    for role in ("one", "two"):
        assert (await api.decide(batch, role)).status_code == 200
    for number, key in ((1, "of-a-batch"), (2, "of-a-plan")):  # who made the plan is the same person
        account = ACCOUNT | {"account": f"+628120000009{number}"}
        path = f"/v1/participants/{row(number)['participant_id']}/account"
        assert (await api.call("PUT", path, json=account)).status_code == 200
        anew = await api.call("POST", "/v1/batches/reapprovals", role="colleague", key=key)
        assert anew.status_code == 201, anew.text
        await api.fetch("UPDATE clients SET person = 'maker' WHERE id = 'three'")
        own = await api.decide(anew.json(), "three")
        assert (own.status_code, own.json()["code"]) == (403, "own_batch"), key
        await api.fetch("UPDATE clients SET person = 'three' WHERE id = 'three'")
        for role in ("three", "one"):
            assert (await api.decide(anew.json(), role)).status_code == 200
    assert (await api.fetch("SELECT bool_and(approved) AS all FROM incentives"))[0]["all"]
