"""What two people have approved of a plan bounds what is paid under it: so many people, and nobody who was stopped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.services.intake.rows import Checker
from tests.gateway.api.kit import Api
from tests.gateway.plans.kit import approved, complete, entitle, outcomes, person, plan
from tests.gateway.plans.test_plans import PID, pay, today


async def test_who_was_stopped_and_is_entitled_anew_is_paid_once_two_people_have_looked(api: Api) -> None:
    """Core sends everybody again each night: nobody has decided that the one who died is to be paid after all."""
    plan_id, day = await approved(api), today(api).isoformat()
    other = str(person(2)["participant_id"])
    await entitle(api, plan_id, person(1), person(2))
    await api.call("POST", f"/v1/participants/{PID}/stop", role="operator")
    assert outcomes(await entitle(api, plan_id, person(1), person(2))) == ["made", "repeated"]
    assert outcomes(await complete(api, plan_id, PID, other, finished_on=day)) == ["made"] * 2

    async def of(pid: str) -> set[tuple[bool, str]]:
        found = (await api.call("GET", f"/v1/incentives?participant_id={pid}")).json()["incentives"]
        return {(one["approved"], one["stage"]) for one in found if one["stage"] != "cancelled"}

    assert (await of(PID), await of(other)) == ({(False, "awaiting_link")}, {(True, "awaiting_link")})
    told = (await api.call("GET", "/v1/events", params={"limit": 1_000})).json()["events"]
    assert [e["data"]["because"] for e in told if e["type"] == "approval.lapsed"] == ["person_stopped"] * 4
    for _ in range(2):  # of what is put up and rejected nothing is paid, and the next one says the same
        batch = (await api.call("POST", "/v1/batches/reapprovals", key=f"again-{_}")).json()
        assert [(w["code"], w["rows"]) for w in batch["warnings"]] == [("people_stopped", 4)]
        assert (await api.decide(batch, "one", "reject")).status_code == 200
    later = await complete(api, plan_id, PID, other, finished_on=day, notice="survey-1")
    assert outcomes(later) == ["made"] * 2
    assert (await of(PID), await of(other)) == ({(False, "awaiting_link")}, {(True, "awaiting_link")})
    batch = (await api.call("POST", "/v1/batches/reapprovals", key="last")).json()
    assert (batch["rows_accepted"], batch["warnings"][0]["rows"]) == (5, 5)
    shown = await api.call("GET", "/v1/incentives", params={"batch_id": batch["batch_id"], "limit": 4})
    assert len(shown.json()["incentives"]) == 4
    more = {"batch_id": batch["batch_id"], "cursor": shown.json()["next_cursor"]}
    (last,) = (await api.call("GET", "/v1/incentives", params=more)).json()["incentives"]
    assert last["purpose"] == "survey" and last["batch_id"] != batch["batch_id"]
    for role in ("one", "two"):
        assert (await api.decide(batch, role)).status_code == 200
    assert await of(PID) == {(True, "awaiting_link")}
    assert not await api.fetch("SELECT FROM stopped_people"), "it was decided"


async def test_cancelling_whom_it_has_paid_makes_no_room_for_more_people_than_were_approved(api: Api) -> None:
    """Else one client could have any number paid under a plan that two people have approved for two."""
    plan_id, day = await approved(api, most_participants=2), today(api).isoformat()
    other = str(person(2)["participant_id"])
    mine, unpaid = await entitle(api, plan_id, person(1), person(2))
    await complete(api, plan_id, PID, other, finished_on=day)
    await pay(api, "1")
    for item in (mine, unpaid):
        assert (await api.call("POST", f"/v1/entitlements/{item['entitlement_id']}/cancel")).status_code == 200
    assert outcomes(await entitle(api, plan_id, person(3), person(4))) == ["made", "plan_full"], "nobody paid the other"
    assert outcomes(await entitle(api, plan_id, person(4), person(1))) == ["plan_full", "made"], "the place is theirs"
    assert outcomes(await entitle(api, plan_id, person(4), person(1), person(2))) == [
        "plan_full", "repeated", "plan_full",
    ]  # fmt: skip
    assert outcomes(await complete(api, plan_id, PID, finished_on=day)) == ["made"], "what is left of it"


async def test_whoever_has_not_done_a_survey_that_ends_soon_is_at_risk(api: Api) -> None:
    days = {"due_on": today(api, -9).isoformat(), "deadline_on": today(api, 5).isoformat()}
    survey = {"purpose": "survey", "amount_rupiah": 50_000}
    bonuses = [survey | {"period": n, "after": f"survey-{n}"} | days for n in (1, 2)]
    later = survey | {"period": 3, "after": "survey-3", "deadline_after_days": 60}
    plan_id = await approved(api, instalments=[plan()["instalments"][0], *bonuses, later], weekends=True)
    ids = [str(person(n)["participant_id"]) for n in range(1, 5)]
    items = await entitle(api, plan_id, *map(person, range(1, 5)))
    since = today(api, -1).isoformat()
    await complete(api, plan_id, *ids, finished_on=since)
    both = [{"participant_id": ids[0], "finished_on": since, "notice": f"survey-{n}"} for n in (1, 2)]
    reply = await api.call("POST", "/v1/completions", json={"plan_id": plan_id, "completions": both})
    assert outcomes(reply.json()["items"]) == ["made", "made"]
    mine = (await api.call("GET", f"/v1/entitlements/{items[0]['entitlement_id']}")).json()
    assert [one["amount_rupiah"] for one in mine["incentives"]] == [600_000, 50_000, 50_000], "each once"
    await complete(api, plan_id, ids[1], finished_on=since, notice="survey-2")
    await api.call("POST", f"/v1/entitlements/{items[3]['entitlement_id']}/cancel")
    risky = (await api.call("GET", "/v1/entitlements?at_risk_days=5")).json()["entitlements"]
    shown = {one["participant_id"]: [each["period"] for each in one["incentives"]] for one in risky}
    assert shown == {ids[0]: ["1", "2"], ids[1]: ["2"], ids[2]: []}
    assert (await api.call("GET", "/v1/entitlements?at_risk_days=4")).json()["entitlements"] == []


async def test_a_request_about_many_people_gives_everybody_else_a_turn_after_each(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand take a second or more: health checks, links and single incentives of the process would wait for it."""
    turns, seen = 0, []

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def check(self: Checker, *given: Any) -> Any:
        seen.append(turns)
        return real(self, *given)

    real = Checker.check
    monkeypatch.setattr(Checker, "check", check)
    plan_id, day, people = await approved(api), today(api).isoformat(), [person(n) for n in range(1, 41)]
    beside = asyncio.create_task(others())
    await entitle(api, plan_id, *people)
    assert len(set(seen)) == len(people), "five rows each"
    seen.clear()
    await complete(api, plan_id, *(str(one["participant_id"]) for one in people), finished_on=day)
    assert len(set(seen)) == len(people)
    beside.cancel()
    await asyncio.gather(beside, return_exceptions=True)
