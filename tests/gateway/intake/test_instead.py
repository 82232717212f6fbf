"""Who may not decide, or comes too late to, is told what helps instead; nobody is sent to undo what they wanted."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.api.kit import Api, as_csv, nik, row
from tests.gateway.api.test_tenancy import MAKING, admit
from tests.gateway.intake.test_approvals import ACCOUNT
from tests.gateway.plans.kit import approved, entitle, person, plan, propose, say

GATEWAY = Path(__file__).parents[3] / "gateway"
REAPPROVALS = "POST /v1/batches/reapprovals"


async def _approved(api: Api) -> dict[str, Any]:
    batch: dict[str, Any] = (await api.submit(as_csv([row(1)]))).json()
    for role in ("one", "two"):
        assert (await api.decide(batch, role)).status_code == 200
    return batch


async def _lapsed(api: Api) -> None:
    await api.call("PUT", f"/v1/participants/{row(1)['participant_id']}/account", json=ACCOUNT)


async def _put_up(api: Api, key: str = "anew") -> dict[str, Any]:
    reply = await api.call("POST", "/v1/batches/reapprovals", key=key)
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def test_whoever_approves_what_is_approved_is_not_told_to_stop_it(api: Api) -> None:
    """A third approver, or one who sees `approval_missing` on an instalment of it: its approval has lapsed."""
    batch, made = await _approved(api), await propose(api)
    for role in ("one", "two"):
        await say(api, made, role)
    await _lapsed(api)
    for late in (await api.decide(batch, "three"), await say(api, made, "three")):
        assert late.status_code == 409
        assert "/stop" not in late.json()["remedy"]
    assert REAPPROVALS in (await api.decide(batch, "three")).json()["remedy"]
    for late in (await api.decide(batch, "three", "reject"), await say(api, made, "three", "reject")):
        assert "/stop" in late.json()["remedy"]
    anew = await _put_up(api)
    for role in ("three", "two"):
        decided = await api.decide(anew, role)
    assert decided.json()["state"] == "approved"


@pytest.mark.parametrize("way", ["rejected", "expired"])
async def test_what_was_put_up_in_vain_is_put_up_again_not_handed_over(api: Api, way: str) -> None:
    """Handed over again it would only repeat what stands."""
    await _approved(api)
    await _lapsed(api)
    anew = await _put_up(api)
    if way == "rejected":
        await api.decide(anew, "one", "reject")
    else:
        await api.fetch("UPDATE batches SET received_at = received_at - interval '31 days' WHERE reapproval")
        assert await api.core.batches.tick_expiry() == 1
    late = (await api.decide(anew, "two")).json()
    assert late["code"] == "batch_decided" and REAPPROVALS in late["remedy"], late
    again = await _put_up(api, "again")
    for role in ("one", "two"):
        await api.decide(again, role)
    assert (await api.fetch("SELECT approved FROM incentives"))[0]["approved"]


async def test_what_only_repeats_is_not_to_be_handed_over_once_more(api: Api) -> None:
    """A colleague's file again: what it repeats waits for approval in the first batch."""
    first = (await api.submit(as_csv([row(1)]))).json()
    again = (await api.submit(as_csv([row(1)]), key="colleague")).json()
    assert (again["state"], again["rows_repeated"]) == ("empty", 1)
    late = (await api.decide(again, "one")).json()
    assert "hand over" not in late["remedy"] and "/results" in late["remedy"]
    (told,) = (await api.call("GET", again["results_url"])).json()["rows"]
    meant = (await api.call("GET", f"/v1/incentives/{told['incentive_id']}")).json()
    assert meant["batch_id"] == first["batch_id"]


async def test_a_batch_of_reapprovals_is_not_stopped_but_the_batches_of_its_rows(api: Api) -> None:
    batch = await _approved(api)
    await _lapsed(api)
    anew = await _put_up(api)
    for role in ("one", "two"):
        await api.decide(anew, role)
    late = (await api.decide(anew, "three", "reject")).json()
    assert "POST /v1/batches/{batch_id}/stop" not in late["remedy"] and "handed over in" in late["remedy"]
    assert (await api.call("POST", f"/v1/batches/{batch['batch_id']}/stop")).json()["state"] == "stopped"
    assert (await api.fetch("SELECT cancelled FROM incentives"))[0]["cancelled"]


async def test_one_row_that_an_approver_has_changed_keeps_the_others_from_nobody(api: Api) -> None:
    """As the runbook says: without it, its changer approves what is put up."""
    await admit(api, "ani links", ("links", "incentives", "read"), person="ani", organisation="prakerja")
    await admit(api, "ani decides", ("batches:approve", "read"), person="ani")
    batch = (await api.submit(as_csv([row(1), row(2)]))).json()
    for role in ("one", "two"):
        await api.decide(batch, role)
    for number, role in ((1, "ani links"), (2, "maker")):
        change = {"account": f"+628129999000{number}"}
        reply = await api.call("PUT", f"/v1/participants/{row(number)['participant_id']}", role=role, json=change)
        assert reply.status_code == 200, reply.text
    anew = await _put_up(api)
    assert (await api.decide(anew, "ani decides")).json()["code"] == "own_batch"
    (hers, _) = await api.fetch("SELECT id FROM incentives ORDER BY participant_id")
    assert (await api.call("POST", f"/v1/incentives/{hers['id']}/cancel", role="ani links")).status_code == 200
    assert (await api.decide(anew, "one", "reject")).json()["state"] == "rejected"
    others = await _put_up(api, "others")
    assert others["rows_accepted"] == 1
    for role in ("ani decides", "one"):
        assert (await api.decide(others, role)).status_code == 200
    assert (await api.fetch("SELECT approved FROM incentives WHERE NOT cancelled"))[0]["approved"]


@pytest.mark.parametrize("way", ["file", "single", "correction", "entitlement"])
async def test_nobody_is_sent_to_correct_another_organisations_participant(api: Api, way: str) -> None:
    """Who has the NIK there is not told, so that no id could be put into an address; to us it would be a 404."""
    await admit(api, "other maker", MAKING)
    theirs = {"participant_id": "Q1", "nik": nik(1)}
    if way == "entitlement":
        await entitle(api, await approved(api), person(1))
        made = (await api.call("POST", "/v1/plans", role="other maker", key="theirs", json=plan())).json()
        for role in ("one", "two"):
            await say(api, made, role)
        (item,) = await entitle(api, made["plan_id"], person(1, **theirs), role="other maker")
        (fault,) = item["faults"]
    else:
        assert (await api.submit(as_csv([row(1)]))).status_code == 201
        if way == "correction":
            assert (await api.submit(as_csv([row(2)]), role="other maker", key="t")).status_code == 201
            path = f"/v1/participants/{row(2)['participant_id']}"
            reply = await api.call("PUT", path, role="other maker", json={"nik": nik(1)})
            (fault,) = reply.json()["faults"]
        elif way == "single":
            reply = await api.call("POST", "/v1/incentives", role="other maker", key="t", json=row(1, **theirs))
            (fault,) = reply.json()["faults"]
        else:
            batch = (await api.submit(as_csv([row(1, **theirs)]), role="other maker", key="t")).json()
            (refused,) = (await api.call("GET", batch["results_url"], role="other maker")).json()["rows"]
            (fault,) = refused["faults"]
    assert fault["code"] == "nik_duplicate"
    assert "/v1/" not in fault["remedy"]["en"] + fault["remedy"]["id"]
    assert "have that organisation correct it" in fault["remedy"]["en"]


async def test_what_came_back_is_not_handed_over_again_with_another_account(api: Api) -> None:
    """It is never cancelled, and its account is changed where it stands."""
    await _approved(api)
    await api.fetch("UPDATE incentives SET payout = 'reversed', payouts = 1")
    other = row(1, account="+6281299990001")
    batch = (await api.submit(as_csv([other]), key="again")).json()
    (refused,) = (await api.call("GET", batch["results_url"])).json()["rows"]
    (fault,) = refused["faults"]
    assert fault["code"] == "instalment_paid"
    (put,) = re.findall(r"PUT (/v1/[a-z_/{}]+)", fault["remedy"]["en"])
    assert "POST /v1/payouts" in fault["remedy"]["en"]
    path = put.format(participant_id=other["participant_id"])
    reply = await api.call("PUT", path, json={"account": other["account"]})
    assert reply.status_code == 200, reply.text


def test_only_whoever_lacks_a_scope_is_sent_to_get_one() -> None:
    """`Forbidden` says so by itself; whatever else forbids something says what helps."""
    silent = []
    for path in GATEWAY.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Forbidden"):
                continue
            told = ast.unparse(call.args[0])
            if "scope" not in told and "remedy" not in {one.arg for one in call.keywords}:
                silent.append(f"{path.relative_to(GATEWAY)}:{call.lineno} {told}")
    assert silent == []
