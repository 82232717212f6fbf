"""Payment plans over HTTP: approved once by two others, then notices make the incentives."""

from __future__ import annotations

import asyncio
import hashlib
import re
from datetime import date, timedelta
from typing import Any

import pytest

from gateway.clock import jakarta_day
from tests.gateway.api.kit import Api, as_csv, nik, row
from tests.gateway.plans.kit import approved, complete, entitle, outcomes, person, plan, propose, say
from tests.turns import in_turn

PID = str(person(1)["participant_id"])


def today(api: Api, days: int = 0) -> date:
    return jakarta_day(api.core.resources.clock.now()) + timedelta(days=days)


async def test_two_others_approve_exactly_this_plan(api: Api) -> None:
    made = await propose(api)
    assert hashlib.sha256(made["content"].encode()).hexdigest() == made["content_root"]
    assert (made["state"], made["approvals_missing"]) == ("awaiting_approval", 2)
    assert made["most_rupiah"] == 1_000 * (4 * 600_000 + 50_000)
    early = await api.call("POST", "/v1/entitlements", json={"plan_id": made["plan_id"], "entitlements": [person(1)]})
    assert (early.status_code, early.json()["code"]) == (409, "plan_not_approved")
    other = await say(api, made, "one", content_root="0" * 64)
    assert (other.status_code, other.json()["code"]) == (409, "content_root_differs")
    assert (await say(api, made, "one")).json()["approvals_missing"] == 1
    assert (await say(api, made, "one")).json()["approvals_missing"] == 1, "twice the same is once"
    assert (await say(api, made, "one", "withdraw")).json()["approvals_missing"] == 2
    for role in ("two", "three"):
        last = await say(api, made, role)
    assert last.json()["state"] == "approved"
    late = await say(api, made, "one", "reject")
    assert (late.status_code, late.json()["code"]) == (409, "plan_decided")
    listed = (await api.call("GET", "/v1/plans?state=approved")).json()["plans"]
    assert [one["plan_id"] for one in listed] == [made["plan_id"]]


async def test_a_plan_that_says_the_same_is_proposed_once_while_it_stands(api: Api) -> None:
    """An answer that was lost and a key made anew: two plans to approve, which nobody could tell apart."""
    replies = await asyncio.gather(*(api.call("POST", "/v1/plans", key=f"k{n}", json=plan()) for n in range(3)))
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409]
    (made,) = (reply.json() for reply in replies if reply.status_code == 201)
    for reply in replies:
        if reply.status_code == 409:
            assert (reply.json()["code"], made["plan_id"] in reply.json()["remedy"]) == ("plan_exists", True)
    nulls = plan(weekends=None) | {"instalments": [one | {"due_on": None} for one in plan()["instalments"]]}
    same = await api.call("POST", "/v1/plans", key="nulls", json=nulls)
    assert same.json()["code"] == "plan_exists", "null is as if left out"
    await propose(api, "named", name="other")
    await say(api, made, "one", "reject")
    await propose(api, "anew")


async def test_a_plan_whose_fixed_deadline_is_over_is_refused_and_one_that_ends_today_is_not(api: Api) -> None:
    """A year that was not changed: approved by two people, noticed for a thousand, and nobody is ever paid."""

    def ending(day: date) -> dict[str, Any]:
        fixed = {"purpose": "survey", "after": "survey-1", "period": 1, "amount_rupiah": 50_000,
                 "due_on": (day - timedelta(days=9)).isoformat(), "deadline_on": day.isoformat()}  # fmt: skip
        return plan(weekends=True, instalments=[plan()["instalments"][0], fixed])

    over = await api.call("POST", "/v1/plans", key="over", json=ending(today(api, -1)))
    assert (over.status_code, over.json()["code"], over.json()["field"]) == (422, "plan_invalid", "deadline_on")
    assert "Instalment 2" in over.json()["detail"]
    assert (await api.call("POST", "/v1/plans", key="today", json=ending(today(api)))).status_code == 201


@in_turn(
    ("field", "changes"),
    [
        ("programme", {"programme": "nowhere"}),
        ("purpose", {"instalments": [{"purpose": "walks", "period": 1, "amount_rupiah": 1, "deadline_after_days": 1}]}),
        ("name", {"name": "Four Months"}),
        ("instalments", {"instalments": [plan()["instalments"][0]] * 2}),
        ("after", {"instalments": [plan()["instalments"][4]]}),
        ("due_on", {"instalments": [{"purpose": "training", "period": 1, "amount_rupiah": 1}]}),
        ("due_on", {"instalments": [plan()["instalments"][0] | {"due_on": "2026-01-01", "deadline_on": "2026-02-01"}]}),
        ("deadline_on", {"instalments": [{"purpose": "training", "period": 1, "amount_rupiah": 1,
                                          "due_on": "2026-03-07", "deadline_on": "2026-03-08"}]}),
        ("holidays", {"holidays": ["2026-12-25", "2026-12-25"]}),
    ],
)  # fmt: skip
async def test_what_is_no_plan_is_refused_and_changes_nothing(api: Api, field: str, changes: dict[str, object]) -> None:
    before = await api.state()
    reply = await api.call("POST", "/v1/plans", key="odd", json=plan(**changes))
    assert (reply.status_code, reply.json()["code"], reply.json()["field"]) == (422, "plan_invalid", field)
    assert await api.state() == before


async def test_the_notice_makes_the_incentives_with_their_days(api: Api) -> None:
    plan_id = await approved(api)
    (item,) = await entitle(api, plan_id, person(1))
    assert item["outcome"] == "made"
    known = await api.call("GET", f"/v1/participants/{PID}")
    assert known.status_code == 200, "may link while the training runs"
    day = today(api, -1)
    (done,) = await complete(api, plan_id, PID, finished_on=day.isoformat())
    assert (done["outcome"], done["incentives"], done["entitlement_id"]) == ("made", 4, item["entitlement_id"])
    shown = (await api.call("GET", f"/v1/entitlements/{item['entitlement_id']}")).json()
    assert shown["state"] == "finished" and [one["notice"] for one in shown["notices"]] == ["training"]
    made = shown["incentives"]
    assert [(one["period"], one["amount_rupiah"]) for one in made] == [(str(n), 600_000) for n in range(1, 5)]
    assert all(one["approved"] and one["blocker"]["code"] == "link_required" for one in made)
    for one in made:
        due, deadline = date.fromisoformat(one["due_on"]), date.fromisoformat(one["deadline_on"])
        assert due.weekday() < 5 and deadline == due + timedelta(days=60)
    batch = (await api.call("GET", f"/v1/batches/{made[0]['batch_id']}")).json()
    assert (batch["plan_id"], batch["state"], batch["rows_accepted"]) == (plan_id, "approved", 4)
    (bonus,) = await complete(api, plan_id, PID, finished_on=today(api).isoformat(), notice="survey-1")
    assert (bonus["outcome"], bonus["incentives"]) == ("made", 1)


async def test_a_notice_is_taken_once_whatever_became_of_its_incentives(api: Api) -> None:
    plan_id, day = await approved(api), today(api).isoformat()
    await entitle(api, plan_id, person(1))
    assert outcomes(await complete(api, plan_id, PID, finished_on=day)) == ["made"]
    (first, *_) = (await api.call("GET", f"/v1/incentives?participant_id={PID}")).json()["incentives"]
    assert (await api.call("POST", f"/v1/incentives/{first['incentive_id']}/cancel")).status_code == 200
    before = await api.state()
    assert outcomes(await complete(api, plan_id, PID, finished_on=day)) == ["repeated"]
    earlier = today(api, -3).isoformat()
    assert outcomes(await complete(api, plan_id, PID, finished_on=earlier)) == ["notice_differs"]
    assert await api.state() == before, "neither makes the cancelled one again, nor changes anything"


async def test_what_a_refused_notice_or_participant_says_leads_on(api: Api) -> None:
    """Each done as its remedy says, call by call, is taken."""
    plan_id, day = await approved(api), today(api, -1).isoformat()
    survey = {"participant_id": PID, "finished_on": today(api).isoformat(), "notice": "survey-1"}
    trained = {"participant_id": PID, "finished_on": today(api, -2).isoformat()}

    async def sent(*notices: dict[str, Any]) -> list[dict[str, Any]]:
        reply = await api.call("POST", "/v1/completions", json={"plan_id": plan_id, "completions": list(notices)})
        items: list[dict[str, Any]] = reply.json()["items"]
        return items

    await entitle(api, plan_id, person(1))
    (early,) = await sent(survey)
    assert "a request of its own" in early["faults"][0]["remedy"]["en"]
    assert outcomes(await sent(trained)) == ["made"] and outcomes(await sent(survey)) == ["made"]
    (differs,) = await sent({"participant_id": PID, "finished_on": day})
    told = differs["faults"][0]["remedy"]["en"]
    cancel, anew = re.findall(r"POST (/v1/[a-z_/{}]+)", told)
    listed = (await api.call("GET", f"/v1/entitlements?participant_id={PID}")).json()["entitlements"]
    path = cancel.format(entitlement_id=listed[0]["entitlement_id"])
    assert (await api.call("POST", path)).status_code == 200
    assert anew == "/v1/entitlements" and "send the notices again" in told
    assert outcomes(await entitle(api, plan_id, person(1))) == ["made"]
    assert outcomes(await sent({"participant_id": PID, "finished_on": day})) == ["made"]
    other = await approved(api, key="other", name="others")
    (elsewhere,) = await entitle(api, other, person(1))
    told = elsewhere["faults"][0]["remedy"]["en"]
    listing, cancel = re.findall(r"(?:GET|POST) (/v1/[a-z_/{}?=]+)", told)
    (standing,) = [
        one for one in (await api.call("GET", f"{listing}{PID}")).json()["entitlements"] if one["state"] != "cancelled"
    ]
    assert (await api.call("POST", cancel.format(entitlement_id=standing["entitlement_id"]))).status_code == 200
    assert outcomes(await entitle(api, other, person(1))) == ["made"]


async def test_notices_that_cannot_be_taken_say_why_and_stop_nobody_else(api: Api) -> None:
    plan_id, day = await approved(api), today(api).isoformat()
    people = [person(n) for n in range(1, 5)]
    ids = [str(one["participant_id"]) for one in people]
    items = await entitle(api, plan_id, *people)
    await api.call("POST", f"/v1/entitlements/{items[1]['entitlement_id']}/cancel")
    twice = await complete(api, plan_id, *ids, "P-nobody", *ids[:2], "P-nobody", finished_on=day)
    assert outcomes(twice) == [
        "made", "entitlement_cancelled", "made", "made", "entitlement_unknown", "repeated", "entitlement_cancelled",
        "entitlement_unknown",
    ]  # fmt: skip
    assert [(one["number"], one["incentives"]) for one in twice] == [
        (1, 4), (2, 0), (3, 4), (4, 4), (5, 0), (6, 0), (7, 0), (8, 0),
    ]  # fmt: skip
    assert twice[5]["entitlement_id"] == twice[0]["entitlement_id"]
    assert outcomes(await complete(api, plan_id, ids[0], finished_on=day, notice="survey-9")) == ["notice_unknown"]
    tomorrow = today(api, 1).isoformat()
    assert outcomes(await complete(api, plan_id, ids[0], finished_on=tomorrow, notice="survey-1")) == ["notice_date"]
    yesterday = today(api, -1).isoformat()
    assert outcomes(await complete(api, plan_id, ids[0], finished_on=yesterday, notice="survey-1")) == ["notice_date"]
    await entitle(api, plan_id, person(9))
    ninth = str(person(9)["participant_id"])
    assert outcomes(await complete(api, plan_id, ninth, finished_on=day, notice="survey-1")) == ["notice_early"]
    assert outcomes(await complete(api, plan_id, ninth, finished_on=tomorrow)) == ["notice_date"]
    days = [{"participant_id": ninth, "finished_on": one} for one in (day, yesterday)]
    reply = await api.call("POST", "/v1/completions", json={"plan_id": plan_id, "completions": days})
    assert outcomes(reply.json()["items"]) == ["made", "item_repeated"], "two days for one notice"


async def test_whom_a_plan_cannot_take_is_told_why(api: Api) -> None:
    plan_id = await approved(api, most_participants=3)
    await api.submit(as_csv([row(5, period="2")]))
    people = [
        person(1), person(1), person(2, nik=nik(1)), person(3, nik="1", phone="08"), person(4, account="0812"),
        person(5), person(6), person(7), person(8), person(1, phone="+6281300000001"), person(8),
    ]  # fmt: skip
    items = await entitle(api, plan_id, *people)
    assert outcomes(items) == [
        "made", "repeated", "nik_duplicate", "nik_invalid", "field_invalid", "incentive_conflict", "made", "made",
        "plan_full", "item_repeated", "plan_full",
    ]  # fmt: skip
    assert (items[1]["number"], items[1]["entitlement_id"]) == (2, items[0]["entitlement_id"])
    assert [fault["code"] for fault in items[3]["faults"]] == ["nik_invalid", "field_invalid"]
    assert all(fault["remedy"]["id"] and fault["remedy"]["en"] for item in items for fault in item["faults"])
    assert outcomes(await entitle(api, plan_id, person(1), person(6, account="+6281200000099"))) == [
        "repeated", "participant_conflict",
    ]  # fmt: skip
    newer = [person(1, phone="+6281300000001"), person(6, full_name="Another Name"), person(7)]
    again = await entitle(api, plan_id, *newer)
    assert [(one["outcome"], one["not_taken"]) for one in again] == [
        ("repeated", ["phone"]), ("repeated", ["full_name"]), ("repeated", []),
    ]  # fmt: skip
    other = await approved(api, "other", name="other")
    assert outcomes(await entitle(api, other, person(1), person(20, nik=nik(7)))) == [
        "entitlement_elsewhere", "nik_duplicate",
    ]  # fmt: skip
    assert (await api.fetch("SELECT count(*) AS n FROM entitlements"))[0]["n"] == 3


async def test_cancelling_stops_what_has_not_left_and_frees_the_person(api: Api) -> None:
    plan_id, day = await approved(api), today(api).isoformat()
    (item,) = await entitle(api, plan_id, person(1))
    await complete(api, plan_id, PID, finished_on=day)
    path = f"/v1/entitlements/{item['entitlement_id']}/cancel"
    for _ in range(2):
        ended = (await api.call("POST", path)).json()
        assert ended["state"] == "cancelled"
        assert {one["stage"] for one in ended["incentives"]} == {"cancelled"}
    assert outcomes(await complete(api, plan_id, PID, finished_on=day)) == ["entitlement_cancelled"]
    assert outcomes(await entitle(api, plan_id, person(1, account="+6281200000099"))) == ["made"], "as nothing binds"
    assert outcomes(await complete(api, plan_id, PID, finished_on=day)) == ["made"]


async def pay(api: Api, period: str) -> None:
    async with api.core.resources.database.connection() as connection:
        await connection.execute(
            "UPDATE incentives SET payout = 'succeeded' WHERE participant_id = $1 AND period = $2", PID, period
        )


@pytest.mark.parametrize("paid_by", ["the plan", "another plan", "a file", "the same row in a file"])
async def test_what_was_paid_before_is_left_out_and_the_rest_is_made(api: Api, paid_by: str) -> None:
    """Whoever was noticed with a wrong day, moves to another plan or was paid from a file so far gets what is left."""
    day = today(api)
    plan_id = await approved(api)
    if "file" in paid_by:
        days = {"due_on": "2026-05-07", "deadline_on": "2099-12-31"}
        if paid_by != "a file":
            two = {"period": 1, "amount_rupiah": 600_000, "due_on": "2026-05-08", "deadline_on": "2099-12-31"}
            fixed = [{"purpose": "training"} | two, {"purpose": "survey", "after": "survey-1"} | two]
            plan_id = await approved(api, "fixed", name="fixed", instalments=fixed)
            days["due_on"] = "2026-05-08"
        await api.submit(as_csv([row(1, **days)]))
        await pay(api, "1")
    else:
        (item,) = await entitle(api, plan_id, person(1))
        await complete(api, plan_id, PID, finished_on=(day - timedelta(days=1)).isoformat())
        await pay(api, "1")
        await api.call("POST", f"/v1/entitlements/{item['entitlement_id']}/cancel")
        if paid_by == "another plan":
            plan_id = await approved(api, "other", name="other", most_participants=9)
    assert outcomes(await entitle(api, plan_id, person(1), person(2))) == ["made", "made"]
    mine, other = await complete(api, plan_id, PID, str(person(2)["participant_id"]), finished_on=day.isoformat())
    assert (mine["outcome"], other["incentives"] - mine["incentives"]) == ("made", 1)
    assert outcomes(await complete(api, plan_id, PID, finished_on=day.isoformat(), notice="survey-1")) == ["made"]
    stored = await api.fetch(
        "SELECT purpose, period, count(*) FILTER (WHERE payout = 'succeeded') AS paid,"
        " count(*) FILTER (WHERE NOT cancelled) AS standing FROM incentives WHERE participant_id = $1"
        " GROUP BY 1, 2 ORDER BY 1, 2",
        PID,
    )
    assert {one["standing"] for one in stored} == {1}, "each instalment stands once"
    assert [(one["purpose"], one["period"]) for one in stored if one["paid"]] == [("training", "1")]
    assert len(stored) == (2 if paid_by == "the same row in a file" else 5)


async def test_a_notice_of_which_all_was_paid_is_taken_and_nobody_is_entitled_to_what_is_all_paid(api: Api) -> None:
    once = [{"purpose": "training", "period": 1, "amount_rupiah": 600_000, "deadline_after_days": 60}]
    bonus = [
        {"purpose": "survey", "period": 1, "amount_rupiah": 50_000, "after": "survey-1", "deadline_after_days": 60}
    ]
    both = await approved(api, instalments=once + bonus)
    alone = await approved(api, "alone", name="alone", instalments=once)
    await api.submit(as_csv([row(1)]))
    unpaid = await entitle(api, both, person(1))
    assert outcomes(unpaid) == ["incentive_conflict"], "it can be cancelled first: which of the two is meant?"
    await pay(api, "1")
    assert outcomes(await entitle(api, alone, person(1))) == ["instalment_paid"]
    assert outcomes(await entitle(api, both, person(1))) == ["made"]
    day = today(api).isoformat()
    (none,) = await complete(api, both, PID, finished_on=day)
    assert (none["outcome"], none["incentives"], none["deadlines_over"]) == ("made", 0, 0)
    (some,) = await complete(api, both, PID, finished_on=day, notice="survey-1")
    assert (some["outcome"], some["incentives"]) == ("made", 1)
    assert outcomes(await complete(api, both, PID, finished_on=day)) == ["repeated"]


async def test_nothing_more_is_made_for_who_was_stopped(api: Api) -> None:
    """Somebody has died: no later notice of anybody makes money for them, under no plan of any programme."""
    plans = [await approved(api, key, programme=key) for key in ("a", "b")]
    day = today(api).isoformat()
    for plan_id in plans:
        assert outcomes(await entitle(api, plan_id, person(1), person(2))) == ["made"] * 2
    await complete(api, plans[0], PID, finished_on=day)
    assert (await api.call("POST", f"/v1/participants/{PID}/stop", role="operator")).status_code == 200
    other = str(person(2)["participant_id"])
    for plan_id in plans:
        said = outcomes(await complete(api, plan_id, PID, other, finished_on=day))
        assert said == ["entitlement_cancelled", "made"]
    assert outcomes(await complete(api, plans[0], PID, finished_on=day, notice="survey-1")) == ["entitlement_cancelled"]
    mine = (await api.call("GET", f"/v1/incentives?participant_id={PID}")).json()["incentives"]
    assert {one["stage"] for one in mine} == {"cancelled"}
    assert outcomes(await entitle(api, plans[1], person(1))) == ["made"], "a mistake is put right by entitling anew"


async def test_a_notice_that_comes_too_late_says_how_much_is_lost(api: Api) -> None:
    plan_id = await approved(api)
    await entitle(api, plan_id, person(1), person(2))
    (late,) = await complete(api, plan_id, PID, finished_on=today(api, -100).isoformat())
    (good,) = await complete(api, plan_id, str(person(2)["participant_id"]), finished_on=today(api).isoformat())
    assert (late["outcome"], late["incentives"], good["deadlines_over"]) == ("made", 4, 0)
    days = await api.fetch("SELECT deadline_on FROM incentives WHERE participant_id = $1", PID)
    assert late["deadlines_over"] == sum(one["deadline_on"] < today(api) for one in days) > 0


async def test_whoever_approved_hands_nothing_over_and_a_changed_plan_makes_nothing(api: Api) -> None:
    plan_id, day = await approved(api), today(api).isoformat()
    await entitle(api, plan_id, person(1))
    await api.fetch("UPDATE clients SET person = 'one' WHERE id = 'maker'")
    body = {"plan_id": plan_id, "completions": [{"participant_id": PID, "finished_on": day}]}
    own = await api.call("POST", "/v1/completions", json=body)
    assert (own.status_code, own.json()["code"]) == (403, "plan_mismatch")
    await api.fetch("UPDATE clients SET person = 'maker' WHERE id = 'maker'")
    await api.fetch("ALTER TABLE plans DISABLE TRIGGER plans_stay")
    dearer = "replace(convert_from(content, 'UTF8'), '600000', '900000')"
    await api.fetch(f"UPDATE plans SET content = convert_to({dearer}, 'UTF8')")
    changed = await api.call("POST", "/v1/completions", json=body)
    assert (changed.status_code, changed.json()["code"]) == (403, "plan_mismatch")
    await api.fetch("UPDATE plans SET content_root = sha256(content)")
    both = await api.call("POST", "/v1/completions", json=body)
    assert (both.status_code, both.json()["code"]) == (403, "plan_mismatch")
    assert not await api.fetch("SELECT FROM incentives")


async def test_who_is_at_risk_and_why(api: Api) -> None:
    fixed = {"purpose": "training", "period": 1, "amount_rupiah": 600_000,
             "due_on": today(api, -9).isoformat(), "deadline_on": today(api, 5).isoformat()}  # fmt: skip
    plan_id = await approved(api, instalments=[fixed], weekends=True)
    await entitle(api, plan_id, person(1), person(2), person(3))
    second = str(person(2)["participant_id"])
    assert outcomes(await complete(api, plan_id, PID, second, finished_on=today(api, -10).isoformat())) == ["made"] * 2
    await api.call("POST", f"/v1/participants/{second}/stop")
    assert (await api.call("GET", "/v1/entitlements?at_risk_days=4")).json()["entitlements"] == []
    risky = (await api.call("GET", "/v1/entitlements?at_risk_days=5")).json()["entitlements"]
    assert [one["participant_id"] for one in risky] == [PID, person(3)["participant_id"]]
    (why,) = risky[0]["incentives"]
    assert (why["blocker"]["code"], why["blocker"]["owner"]) == ("link_required", "participant")
    assert (risky[1]["state"], risky[1]["incentives"]) == ("open", [])


async def test_a_plan_that_nobody_approves_expires(api: Api) -> None:
    made = await propose(api)
    await api.fetch("UPDATE plans SET received_at = received_at - interval '31 days'")
    assert await api.core.plans.tick_expiry() == 1
    late = await say(api, made, "one")
    assert (late.status_code, late.json()["code"]) == (409, "plan_decided")
    told = (await api.call("GET", "/v1/events", params={"limit": 1_000})).json()["events"]
    assert [e["data"]["state"] for e in told if e["type"] == "plan.changed"] == ["awaiting_approval", "expired"]
