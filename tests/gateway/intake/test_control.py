"""What is declared, what is odd, and who decides: withdrawing, stopping, expiring."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from gateway.security import approval
from gateway.storage.ops import audit
from tests.gateway.api.kit import Api, as_csv, nik, row
from tests.gateway.api.test_tenancy import admit
from tests.gateway.intake.test_free_participants import WAITED_S, waits


async def _submit(api: Api, body: bytes, key: str = "k1", **declared: Any) -> Any:
    headers = {"Content-Type": "text/csv"}
    return await api.call("POST", "/v1/batches", key=key, content=body, headers=headers, params=declared)


async def _totals(api: Api, batch: dict[str, Any]) -> list[tuple[object, ...]]:
    told = (await api.call("GET", f"/v1/batches/{batch['batch_id']}/totals", role="reader")).json()
    return [(one["stage"], one["blocker"], one["incentives"], one["amount_rupiah"]) for one in told["totals"]]


async def test_a_file_that_is_not_what_was_declared_is_refused_whole(api: Api) -> None:
    body = as_csv([row(1), row(2), row(3, partner="gopay", amount_rupiah=50_000), row(4, nik="1")])
    right = {"rows": 4, "amount_rupiah": 1_850_000, "partner_rupiah": ["ovo:1800000", "gopay:50000"]}
    before = await api.state()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"rows": 5}, "rows 5 declared, 4 in the file"),
        ({"amount_rupiah": 1}, "amount_rupiah 1 declared, 1850000 in the file"),
        ({"partner_rupiah": ["bni:1"]}, "bni 1 declared, 0 in the file"),
        ({"rows": 4, "partner_rupiah": ["ovo:1800000", "gopay:50001"]}, "gopay 50001 declared, 50000 in the file"),
    ]
    for n, (declared, said) in enumerate(wrong):
        reply = await _submit(api, body, key=f"w{n}", **declared)
        assert (reply.status_code, reply.json()["code"]) == (422, "totals_differ")
        assert said in reply.json()["detail"]
    assert (await _submit(api, body, partner_rupiah=["ovo"])).json()["field"] == "partner_rupiah"
    assert await api.state() == before
    taken = await _submit(api, body, **right)
    assert (taken.status_code, taken.json()["rows_accepted"]) == (201, 3)
    assert taken.json()["partners"] == [
        {"partner": "gopay", "rows": 1, "amount_rupiah": 50_000},
        {"partner": "ovo", "rows": 2, "amount_rupiah": 1_200_000},
    ]  # fmt: skip


async def test_nothing_accepted_is_nothing_to_approve(api: Api) -> None:
    batch = (await _submit(api, as_csv([row(1, nik="1"), row(2, nik="2")]))).json()
    assert (batch["state"], batch["approvals_missing"]) == ("empty", 0)
    refused = await api.decide(batch, "one")
    assert (refused.status_code, refused.json()["code"]) == (409, "batch_decided")
    assert len((await api.call("GET", batch["results_url"])).json()["rows"]) == 2, "its refused rows can be read"


async def test_what_is_odd_is_told_to_the_approvers(api: Api) -> None:
    zeros = [n for n in range(1, 2_000) if nik(n).endswith("0")][:4]
    rounded = (await _submit(api, as_csv([row(n) for n in zeros]))).json()
    assert [(w["code"], w["rows"]) for w in rounded["warnings"]] == [("nik_endings", 4)]
    assert set(rounded["warnings"][0]["text"]) == {"id", "en"}
    for role in ("one", "two"):
        await api.decide(rounded, role)
    usual = (await _submit(api, as_csv([row(300), row(600), row(900)]), key="k2")).json()
    assert usual["warnings"] == []
    survey = row(302, purpose="survey")
    odd = (await _submit(api, as_csv([row(301), row(601, amount_rupiah=6_000_000), survey]), "k3")).json()
    assert [(w["code"], w["rows"]) for w in odd["warnings"]] == [("amounts_unusual", 1)]
    shown = (await api.call("GET", f"/v1/batches/{odd['batch_id']}", role="one")).json()
    assert shown["warnings"] == odd["warnings"]


async def test_who_has_approved_may_withdraw_or_reject_while_one_is_missing(api: Api) -> None:
    batch = (await _submit(api, as_csv([row(1)]))).json()
    before = await api.state()
    assert (await api.decide(batch, "one", "withdraw")).status_code == 200
    assert await api.state() == before, "nothing said, nothing to take back"
    await api.decide(batch, "one")
    withdrawn = (await api.decide(batch, "one", "withdraw")).json()
    assert (withdrawn["approvals_missing"], withdrawn["approvals"]) == (2, [])
    assert (await api.decide(batch, "two")).json()["state"] == "awaiting_approval", "the first word no longer counts"
    assert (await api.decide(batch, "two", "reject")).json()["state"] == "rejected"
    late = (await api.decide(batch, "two", "withdraw")).json()
    assert late["code"] == "batch_decided" and "hand over again" in late["remedy"]
    audited = await api.fetch("SELECT action FROM audit_log WHERE subject = $1 ORDER BY seq", batch["batch_id"])
    assert [r["action"] for r in audited] == ["batch.approve", "batch.withdraw", "batch.approve", "batch.reject"]


async def test_the_word_of_a_client_that_was_disabled_no_longer_counts(api: Api) -> None:
    batch = (await _submit(api, as_csv([row(1)]))).json()
    await api.decide(batch, "one")
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE clients SET disabled_at = now() WHERE id = $1", api.ids["one"])
    second = (await api.decide(batch, "two")).json()
    assert (second["state"], second["approvals_missing"]) == ("awaiting_approval", 1)
    assert [a["counts"] for a in second["approvals"]] == [False, True]
    assert (await api.decide(batch, "three")).json()["state"] == "approved"


async def test_batches_are_listed_by_state_and_page(api: Api) -> None:
    made = [(await _submit(api, as_csv([row(n)]), key=f"k{n}")).json()["batch_id"] for n in range(1, 6)]
    for number in (0, 2):
        batch = (await api.call("GET", f"/v1/batches/{made[number]}")).json()
        await api.decide(batch, "one", "reject")

    async def ids(**params: Any) -> list[str]:
        found: list[str] = []
        while True:
            page = (await api.call("GET", "/v1/batches", role="one", params=params | {"limit": 2})).json()
            found += [b["batch_id"] for b in page["batches"]]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    assert await ids() == made[::-1]
    assert await ids(state="awaiting_approval") == [made[4], made[3], made[1]]
    assert await ids(state="rejected") == [made[2], made[0]]
    assert (await api.call("GET", "/v1/batches", params={"state": "gone"})).status_code == 422


async def test_what_has_not_left_of_a_batch_is_stopped(api: Api) -> None:
    rows = [*(row(n) for n in range(1, 5)), row(5, amount_rupiah=50_000), row(6, nik="1")]
    batch = (await _submit(api, as_csv(rows))).json()
    await _submit(api, as_csv([row(7)]), key="other")
    path = f"/v1/batches/{batch['batch_id']}/stop"
    assert await _totals(api, batch) == [("awaiting_link", "link_required", 5, 2_450_000)]
    early = await api.call("POST", path)
    assert (early.status_code, early.json()["code"]) == (409, "batch_not_approved")
    for role in ("one", "two"):
        await api.decide(batch, role)
    late = (await api.decide(batch, "one", "withdraw")).json()
    assert late["code"] == "batch_decided" and "/stop" in late["remedy"], "an approval that counts is not taken back"
    async with api.core.resources.database.connection() as connection:
        await connection.execute(
            "UPDATE incentives SET payout = 'succeeded' WHERE line = 2 AND batch_id = $1", batch["batch_id"]
        )
    stopped = (await api.call("POST", path)).json()
    assert stopped["state"] == "stopped"
    told = (await api.call("GET", batch["results_url"], params={"outcome": "accepted"})).json()["rows"]
    assert [r["stage"] for r in told] == ["paid", *["cancelled"] * 4]
    assert await _totals(api, batch) == [("cancelled", None, 4, 1_850_000), ("paid", None, 1, 600_000)]
    before = await api.state()
    assert (await api.call("POST", path)).json()["state"] == "stopped"
    assert await api.state() == before, "stopping again changes nothing"
    again = (await _submit(api, as_csv([row(n, amount_rupiah=700_000) for n in range(1, 6)]), key="k2")).json()
    assert (again["rows_accepted"], again["rows_rejected"]) == (4, 1), "what was stopped may come again"
    told = (await api.call("GET", "/v1/events", params={"limit": 1000})).json()["events"]
    assert [e["data"] for e in told if e["type"] == "batch.stopped"] == [{"incentives": 4}]


async def test_what_has_not_left_of_a_person_is_stopped(api: Api) -> None:
    await _submit(api, as_csv([row(1), row(1, period="2"), row(2)]))
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE incentives SET payout = 'succeeded' WHERE line = 2")
    assert (await api.call("POST", "/v1/participants/P00000001/stop", role="reader")).status_code == 403
    assert (await api.call("POST", "/v1/participants/P00000001/stop", role="one")).status_code == 200
    rows = await api.fetch("SELECT stage FROM incentives ORDER BY line")
    assert [r["stage"] for r in rows] == ["paid", "cancelled", "awaiting_link"]
    before = await api.state()
    assert (await api.call("POST", "/v1/participants/P00000001/stop")).status_code == 200
    assert await api.state() == before, "stopping again changes nothing"


async def test_who_approves_is_told_that_payments_to_somebody_were_stopped(api: Api) -> None:
    """Who stops and who makes the next month's file do not know of each other."""

    async def of_stopped(*rows: dict[str, Any]) -> tuple[dict[str, Any], int]:
        key = "-".join(f"{one['participant_id']}{one['period']}" for one in rows)
        batch = (await _submit(api, as_csv(list(rows)), key=key)).json()
        return batch, sum(w["rows"] for w in batch["warnings"] if w["code"] == "people_stopped")

    at_first, warned = await of_stopped(row(1), row(2))
    assert warned == 0
    await _decide_both(api, at_first)
    for stopped in ("P00000001", "P00000002"):
        assert (await api.call("POST", f"/v1/participants/{stopped}/stop", role="one")).status_code == 200
    single = await api.call("POST", "/v1/incentives", key="s", json=row(2, period="2"))
    assert single.status_code == 201, single.text
    (alone,) = (await api.call("GET", "/v1/batches", role="two", params={"limit": 1})).json()["batches"]
    assert [(w["code"], w["rows"]) for w in alone["warnings"]] == [("people_stopped", 1)]

    later, warned = await of_stopped(row(1, period="2"), row(1, period="3"), row(3))
    assert warned == 2
    await api.decide(later, "one")
    other, warned = await of_stopped(row(1, period="4"), row(3, period="2"))
    assert warned == 1, "one approver is not both"
    await api.decide(later, "two")
    assert (await of_stopped(row(1, period="5")))[1] == 0, "it was decided"
    assert (await of_stopped(row(2, period="5")))[1] == 1, "about the one, not about the other"

    await api.call("POST", "/v1/participants/P00000001/stop", role="one")
    await _decide_both(api, other)
    assert (await of_stopped(row(1, period="4")))[1] == 1, "their row was cancelled: nothing of them was approved"


async def test_who_is_stopped_again_while_others_approve_is_still_told_of(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second stop has cancelled their row and not ended when the approval looks whose payments were stopped."""
    stop = "/v1/participants/P00000001/stop"
    await _decide_both(api, (await _submit(api, as_csv([row(1), row(2)]))).json())
    assert (await api.call("POST", stop, role="one")).status_code == 200
    batch = (await _submit(api, as_csv([row(1, period="2"), row(2, period="2")]), key="k2")).json()
    await api.decide(batch, "one")
    record, reached, go_on = audit.record, asyncio.Event(), asyncio.Event()

    async def slow(connection: Any, now: Any, actor: str, action: str, *about: Any) -> Any:
        if action == "participant.stop":
            reached.set()
            await go_on.wait()
        return await record(connection, now, actor, action, *about)

    monkeypatch.setattr(audit, "record", slow)
    stopping = asyncio.create_task(api.call("POST", stop, role="operator"))
    async with asyncio.timeout(WAITED_S):
        await reached.wait()
        approving = asyncio.create_task(api.decide(batch, "two"))
        await waits(api)
        go_on.set()
        assert ((await stopping).status_code, (await approving).status_code) == (200, 200)
    (cancelled,) = await api.fetch(
        "SELECT cancelled FROM incentives WHERE participant_id = 'P00000001' AND period = '2'"
    )
    assert cancelled["cancelled"], "nothing of theirs was approved"
    later = (await _submit(api, as_csv([row(1, period="3"), row(2, period="3")]), key="k3")).json()
    assert [(w["code"], w["rows"]) for w in later["warnings"]] == [("people_stopped", 1)]


async def test_what_another_organisation_approves_answers_no_stop(api: Api) -> None:
    """Both have the person, under ids of their own, and each decides for itself."""
    await admit(api, "other maker", ("batches", "read"), organisation="elsewhere")
    for role in ("other one", "other two"):
        await admit(api, role, ("batches:approve", "read"), organisation="elsewhere")
    await _decide_both(api, (await _submit(api, as_csv([row(1)]))).json())
    assert (await api.call("POST", "/v1/participants/P00000001/stop", role="one")).status_code == 200
    body = as_csv([row(1, participant_id="E-1", period="9")])
    theirs = (await api.submit(body, role="other maker", key="theirs")).json()
    assert [w["code"] for w in theirs["warnings"]] == ["people_stopped"]
    for role in ("other one", "other two"):
        assert (await api.decide(theirs, role)).status_code == 200
    later = (await _submit(api, as_csv([row(1, period="2")]), key="later")).json()
    assert [w["code"] for w in later["warnings"]] == ["people_stopped"]
    await _decide_both(api, later)
    assert not (await _submit(api, as_csv([row(1, period="3")]), key="last")).json()["warnings"]


@pytest.mark.parametrize("seed", range(3))
async def test_a_stop_is_the_persons_under_whatever_id(api: Api, seed: int) -> None:
    """A spreadsheet took the zeros off the next month's ids: the person under one of them has died, and was paid under
    the other. What another organisation owes the same person is not ours to stop.
    """
    rng = random.Random(seed)
    await admit(api, "other maker", ("batches", "incentives", "read"), organisation="elsewhere")
    ids = ["000123", "123", "P-123", "0123"][: rng.randrange(2, 5)]
    rows = [row(1, participant_id=pid, period=str(n)) for n, pid in enumerate(ids, 1)]
    rows += [row(2, period="1"), row(3, period="1")]
    batch = (await _submit(api, as_csv(rows))).json()
    assert batch["rows_accepted"] == len(rows)
    await _decide_both(api, batch)
    theirs = await api.submit(as_csv([row(1, participant_id="E-1", period="9")]), role="other maker", key="theirs")
    assert theirs.json()["rows_accepted"] == 1
    stopped = await api.call("POST", f"/v1/participants/{rng.choice(ids)}/stop", role="one")
    assert stopped.status_code == 200, stopped.text
    rows_now = await api.fetch("SELECT participant_id, cancelled FROM incentives")
    assert {r["participant_id"] for r in rows_now if r["cancelled"]} == set(ids)
    (noted,) = await api.fetch("SELECT data FROM audit_log WHERE action = 'participant.stop'")
    assert noted["data"]["incentives"] == len(ids) and len(noted["data"]["also"]) == len(ids) - 1
    before = await api.state()
    again = await api.call("POST", f"/v1/participants/{noted['data']['also'][0]}/stop", role="one")
    assert again.status_code == 200
    assert {k: v for k, v in (await api.state()).items() if k == "incentives"} == {
        k: v for k, v in before.items() if k == "incentives"
    }


async def test_who_was_stopped_is_known_under_another_id(api: Api) -> None:
    """Core has made the person anew: the NIK is the one that was stopped."""
    await _decide_both(api, (await _submit(api, as_csv([row(1), row(2)]))).json())
    for pid in ("P00000001", "P00000002"):
        assert (await api.call("POST", f"/v1/participants/{pid}/stop", role="one")).status_code == 200
    anew = row(1, participant_id="P-anew", period="2")
    batch = (await _submit(api, as_csv([anew, row(3)]), key="anew")).json()
    assert (batch["rows_accepted"], [(w["code"], w["rows"]) for w in batch["warnings"]]) == (2, [("people_stopped", 1)])
    single = await api.call("POST", "/v1/incentives", key="s", json=anew | {"period": "3"})
    assert [w["code"] for w in single.json()["batch"]["warnings"]] == ["people_stopped"]
    await _decide_both(api, batch)
    later = (await _submit(api, as_csv([anew | {"period": "4"}, row(2, period="4")]), key="later")).json()
    assert [(w["code"], w["rows"]) for w in later["warnings"]] == [("people_stopped", 1)], "the other one still is"


async def _decide_both(api: Api, batch: dict[str, Any]) -> None:
    for role in ("one", "two"):
        assert (await api.decide(batch, role)).status_code == 200


async def test_what_is_put_up_anew_is_the_account_as_it_is_once_it_is_held(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is changed once more while somebody puts up what has lapsed: approved would be an account that is none."""
    batch = (await api.submit(as_csv([row(1)]))).json()
    for role in ("one", "two"):
        await api.decide(batch, role)
    path = "/v1/participants/P00000001"

    def moved(n: int) -> dict[str, Any]:
        return {name: row(n)[name] for name in ("account", "phone")}

    assert (await api.call("PUT", path, json=moved(51))).status_code == 200
    record, reached, go_on = audit.record, asyncio.Event(), asyncio.Event()

    async def slow(connection: Any, now: Any, actor: str, action: str, *about: Any) -> Any:
        if action == "participant.correct":
            reached.set()
            await go_on.wait()
        return await record(connection, now, actor, action, *about)

    monkeypatch.setattr(audit, "record", slow)
    correcting = asyncio.create_task(api.call("PUT", path, json=moved(52)))
    async with asyncio.timeout(WAITED_S):
        await reached.wait()
        putting_up = asyncio.create_task(api.call("POST", "/v1/batches/reapprovals", key="again"))
        await waits(api)
        go_on.set()
        assert ((await correcting).status_code, (await putting_up).status_code) == (200, 201)
    (up,) = await api.fetch(
        "SELECT r.digest, p.account_index, i.programme, i.purpose, i.period, i.participant_id, i.nik_index, i.partner,"
        " i.amount_rupiah, i.due_on, i.deadline_on FROM reapprovals r JOIN incentives i ON i.id = r.incentive"
        " JOIN participants p ON p.id = i.participant"
    )
    text = approval.approved_row(**dict(list(up.items())[2:]))
    assert up["digest"] == approval.digest(api.core.resources.vault, text, up["account_index"])


async def test_nobody_decided_in_a_month(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = (await _submit(api, as_csv([row(1)]))).json()
    assert await api.core.batches.tick_expiry() == 0
    async with api.core.resources.database.connection() as connection:
        await connection.execute("UPDATE batches SET received_at = received_at - $1::interval", timedelta(days=31))
    assert await api.core.batches.tick_expiry() == 1
    assert (await api.decide(batch, "one")).json()["code"] == "batch_decided"
    again = (await _submit(api, as_csv([row(1, amount_rupiah=700_000)]), key="k2")).json()
    assert again["rows_accepted"] == 1, "it leaves no key behind"
