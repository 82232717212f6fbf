"""A plan that was approved and turns out to be wrong is stopped as a whole."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from gateway.storage.intake import participants
from tests.gateway.api.kit import Api, as_csv, row
from tests.gateway.plans.kit import approved, complete, entitle, outcomes, person, propose, say
from tests.gateway.plans.test_plans import PID, pay, today


def _pid(number: int) -> str:
    return str(person(number)["participant_id"])


async def _stages(api: Api) -> Counter[tuple[str, str]]:
    rows = await api.fetch("SELECT participant_id, stage FROM incentives")
    return Counter((row["participant_id"], row["stage"]) for row in rows)


async def test_it_ends_with_all_that_has_not_left_and_the_right_one_pays_the_rest(api: Api) -> None:
    made = await propose(api)
    path = f"/v1/plans/{made['plan_id']}/stop"
    early = await api.call("POST", path)
    assert (early.status_code, early.json()["code"]) == (409, "plan_not_approved")
    for role in ("one", "two"):
        await say(api, made, role)
    plan_id, day = made["plan_id"], today(api).isoformat()
    await entitle(api, plan_id, *map(person, range(1, 4)))
    for number in (1, 2):
        assert outcomes(await complete(api, plan_id, _pid(number), finished_on=day)) == ["made"]
    await pay(api, "1")
    before = await api.state()
    assert (await api.call("POST", path, role="reader")).status_code == 403
    assert await api.state() == before
    stopped = await api.call("POST", path, role="one")
    assert (stopped.status_code, stopped.json()["state"]) == (200, "stopped")
    assert await _stages(api) == {(PID, "paid"): 1, (PID, "cancelled"): 3, (_pid(2), "cancelled"): 4}
    assert {row["state"] for row in await api.fetch("SELECT state FROM entitlements")} == {"cancelled"}
    assert {row["state"] for row in await api.fetch("SELECT state FROM batches")} == {"stopped"}
    told = (await api.call("GET", "/v1/events", params={"limit": 1_000})).json()["events"]
    assert [one["data"]["state"] for one in told if one["type"] == "plan.changed"][-1] == "stopped"
    assert sorted(one["data"]["incentives"] for one in told if one["type"] == "batch.stopped") == [3, 4]
    before = await api.state()
    assert (await api.call("POST", path)).json() == stopped.json(), "again changes nothing"
    for late in (
        await api.call("POST", "/v1/entitlements", json={"plan_id": plan_id, "entitlements": [person(4)]}),
        await api.call(
            "POST", "/v1/completions",
            json={"plan_id": plan_id, "completions": [{"participant_id": _pid(3), "finished_on": day}]},
        ),
    ):  # fmt: skip
        assert (late.status_code, late.json()["code"]) == (409, "plan_not_approved")
        assert "another plan" in late.json()["remedy"], "nobody can approve it any more"
    assert "stopped" in (await say(api, made, "three")).json()["detail"]
    assert await api.state() == before
    anew = await approved(api, "anew")
    assert outcomes(await entitle(api, anew, *map(person, range(1, 4)))) == ["made"] * 3
    items = await complete(api, anew, *map(_pid, range(1, 4)), finished_on=day)
    assert [item["incentives"] for item in items] == [3, 4, 4], "what was paid is left out"


async def test_no_notice_slips_by_while_it_is_stopped(api: Api) -> None:
    plan_id, day = await approved(api), today(api).isoformat()
    people = range(1, 13)
    await entitle(api, plan_id, *map(person, people))

    async def notice(number: int) -> int:
        await asyncio.sleep(random.Random(number).random() / 10)
        body = {"plan_id": plan_id, "completions": [{"participant_id": _pid(number), "finished_on": day}]}
        return int((await api.call("POST", "/v1/completions", json=body)).status_code)

    async def stop() -> int:
        await asyncio.sleep(0.05)
        return int((await api.call("POST", f"/v1/plans/{plan_id}/stop", role="operator")).status_code)

    *taken, ended = await asyncio.gather(*map(notice, people), stop())
    assert ended == 200 and set(taken) <= {200, 409}
    found = await api.fetch("SELECT DISTINCT stage FROM incentives")
    assert {row["stage"] for row in found} <= {"cancelled"}
    assert len(await api.fetch("SELECT FROM completions")) == taken.count(200)


@pytest.mark.parametrize("decision", ["reject", "expire"])
async def test_what_nobody_can_approve_any_more_is_not_said_to_wait_for_approvals(api: Api, decision: str) -> None:
    made = await propose(api)
    if decision == "reject":
        await say(api, made, "one", "reject")
    else:
        await api.fetch("UPDATE plans SET state = 'expired', decided_at = now()")
    late = await api.call("POST", "/v1/entitlements", json={"plan_id": made["plan_id"], "entitlements": [person(1)]})
    assert (late.json()["code"], "approvals" in late.json()["remedy"]) == ("plan_not_approved", False)


UNDER_WAY = (
    "INSERT INTO links (id, participant, client_id, partner, account_index, account_sealed, state, return_url,"
    " created_at, updated_at) SELECT 'L', id, 'maker', partner, account_index, account_sealed, 'revoked', '', now(),"
    " now() FROM participants",
    "INSERT INTO payouts (id, reference, incentive, participant, link_id, partner, amount_rupiah, state, attempt,"
    " first_sent_at, sent_at, sent_deadline, created_at, updated_at) SELECT 1, '1', id, participant, 'L', partner,"
    " amount_rupiah, 'pending', 1, now(), now(), now(), now(), now() FROM incentives WHERE period = '1'",
    "UPDATE incentives SET payout = 'open' WHERE period = '1'",
)


@pytest.mark.parametrize("paid", [True, False])
@pytest.mark.parametrize("stopped", ["plan", "entitlement"])
async def test_a_notice_waits_for_what_was_under_way_when_it_was_stopped(api: Api, stopped: str, paid: bool) -> None:
    """Left out, an instalment would be lost whose payment comes to nothing: it is cancelled, and nothing follows."""
    plan_id, day = await approved(api), today(api).isoformat()
    (item,) = await entitle(api, plan_id, person(1))
    await complete(api, plan_id, PID, finished_on=day)
    for statement in UNDER_WAY:
        await api.fetch(statement)
    path = f"/v1/plans/{plan_id}/stop" if stopped == "plan" else f"/v1/entitlements/{item['entitlement_id']}/cancel"
    assert (await api.call("POST", path)).status_code == 200
    anew = await approved(api, "anew", name="anew")
    assert outcomes(await entitle(api, anew, person(1))) == ["made"]
    (waits,) = await complete(api, anew, PID, finished_on=day)
    assert (waits["outcome"], [one["code"] for one in waits["faults"]]) == ("refused", ["instalment_stopped"])
    ended = "payout = 'succeeded'" if paid else "payout = NULL, cancelled = true"
    await api.fetch(f"UPDATE incentives SET {ended} WHERE period = '1'")
    (taken,) = await complete(api, anew, PID, finished_on=day)
    assert (taken["outcome"], taken["incentives"]) == ("made", 3 if paid else 4)


async def test_it_waits_too_where_a_node_of_the_version_before_stopped_it_and_ended_no_approval(api: Api) -> None:
    plan_id, day = await approved(api), today(api).isoformat()
    await entitle(api, plan_id, person(1))
    await complete(api, plan_id, PID, finished_on=day)
    for statement in UNDER_WAY:
        await api.fetch(statement)
    assert (await api.call("POST", f"/v1/plans/{plan_id}/stop")).status_code == 200
    await api.fetch("UPDATE incentives SET approved = true, lapsed_at = NULL WHERE period = '1'")
    anew = await approved(api, "anew", name="anew")
    await entitle(api, anew, person(1))
    assert outcomes(await complete(api, anew, PID, finished_on=day)) == ["instalment_stopped"]


async def test_what_is_under_way_and_lapsed_without_a_stop_stands_and_is_left_out(api: Api) -> None:
    """Two people approve it anew if it comes to nothing: no notice need wait for that."""
    plan_id, day = await approved(api), today(api).isoformat()
    await entitle(api, plan_id, person(1), person(2))
    await complete(api, plan_id, _pid(2), finished_on=day)
    (dates,) = await api.fetch("SELECT due_on::text, deadline_on::text FROM incentives WHERE period = '1'")
    batch = (await api.submit(as_csv([row(1, **dates)]))).json()
    for role in ("one", "two"):
        assert (await api.decide(batch, role)).status_code == 200
    mine = f"participant_id = '{PID}'"
    for statement in UNDER_WAY:
        await api.fetch(
            statement.replace("FROM participants", f"FROM participants WHERE {mine}").replace(
                "= '1'", f"= '1' AND {mine}"
            )
        )
    await api.fetch(f"UPDATE incentives SET approved = false, lapsed_at = now() WHERE {mine}")
    (taken,) = await complete(api, plan_id, PID, finished_on=day)
    assert (taken["outcome"], taken["incentives"]) == ("made", 3)


async def test_who_is_stopped_under_another_id_is_entitled_to_nothing_more(api: Api) -> None:
    made = await propose(api)
    for role in ("one", "two"):
        await say(api, made, role)
    await entitle(api, made["plan_id"], person(1), person(2))
    batch = (await api.submit(as_csv([row(1, participant_id="Z-1", period="77")]))).json()
    assert batch["rows_accepted"] == 1, "core has made the person anew"
    assert (await api.call("POST", "/v1/participants/Z-1/stop", role="one")).status_code == 200
    day = today(api).isoformat()
    told = [await complete(api, made["plan_id"], _pid(number), finished_on=day) for number in (1, 2)]
    assert [outcomes(items) for items in told] == [["entitlement_cancelled"], ["made"]]


async def test_who_was_given_another_nik_while_they_are_stopped_is_stopped(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of a person is read before anybody is locked: somebody else may have corrected it since."""
    assert (await api.submit(as_csv([row(1)]))).json()["rows_accepted"] == 1
    real = participants.ids_of

    async def corrected(connection: Any, one: Any) -> list[int]:
        return await real(connection, msgspec.structs.replace(one, nik_index=b"as it was before"))

    monkeypatch.setattr(participants, "ids_of", corrected)
    whom = (await api.fetch("SELECT participant_id FROM participants"))[0]["participant_id"]
    assert (await api.call("POST", f"/v1/participants/{whom}/stop", role="one")).status_code == 200
    assert await api.fetch("SELECT participant_id FROM stopped_people") == [(whom,)]
